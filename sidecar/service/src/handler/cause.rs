//! The part of an error that a log may show: its place, and no text that a user has written.

use std::error::Error;

use tokio_postgres::error::{DbError, SqlState};
use tpro_runtime::db;

use super::Fault;

/// A longer line of a context is no name of a function.
const LONGEST_PLACE: usize = 200;
/// The routine of PostgreSQL that reports an error for RAISE of PL/pgSQL.
const RAISE: &str = "exec_stmt_raise";
/// The begin of the place of an error that a function of tpro raises.
const OURS: &str = "PL/pgSQL function tpro.";

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
        // There `tpro.raise_fault` has what it tells the caller.
        ("type", error.datatype().filter(|_| error.code().code() != db::RAISED_FAULT)),
    ] {
        if let Some(name) = name {
            text.push_str(&format!(", {what} {name}"));
        }
    }
    let place = error.where_().and_then(place);
    // A function of the user's may raise any class, with a text of its own.
    let is_raised = error.routine() == Some(RAISE) && !place.is_some_and(|place| place.starts_with(OURS));
    if is_about_statements(error.code()) && !is_raised {
        text.push_str(": ");
        text.push_str(error.message());
    }
    if let Some(place) = place {
        text.push_str(&format!(", in {place}"));
    }
    text
}

/// The innermost function of a context, with the number of its line. The other lines repeat
/// statements, which may have values in them.
fn place(context: &str) -> Option<&str> {
    let place = context.lines().find(|line| line.starts_with("PL/pgSQL function "))?;
    (place.len() <= LONGEST_PLACE).then_some(place)
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
    fn of_a_context_only_the_function_is_told() {
        let context = "SQL statement \"SELECT 'canary'\"\nPL/pgSQL function public.price(jsonb) line 3 at RAISE\nPL/pgSQL \
                       function public.outer() line 1 at PERFORM";
        assert_eq!(place(context), Some("PL/pgSQL function public.price(jsonb) line 3 at RAISE"));
        assert_eq!(place("JSON data, line 1: canary"), None);
    }

    #[test]
    fn no_value_gets_into_the_description() {
        let inner = serde_json::from_str::<u32>("\"canary\"").unwrap_err();
        assert!(inner.to_string().contains("canary"));
        let text = describe(&Outer(inner));
        assert_eq!(text, "the answer of co: JSON does not fit the type at line 1 column 8");
    }
}
