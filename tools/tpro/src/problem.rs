//! The problem that ends a command: its text, its remedy and its exit code.

use std::fmt;

use tokio_postgres::error::SqlState;

use crate::plain::plain;

/// The exit code. The numbers are documented, and scripts rely on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The command did its work, and found nothing ill.
    Well = 0,
    /// Something is ill, is not there, or cannot be done.
    Ill = 1,
    /// The command line or a setting is wrong.
    Usage = 2,
    /// The database is not reachable, has no tpro, or does not allow it.
    Unreachable = 3,
}

/// The reason why a command ended before its work was done.
#[derive(Debug)]
pub struct Problem {
    /// The exit code.
    pub ending: Ending,
    what: String,
    remedy: String,
}

impl Problem {
    /// A problem with its remedy, which may be empty.
    pub fn new(ending: Ending, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { ending, what: what.into(), remedy: remedy.into() }
    }

    /// A wrong command line or setting.
    pub fn usage(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(Ending::Usage, what, remedy)
    }
}

/// Text and remedy on a line each. Control characters in them become codes.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&plain(&self.what))?;
        if self.remedy.is_empty() { Ok(()) } else { write!(f, "\n  {}", plain(&self.remedy)) }
    }
}

/// A right that a statement needs, and the role that has it.
#[derive(Clone, Copy, Debug)]
pub struct Right {
    /// The right in words, such as `read tpro.services`.
    pub to: &'static str,
    /// The role to be granted.
    pub role: &'static str,
}

/// Monitoring: states, ages and targets, and no body.
pub const READ: Right = Right { to: "read the state of the services", role: "tpro_reader" };
/// People on call.
pub const OPERATE: Right = Right { to: "cancel, retry or release messages", role: "tpro_operator" };

/// The move of a service from the Go system. Its statements themselves ask for more.
pub const MIGRATE: Right = Right { to: "make functions of its session", role: "pg_database_owner" };

/// The problem for an error of a statement.
pub fn of_statement(error: &tokio_postgres::Error, role: &str, right: Right) -> Problem {
    let Some(said) = error.as_db_error() else {
        return Problem::new(
            Ending::Unreachable,
            format!("the connection to the database was lost: {}", causes(error)),
            "run the command again",
        );
    };
    let (code, hint) = (said.code(), said.hint().unwrap_or_default());
    let what = said.message();
    match code.code() {
        "42501" => Problem::new(
            Ending::Unreachable,
            format!("role {role} may not {}: {what}", right.to),
            format!("GRANT {} TO {role};", right.role),
        ),
        "57014" => Problem::new(
            Ending::Unreachable,
            format!("the database ended a statement of tpro: {what}"),
            "it is busy, or the command asks for too much: narrow it down",
        ),
        // No message of this id; a message that is not settled; too many that wait.
        "P0002" | "55000" | "53400" => Problem::new(Ending::Ill, what, hint),
        "3F000" => Problem::usage(what, "tpro status lists the services"),
        _ => {
            Problem::new(Ending::Unreachable, format!("the database refused: {what} ({})", code.code()), hint)
        }
    }
}

/// The problem for a connection that failed. `shown` is the address without its password.
pub fn of_connecting(error: &tokio_postgres::Error, shown: &str, origin: &str) -> Problem {
    if let Some((words, _)) = tpro_tls::postgres::words(error) {
        return Problem::new(
            Ending::Unreachable,
            format!("no connection to {shown} ({origin}): {words}"),
            "",
        );
    }
    let remedy = match error.code() {
        Some(code)
            if *code == SqlState::INVALID_PASSWORD
                || *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION =>
        {
            format!("correct user and password in {origin}, or PGPASSWORD")
        }
        Some(code) if *code == SqlState::INVALID_CATALOG_NAME => format!("correct the database in {origin}"),
        Some(_) => String::new(),
        None => format!("start the server, or correct {origin}"),
    };
    let what = format!("no connection to {shown} ({origin}): {}", causes(error));
    Problem::new(Ending::Unreachable, what, remedy)
}

/// The error with its causes. Without them tokio-postgres says "db error" and no more.
fn causes(error: &tokio_postgres::Error) -> String {
    if let Some(said) = error.as_db_error() {
        return format!("{} ({})", said.message(), said.code().code());
    }
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(below) = cause {
        let said = below.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = below.source();
    }
    text
}
