//! Why a statement gives nothing, and what may be done about it.

use deadpool_postgres::PoolError;
use tokio_postgres::error::{DbError, SqlState};
use tpro_runtime::db;

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
            Self::Failed(error) => db::is_lost(error),
        }
    }

    /// Whether the error is of the moment, so that the same may go well on another try: no connection, a lost one, a
    /// server that starts, stops or lacks room, a deadlock, a cancelled statement.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::NoConnection(_) => true,
            Self::Ended => false,
            Self::Failed(error) => db::is_passing(error),
        }
    }
}
