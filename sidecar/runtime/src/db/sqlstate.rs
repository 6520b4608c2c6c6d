//! The meaning of an error of PostgreSQL for another try. It is decided here and nowhere else.

use std::{error::Error as _, io::ErrorKind};

use tokio_postgres::{
    Error,
    error::{DbError, SqlState},
};

/// The SQLSTATE by which `tpro.raise_fault` tells a handler's fault.
pub const RAISED_FAULT: &str = "TP001";

/// True if the error is of the moment and not of the statement: the connection is lost, the server
/// starts, stops or lacks room, another transaction was in the way, or somebody cancelled the
/// statement. The statement may go well on another try.
pub fn is_passing(error: &Error) -> bool {
    let passes = |code: &SqlState| is_again(code) || *code == SqlState::QUERY_CANCELED || lacks_room(code);
    is_lost(error) || error.code().is_some_and(passes)
}

/// True if the connection is lost, or about to be: the server goes down (57P), has ended a session
/// that stood still within a transaction (25P03), or the wire is cut.
pub fn is_lost(error: &Error) -> bool {
    match error.as_db_error().map(DbError::code) {
        Some(code) => {
            let code = code.code();
            code.starts_with("57P") || code.starts_with("08") || code == "25P03"
        }
        None => error.is_closed() || error.source().is_some_and(is_cut),
    }
}

/// True if the wire is cut. A value or a statement that cannot be encoded is an `io::Error` too,
/// and would never pass.
fn is_cut(source: &(dyn std::error::Error + 'static)) -> bool {
    let io = source.downcast_ref::<std::io::Error>();
    io.is_some_and(|error| !matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::InvalidData))
}

/// True if another session has held a lock for longer than the statement may wait (`lock_timeout`,
/// NOWAIT). It lets the lock go some time.
pub fn is_held(code: &SqlState) -> bool {
    *code == SqlState::LOCK_NOT_AVAILABLE
}

/// True if the server asks to run the transaction again: serialization failure, deadlock.
pub fn is_again(code: &SqlState) -> bool {
    *code == SqlState::T_R_SERIALIZATION_FAILURE || *code == SqlState::T_R_DEADLOCK_DETECTED
}

/// True if the server lacks disk, memory or connections (53), which may pass while the session
/// stays.
pub fn is_shortage(error: &Error) -> bool {
    error.code().is_some_and(lacks_room)
}

/// True if the server refuses the write, and neither the session nor a value is at fault: a
/// constraint, a missing partition, a right, a trigger. It stays until somebody puts the table
/// right. A table that is gone is not among them.
pub fn is_refusal(error: &Error) -> bool {
    let classes = ["09", "0A", "21", "23", "27", "2F", "38", "39", "40", "42", "44", "55", "P0"];
    !is_lost(error)
        && error.code().is_some_and(|code| {
            *code != SqlState::UNDEFINED_TABLE && classes.iter().any(|class| code.code().starts_with(class))
        })
}

/// True for a lack of room. A configured limit (53400: a full backlog, too large a temporary file)
/// is not among them: the statement meets it again, and its text says what to do.
fn lacks_room(code: &SqlState) -> bool {
    code.code().starts_with("53") && *code != SqlState::CONFIGURATION_LIMIT_EXCEEDED
}
