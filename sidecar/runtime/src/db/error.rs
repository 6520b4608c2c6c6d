//! The errors of the database, in words that say not too much.

use tokio_postgres::{Error, error::SqlState};
use tpro_tls::postgres::words;

/// An error of the database.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// The server refused the login; trying again is useless.
    #[error("{}", refusal(.0))]
    Refused(#[source] Error),
    /// Not reachable, or lost; to be tried again.
    #[error("the database is not reachable: {}", plain(.0))]
    Unreachable(#[source] Error),
    /// The server did not answer in time; to be tried again.
    #[error("the database does not answer: {what} took more than {seconds} s")]
    Silent {
        /// The question to the server.
        what: &'static str,
        /// The time that we waited.
        seconds: u64,
    },
    /// A pooler hands out the server's sessions from one transaction to the next.
    #[error(
        "this session is not our own: DATABASE_URL leads through a pooler in transaction mode, and a sidecar's locks and LISTEN \
         need a session; point it past the pooler, or give this login pool_mode = session"
    )]
    Pooled,
    /// The server is in recovery (a standby).
    #[error("the server is a standby, not the primary")]
    Standby,
    /// A server was seen with a higher timeline, so this server is the one that was left behind at
    /// the promotion.
    #[error(
        "this server was left behind: its timeline is {ours}, and {seen} was seen; connect to the promoted one"
    )]
    LeftBehind {
        /// The highest seen by this process.
        seen: u32,
        /// This server's.
        ours: u32,
    },
}

impl DbError {
    /// The meaning of an error while connecting.
    pub(super) fn connecting(error: Error) -> Self {
        if is_refusal(&error) { Self::Refused(error) } else { Self::Unreachable(error) }
    }
}

/// True if the server knows us and does not want us: waiting will not help, only a person will.
fn is_refusal(error: &Error) -> bool {
    let refusals = [
        SqlState::INVALID_PASSWORD,
        SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
        SqlState::INVALID_CATALOG_NAME,
        SqlState::INSUFFICIENT_PRIVILEGE,
    ];
    // A missing password never gets as far as an answer of the server.
    error.code().is_some_and(|code| refusals.contains(code))
        || error.to_string().starts_with("invalid configuration")
        || words(error).is_some_and(|(_, lasting)| lasting)
}

/// A refusal in words.
fn refusal(error: &Error) -> String {
    match error.as_db_error() {
        None if words(error).is_some() => format!("no way to the database: {}", plain(error)),
        _ => format!("the database refuses the login: {}", plain(error)),
    }
}

/// The error in words for a log or a person: severity, message and SQLSTATE. The DETAIL is left
/// out: PostgreSQL puts whole rows there (`Failing row contains (...)`).
pub fn plain(error: &Error) -> String {
    if let Some((words, _)) = words(error) {
        return words;
    }
    if let Some(db) = error.as_db_error() {
        return format!("{}: {} ({})", db.severity(), db.message(), db.code().code());
    }
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
