//! `$ref`: a schema that stands elsewhere in its document.

/// The JSON Pointer of a reference within the document: `#/$defs/tag` is `/$defs/tag`. None for a
/// reference to anything else.
pub fn pointer(reference: &str) -> Option<String> {
    let fragment = reference.strip_prefix('#')?;
    let pointer = decoded(fragment)?;
    (pointer.is_empty() || pointer.starts_with('/')).then_some(pointer)
}

/// A token of a JSON Pointer (RFC 6901).
pub fn token(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// The text without its codes in percent.
fn decoded(text: &str) -> Option<String> {
    if !text.contains('%') {
        return Some(text.to_owned());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = match (first, tail) {
            (b'%', [high, low, tail @ ..]) => {
                bytes.push(u8::from_str_radix(std::str::from_utf8(&[*high, *low]).ok()?, 16).ok()?);
                tail
            }
            _ => {
                bytes.push(*first);
                tail
            }
        };
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_within_the_document_is_a_pointer() {
        assert_eq!(pointer("#").as_deref(), Some(""));
        assert_eq!(pointer("#/$defs/a%20b").as_deref(), Some("/$defs/a b"));
        assert_eq!(token("a/b~c"), "a~1b~0c");
        for elsewhere in ["other.json#/a", "#anchor", "#/%zz", "https://example.org"] {
            assert_eq!(pointer(elsewhere), None, "{elsewhere}");
        }
    }
}
