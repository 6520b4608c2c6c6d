//! The place of a value in a body.

use std::fmt::Write as _;

/// Longest path that is told, in bytes.
const MAX_PATH: usize = 100;

/// A place, as a list from the value up to the body. It lies on the stack of a check.
#[derive(Clone, Copy)]
pub enum Path<'p> {
    /// The body itself.
    Body,
    /// A member of an object.
    Member(&'p Path<'p>, &'p str),
    /// An element of an array.
    Element(&'p Path<'p>, usize),
}

impl Path<'_> {
    /// The path as a text: `tags[1].kind`. `?` stands for one that is long, or has a name that a
    /// program could not have: it may be data that somebody has used as a key.
    pub fn text(&self) -> String {
        let mut parts = Vec::new();
        let mut rest = self;
        loop {
            match rest {
                Path::Body => break,
                Path::Member(above, _) | Path::Element(above, _) => {
                    parts.push(rest);
                    rest = above;
                }
            }
        }
        let mut text = String::new();
        for part in parts.into_iter().rev() {
            match part {
                Path::Member(_, name) if !is_plain(name) => return "?".to_owned(),
                Path::Member(_, name) => {
                    if !text.is_empty() {
                        text.push('.');
                    }
                    text.push_str(name);
                }
                Path::Element(_, number) => {
                    // Writing into a String cannot fail.
                    let _ = write!(text, "[{number}]");
                }
                Path::Body => {}
            }
            if text.len() > MAX_PATH {
                return "?".to_owned();
            }
        }
        text
    }
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_told_as_a_program_would_write_it() {
        let tags = Path::Member(&Path::Body, "tags");
        let second = Path::Element(&tags, 1);
        assert_eq!(Path::Body.text(), "");
        assert_eq!(Path::Member(&second, "kind").text(), "tags[1].kind");
        assert_eq!(Path::Element(&Path::Body, 0).text(), "[0]");
    }

    #[test]
    fn what_may_be_data_is_not_told() {
        assert_eq!(Path::Member(&Path::Body, "ann@example.org").text(), "?");
        assert_eq!(Path::Member(&Path::Body, "").text(), "?");
        let long = "a".repeat(MAX_PATH + 1);
        assert_eq!(Path::Member(&Path::Body, &long).text(), "?");
    }
}
