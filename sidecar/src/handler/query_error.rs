//! Why a statement gives nothing, and what may be done about it.

use std::error::Error as _;

use deadpool_postgres::PoolError;
use tokio_postgres::error::{DbError, SqlState};

/// Why a statement gives nothing.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The pool gave no connection.
    #[error("no connection to the database")]
    NoConnection(#[from] PoolError),
    /// The statement failed.
    #[error("a statement failed")]
    Failed(#[from] tokio_postgres::Error),
    /// The transaction has ended already: somebody kept it longer than its handler ran.
    #[error("the transaction has ended")]
    Ended,
}

impl QueryError {
    /// What the server says, if it was the server.
    pub fn db(&self) -> Option<&DbError> {
        match self {
            Self::Failed(error) => error.as_db_error(),
            Self::NoConnection(PoolError::Backend(error)) => error.as_db_error(),
            _ => None,
        }
    }

    /// The SQLSTATE, if it was the server.
    pub fn code(&self) -> Option<&SqlState> {
        self.db().map(DbError::code)
    }

    /// Whether the connection is lost: what was not committed is undone, and can be done again on another one.
    pub(crate) fn is_lost(&self) -> bool {
        match self {
            Self::NoConnection(_) => true,
            Self::Ended => false,
            Self::Failed(error) => is_lost(error),
        }
    }
}

/// Whether the connection is lost, or about to be: the server goes down (57P), has ended a session that stood still
/// within a transaction (25P03), or the wire is cut.
pub(crate) fn is_lost(error: &tokio_postgres::Error) -> bool {
    match error.code() {
        Some(code) => {
            let code = code.code();
            code.starts_with("57P") || code.starts_with("08") || code == "25P03"
        }
        None => error.is_closed() || error.source().is_some_and(|source| source.is::<std::io::Error>()),
    }
}

/// Whether the server asks to run the transaction again.
pub(crate) fn is_again(code: &SqlState) -> bool {
    *code == SqlState::T_R_SERIALIZATION_FAILURE || *code == SqlState::T_R_DEADLOCK_DETECTED
}
