//! Bodies in and out: a body that does not fit is refused with the name of the field, and never
//! with its value.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use super::{Fault, whole};

/// Longest path of a field that is repeated to the caller, in bytes.
const MAX_PATH: usize = 100;

/// Reads a body. A number that would be rounded does not fit either.
pub(crate) fn read<T: DeserializeOwned>(json: &str) -> Result<T, Fault> {
    // Tracking the path costs, so it is only done for a body that was refused.
    whole::from_str(json).map_err(|_| misfit::<T>(json))
}

/// Writes a result as JSON text.
pub(crate) fn write<R: Serialize + ?Sized>(result: &R) -> Result<String, Fault> {
    Ok(serde_json::to_string(result)?)
}

/// Writes a body as raw JSON.
pub(crate) fn raw<B: Serialize + ?Sized>(body: &B) -> Result<Box<RawValue>, serde_json::Error> {
    serde_json::value::to_raw_value(body)
}

fn misfit<T: DeserializeOwned>(json: &str) -> Fault {
    let Err(error) = whole::from_str_by_path::<T>(json) else {
        return Fault::field("", "the body does not fit");
    };
    let path = error.path().to_string();
    let (field, text) = explain(&path, &error.inner().to_string());
    Fault::field(&field, text)
}

/// The field and a sentence about it, from the path and serde's message.
///
/// The message has one of a few fixed beginnings, then perhaps the value, then what the type
/// expects. Only the beginning and the end are used: the last `, expected ` is the type's own text,
/// since the value stands before it. A message of any other beginning was made by a type of the
/// service, and may say anything.
fn explain(path: &str, message: &str) -> (String, String) {
    let message = message.rsplit_once(" at line ").map_or(message, |(message, _)| message);
    if let Some(name) = quoted(message, "missing field ") {
        let field = name_of(&join(path, name));
        return (field.clone(), format!("field {field} is missing"));
    }
    if let Some(name) = quoted(message, "duplicate field ") {
        let field = name_of(&join(path, name));
        return (field.clone(), format!("field {field} comes twice"));
    }
    let field = name_of(path);
    let subject = if field.is_empty() { "the body".to_owned() } else { format!("field {field}") };
    if message.starts_with(whole::ROUNDED) {
        return (field, format!("{subject} does not fit: a number has more digits than its type can hold"));
    }
    if message.starts_with("unknown field ") {
        return (field, format!("{subject} is unknown"));
    }
    let typed = ["invalid type: ", "invalid value: ", "invalid length ", "unknown variant "]
        .iter()
        .any(|beginning| message.starts_with(beginning));
    match message.rsplit_once(", expected ") {
        Some((_, expected)) if typed => (field, format!("{subject} does not fit: expected {expected}")),
        _ => (field, format!("{subject} does not fit")),
    }
}

fn quoted<'m>(message: &'m str, beginning: &str) -> Option<&'m str> {
    message.strip_prefix(beginning)?.strip_prefix('`')?.strip_suffix('`')
}

fn join(path: &str, name: &str) -> String {
    if path == "." || path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// The path if it is made of plain names; keys that a caller made up are not repeated.
fn name_of(path: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'[' | b']');
    match path {
        "." => String::new(),
        _ if path.len() <= MAX_PATH && path.bytes().all(plain) => path.to_owned(),
        _ => "?".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Login {
        login: String,
        age: Option<u8>,
        weight: Option<f64>,
        #[serde(default)]
        tags: Vec<Tag>,
    }

    #[derive(Debug, Deserialize)]
    #[allow(dead_code)]
    struct Tag {
        kind: Kind,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Kind {
        Red,
        Blue,
    }

    fn refused(json: &str) -> String {
        read::<Login>(json).unwrap_err().into_error().to_json()
    }

    #[test]
    fn a_body_that_does_not_fit_is_refused_by_the_name_of_the_field_and_never_its_value() {
        for (json, field, text) in [
            (r#"{}"#, "login", "field login is missing"),
            (r#"{"login":7}"#, "login", "field login does not fit: expected a string"),
            (
                r#"{"login":"x","age":"canary, expected canary"}"#,
                "age",
                "field age does not fit: expected u8",
            ),
            (r#"{"login":"x","age":777}"#, "age", "field age does not fit: expected u8"),
            (r#"{"login":"x","login":"canary"}"#, "login", "field login comes twice"),
            (r#"{"login":"x","shoe":"canary"}"#, "shoe", "field shoe is unknown"),
            (r#"{"login":"x","the canary's":1}"#, "?", "field ? is unknown"),
            (
                r#"{"login":"x","tags":[{"kind":"red"},{"kind":"canary"}]}"#,
                "tags[1].kind",
                "field tags[1].kind does not fit: expected `red` or `blue`",
            ),
            (r#"{"login":"x","tags":[{}]}"#, "tags[0].kind", "field tags[0].kind is missing"),
            (
                r#"{"login":"x","weight":12345678901234567890123}"#,
                "weight",
                "field weight does not fit: a number has more digits than its type can hold",
            ),
            (r#"["canary"]"#, "", "the body does not fit"),
        ] {
            let answer = refused(json);
            assert!(answer.contains(&format!(r#""field":"{field}""#)), "{json}: {answer}");
            assert!(answer.contains(text), "{json}: {answer}");
            assert!(!answer.contains("canary"), "{json}: {answer}");
        }
    }
}
