//! A source in its parts: code, comments, strings.

/// The parts of a source. Each lies on the lines where it lay, so that a line number stays the
/// same.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Source {
    /// The code; a blank stands for each comment and each string.
    pub code: String,
    /// The comments, with their slashes, each with the number of its first line.
    pub comments: Vec<(usize, String)>,
    /// The strings, without their quotes, each with the number of its first line.
    pub strings: Vec<(usize, String)>,
}

impl Source {
    /// Reads a source.
    pub fn read(text: &str) -> Self {
        let mut source = Self { code: String::with_capacity(text.len()), ..Self::default() };
        let (mut rest, mut line) = (text, 1);
        while let Some(first) = rest.chars().next() {
            let after_word = source.code.ends_with(|c: char| c.is_alphanumeric() || c == '_');
            let length = match Part::at(rest, after_word) {
                Some(Part::Comment(length)) => {
                    source.comments.push((line, rest[..length].to_owned()));
                    length
                }
                Some(Part::Text { open, length, close }) => {
                    let end = length.saturating_sub(close).max(open);
                    source.strings.push((line, rest[open..end].to_owned()));
                    length
                }
                Some(Part::Character(length)) => length,
                None => {
                    source.code.push(first);
                    line += usize::from(first == '\n');
                    rest = &rest[first.len_utf8()..];
                    continue;
                }
            };
            let lines = rest[..length].matches('\n').count();
            source.code.extend(std::iter::repeat_n('\n', lines));
            source.code.push(' ');
            line += lines;
            rest = &rest[length..];
        }
        source
    }
}

/// A part that is no code, with its length.
enum Part {
    Comment(usize),
    /// A string; its quotes take so many bytes at its begin and at its end.
    Text {
        open: usize,
        length: usize,
        close: usize,
    },
    /// A quote as a character, which begins no string.
    Character(usize),
}

impl Part {
    /// The part that begins here, if one does.
    fn at(rest: &str, after_word: bool) -> Option<Self> {
        if rest.starts_with("//") {
            return Some(Self::Comment(rest.find('\n').unwrap_or(rest.len())));
        }
        if rest.starts_with("/*") {
            return Some(Self::Comment(rest.find("*/").map_or(rest.len(), |end| end + 2)));
        }
        if rest.starts_with('"') {
            return Some(Self::Text { open: 1, length: string_length(rest), close: 1 });
        }
        let prefix = ["br", "r"].into_iter().find(|prefix| rest.starts_with(prefix)).map_or(0, str::len);
        let hashes = rest[prefix..].len() - rest[prefix..].trim_start_matches('#').len();
        if prefix > 0 && !after_word && rest[prefix + hashes..].starts_with('"') {
            let (open, close) = (prefix + hashes + 1, hashes + 1);
            let end = format!("\"{}", "#".repeat(hashes));
            let length = rest[open..].find(&end).map_or(rest.len(), |at| open + at + close);
            return Some(Self::Text { open, length, close });
        }
        let quotes = ["'\"'", "'\\''", "'\\\"'"];
        quotes.iter().find(|quote| rest.starts_with(**quote)).map(|quote| Self::Character(quote.len()))
    }
}

/// The length of the string that begins here, with its quotes.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, letter) in text.char_indices().skip(1) {
        match letter {
            '"' if !escaped => return at + 1,
            '\\' if !escaped => escaped = true,
            _ => escaped = false,
        }
    }
    text.len()
}
