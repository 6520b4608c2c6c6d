//! A name of PostgreSQL's in a text, quoted or not.

/// The rest of the text, behind the name that it begins with.
pub(crate) fn after(text: &str) -> Option<&str> {
    match text.strip_prefix('"') {
        Some(quoted) => after_quoted(quoted),
        None => after_plain(text),
    }
}

fn after_plain(text: &str) -> Option<&str> {
    // PostgreSQL takes every letter that is not of ASCII.
    let begins = |c: char| c.is_ascii_alphabetic() || c == '_' || !c.is_ascii();
    let goes_on = |c: char| begins(c) || c.is_ascii_digit() || c == '$';
    let rest = text.trim_start_matches(goes_on);
    text.starts_with(begins).then_some(rest)
}

/// `quoted` begins behind the quote. A quote within the name is doubled.
fn after_quoted(quoted: &str) -> Option<&str> {
    let mut rest = quoted;
    loop {
        let end = rest.find('"')?;
        let is_empty = end == 0 && rest.len() == quoted.len();
        rest = &rest[end + 1..];
        match rest.strip_prefix('"') {
            Some(within) => rest = within,
            None => return (!is_empty).then_some(rest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::after;

    #[test]
    fn a_name_ends_where_postgresql_ends_it() {
        for (text, rest) in [
            ("paid", Some("")),
            ("_p4$.x", Some(".x")),
            ("заказ.x", Some(".x")),
            ("a-b", Some("-b")),
            (r#""Odd name".x"#, Some(".x")),
            (r#""a""b""#, Some("")),
            (r#""""""#, Some("")),
            ("", None),
            ("4a", None),
            ("$a", None),
            (".a", None),
            (r#""""#, None),
            (r#""a"#, None),
            (r#""a"""#, None),
        ] {
            assert_eq!(after(text), rest, "{text}");
        }
    }
}
