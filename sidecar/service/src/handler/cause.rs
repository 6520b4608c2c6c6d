//! The part of an error that a log may show: its place, and no text that a user has written.

use std::error::Error;

use tokio_postgres::error::{DbError, SqlState};

use super::Fault;

/// The error and its sources in one line, without values.
///
/// PostgreSQL and serde repeat values in their texts (`invalid input syntax for type integer:
/// "..."`, `Failing row contains (...)`, `invalid type: string "..."`). Of their texts only the
/// part is taken that cannot hold a value. Other errors are taken as they are.
pub(crate) fn describe(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        if !text.is_empty() {
            text.push_str(": ");
        }
        if let Some(db) = error.downcast_ref::<DbError>() {
            text.push_str(&describe_database(db));
        } else if let Some(json) = error.downcast_ref::<serde_json::Error>() {
            text.push_str(&describe_json(json));
        } else {
            text.push_str(&error.to_string());
        }
        next = error.source();
    }
    text
}

/// The part of a fault that our log may show.
pub(crate) fn describe_fault(fault: &Fault) -> String {
    match fault.cause() {
        Some(cause) => describe(cause),
        None => format!("fault {}", fault.code()),
    }
}

/// SQLSTATE and the names of the objects. The message itself only where it is about our own SQL,
/// not about a value.
fn describe_database(error: &DbError) -> String {
    let mut text = format!("{} SQLSTATE {}", error.severity(), error.code().code());
    for (what, name) in [
        ("constraint", error.constraint()),
        ("table", error.table()),
        ("column", error.column()),
        ("type", error.datatype()),
    ] {
        if let Some(name) = name {
            text.push_str(&format!(", {what} {name}"));
        }
    }
    if is_about_statements(error.code()) {
        text.push_str(": ");
        text.push_str(error.message());
    }
    text
}

/// Classes whose messages name statements, roles, locks and resources. The programmer wrote these,
/// and values in them are parameters.
fn is_about_statements(code: &SqlState) -> bool {
    ["08", "25", "28", "3D", "3F", "40", "42", "53", "54", "55", "57", "58"].contains(&&code.code()[..2])
}

fn describe_json(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        serde_json::error::Category::Io => "cannot be read",
        serde_json::error::Category::Syntax => "is not well formed",
        serde_json::error::Category::Data => "does not fit the type",
        serde_json::error::Category::Eof => "ends too early",
    };
    format!("JSON {what} at line {} column {}", error.line(), error.column())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the answer of co")]
    struct Outer(#[source] serde_json::Error);

    #[test]
    fn no_value_gets_into_the_description() {
        let inner = serde_json::from_str::<u32>("\"canary\"").unwrap_err();
        assert!(inner.to_string().contains("canary"));
        let text = describe(&Outer(inner));
        assert_eq!(text, "the answer of co: JSON does not fit the type at line 1 column 8");
    }
}
