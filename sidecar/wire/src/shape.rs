//! The size and depth of a JSON text, measured without reading it into values.

/// The measures that the rules of a body look at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// Length of the JSON text in bytes.
    pub bytes: usize,
    /// Deepest nesting of arrays and objects: 0 for a number or a text, 1 for `{}`.
    pub depth: usize,
    /// True if it is an object or an array.
    pub structured: bool,
}

impl Shape {
    /// Measures a text that is known to be JSON. For another text it returns some numbers and does
    /// not panic.
    pub fn of(json: &str) -> Self {
        let (mut depth, mut deepest) = (0usize, 0usize);
        let mut in_string = false;
        let mut escaped = false;
        for byte in json.bytes() {
            if in_string {
                match byte {
                    _ if escaped => escaped = false,
                    b'\\' => escaped = true,
                    b'"' => in_string = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => in_string = true,
                b'{' | b'[' => {
                    depth += 1;
                    deepest = deepest.max(depth);
                }
                b'}' | b']' => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
        let structured = json.trim_start_matches([' ', '\t', '\n', '\r']).starts_with(['{', '[']);
        Self { bytes: json.len(), depth: deepest, structured }
    }
}
