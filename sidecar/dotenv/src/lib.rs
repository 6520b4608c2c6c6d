//! The grammar of an `.env` file.
//!
//! A line sets a key, is a comment (`#` comes first), or is blank:
//!
//! - `KEY=value`, with `export` before it if need be. A key is letters, digits and `_`, and no
//!   digit comes first. Blanks (spaces, tabs, carriage returns) around key, `=` and value do not
//!   count.
//! - A value without quotes goes to the end of the line, or to a blank with `#` behind it, where a
//!   comment begins. `$`, `\`, `'`, `"` and a `#` without a blank before it mean nothing else: a
//!   secret can be pasted.
//! - A value in `'single quotes'` is the text between them.
//! - In `"double quotes"` `\"`, `\\`, `\$` and `\n` stand for a quote, a backslash, a dollar sign
//!   and a new line. Any other backslash is one.
//! - Behind a closing quote nothing but a comment may follow.
//! - Nothing is replaced: neither `$NAME` nor `${NAME}`. A value ends on its line.
//!
//! The sidecar and the local installation (`tpro local`) both read by this crate. dotenvy 0.15
//! cannot be told to leave `$` alone. `make/setup.sh`, which runs before any Rust is there, reads
//! by `make/dotenv.sh`, and the tests of this crate give the same files to both.
#![forbid(unsafe_code)]

pub mod go;

/// The meaning of a line.
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// Blank, or a comment.
    Nothing,
    /// It sets a key.
    Set(&'a str, String),
    /// None of these.
    Malformed,
}

/// Reads a line, which holds no line feed.
pub fn read(line: &str) -> Line<'_> {
    let line = line.trim_matches(is_blank);
    // No shell can hold it, and no setting has it.
    if line.contains('\0') {
        return Line::Malformed;
    }
    if line.is_empty() || line.starts_with('#') {
        return Line::Nothing;
    }
    let exported = line.strip_prefix("export").filter(|rest| rest.starts_with(is_blank));
    let assignment =
        exported.and_then(|rest| split(rest.trim_start_matches(is_blank))).or_else(|| split(line));
    match assignment.and_then(|(key, rest)| Some((key, value(rest)?))) {
        Some((key, value)) => Line::Set(key, value),
        None => Line::Malformed,
    }
}

/// The text of a file, without the mark that some editors put before its first line.
pub fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// The value that a file sets for a key: of several lines the last one. None if no line sets it.
pub fn get(text: &str, key: &str) -> Option<String> {
    without_mark(text).rsplit('\n').find_map(|line| match read(line) {
        Line::Set(name, value) if name == key => Some(value),
        _ => None,
    })
}

/// A value as it stands in a file, on one line.
pub fn quoted(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_./:@%+,=-".contains(c);
    if value.chars().all(plain) {
        value.to_owned()
    } else if !value.contains(['\'', '\n']) {
        format!("'{value}'")
    } else {
        let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        format!("\"{value}\"")
    }
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r')
}

/// The key, and the text behind the `=`.
fn split(line: &str) -> Option<(&str, &str)> {
    let (key, rest) = line.split_once('=')?;
    let key = key.trim_end_matches(is_blank);
    let mut letters = key.bytes();
    let first = letters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == b'_');
    (first && letters.all(|c| c.is_ascii_alphanumeric() || c == b'_')).then_some((key, rest))
}

/// The value in the text behind the `=`. None if its quotes do not fit.
fn value(rest: &str) -> Option<String> {
    let value = rest.trim_start_matches(is_blank);
    if value.starts_with('#') && value.len() < rest.len() {
        return Some(String::new());
    }
    if let Some(quoted) = value.strip_prefix('\'') {
        let (inner, behind) = quoted.split_once('\'')?;
        return nothing_follows(behind).then(|| inner.to_owned());
    }
    if let Some(quoted) = value.strip_prefix('"') {
        return in_double_quotes(quoted);
    }
    let comment = value.match_indices('#').find(|(at, _)| value[..*at].ends_with(is_blank));
    let value = comment.map_or(value, |(at, _)| &value[..at]);
    Some(value.trim_end_matches(is_blank).to_owned())
}

fn in_double_quotes(quoted: &str) -> Option<String> {
    let mut value = String::new();
    let mut letters = quoted.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return nothing_follows(&quoted[at + 1..]).then_some(value),
            '\\' => match letters.next()?.1 {
                'n' => value.push('\n'),
                escaped @ ('"' | '\\' | '$') => value.push(escaped),
                other => value.extend(['\\', other]),
            },
            letter => value.push(letter),
        }
    }
    None
}

/// True if a closing quote is followed by nothing, or by a comment.
fn nothing_follows(behind: &str) -> bool {
    let rest = behind.trim_start_matches(is_blank);
    rest.is_empty() || (rest.starts_with('#') && rest.len() < behind.len())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use proptest::prelude::*;

    use super::*;

    fn by_program(line: &str) -> Option<(String, String)> {
        match read(line) {
            Line::Set(key, value) => Some((key.to_owned(), value)),
            Line::Nothing | Line::Malformed => None,
        }
    }

    /// A line, and the value it sets; none if it is malformed.
    const CORPUS: &[(&str, Option<&str>)] = &[
        ("KEY=value", Some("value")),
        ("KEY=", Some("")),
        ("  export\tKEY = value \r", Some("value")),
        ("KEY=pa$$word$HOME${HOME}$(id)`id`", Some("pa$$word$HOME${HOME}$(id)`id`")),
        ("KEY=a\\$b\\n\\", Some("a\\$b\\n\\")),
        ("KEY=two words", Some("two words")),
        ("KEY=value # a comment", Some("value")),
        ("KEY=value\t# a # comment", Some("value")),
        ("KEY=val#ue", Some("val#ue")),
        ("KEY=#value", Some("#value")),
        ("KEY= # a comment", Some("")),
        ("KEY=it's \"so\"", Some("it's \"so\"")),
        ("KEY='va$l # \\ \"ue'", Some("va$l # \\ \"ue")),
        ("KEY=' blanks '", Some(" blanks ")),
        ("KEY='value' # a comment", Some("value")),
        ("KEY=\"va$l # 'ue\"", Some("va$l # 'ue")),
        (r#"KEY="a\"b\\c\$d\ne\zf""#, Some("a\"b\\c$d\ne\\zf")),
        ("KEY=\"\"", Some("")),
        ("KEY==", Some("=")),
        ("KEY=день", Some("день")),
        ("KEY='value'x", None),
        ("KEY='value'# no blank before it", None),
        ("KEY='value", None),
        ("KEY=\"value", None),
        ("KEY=\"value\\\"", None),
        ("KEY", None),
        ("KEY value", None),
        ("1KEY=value", None),
        ("KE-Y=value", None),
        ("=value", None),
        ("export export KEY=value", None),
        ("\u{feff}KEY=value", None),
    ];

    #[test]
    fn each_line_of_the_corpus_is_read_as_it_is_described() {
        for (line, expected) in CORPUS {
            let expected = expected.map(|value| ("KEY".to_owned(), value.to_owned()));
            assert_eq!(by_program(line), expected, "{line:?}");
            assert_eq!(read(line) == Line::Malformed, expected.is_none(), "{line:?}");
        }
        for nothing in ["", "  \t\r", "# KEY=value", " \t# KEY=value"] {
            assert_eq!(read(nothing), Line::Nothing, "{nothing:?}");
        }
        assert_eq!(read("export=value"), Line::Set("export", "value".to_owned()));
    }

    /// Files whose lines are right and wrong in many ways.
    const MESSY: &str = "(([ \t\r]|export|#)?[ \t]?K?EY[ \t\r]?=([ \t\r'\"#$\\\\=naд]){0,8}\n?){0,4}";

    /// The value of KEY in a file, as `make/dotenv.sh` reads it, under a locale.
    fn by_make(text: &str, locale: &str) -> String {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../make/dotenv.sh");
        let read = r#"set -euo pipefail; . "$1"; dotenv /dev/stdin KEY; printf %s "$DOTENV""#;
        let mut bash = Command::new("bash");
        bash.args(["-c", read, "bash", script]).env("LC_ALL", locale);
        let mut bash = bash.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        bash.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = bash.wait_with_output().unwrap();
        assert!(output.status.success(), "{text:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn make_reads_the_corpus_as_the_program_does() {
        for locale in ["C", "C.UTF-8"] {
            for (line, expected) in CORPUS {
                // A line that is malformed leaves the value of the one before it.
                for text in [format!("KEY=before\n{line}\nKEYS=x\n"), format!("#KEY=x\nKEY=before\n{line}")] {
                    assert_eq!(get(&text, "KEY").as_deref(), expected.or(Some("before")), "{text:?}");
                    assert_eq!(by_make(&text, locale), expected.unwrap_or("before"), "{locale}: {text:?}");
                }
            }
            assert_eq!(by_make("\u{feff}KEY=a\nKEY=b # c\n\u{feff}KEY=d\n", locale), "b");
            assert_eq!(by_make("", locale), "");
        }
    }

    #[test]
    fn of_several_lines_the_last_one_counts() {
        assert_eq!(get("\u{feff}KEY=a\nexport KEY='b' # c\nKEYS=d\n", "KEY").as_deref(), Some("b"));
        assert_eq!(get("KEY=a\nKEY=\n", "KEY").as_deref(), Some(""));
        assert_eq!(get("OTHER=a\nKEY='b\n", "KEY"), None);
    }

    proptest! {
        #[test]
        fn a_value_that_is_quoted_reads_as_it_was(value in "([ \t'\"#$\\\\=na\n]|[^\\x00\r]){0,12}") {
            let line = format!("KEY={}", quoted(&value));
            prop_assert!(!line.contains('\n'), "{:?}", line);
            prop_assert_eq!(read(&line), Line::Set("KEY", value), "{:?}", line);
        }

        #[test]
        fn make_reads_a_file_as_the_program_does(text in MESSY) {
            prop_assert_eq!(by_make(&text, "C.UTF-8"), get(&text, "KEY").unwrap_or_default(), "{:?}", text);
        }
    }
}
