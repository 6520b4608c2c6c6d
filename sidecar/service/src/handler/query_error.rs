//! The errors of a statement, and their meaning for another try.

use deadpool_postgres::PoolError;
use tokio_postgres::error::{DbError, SqlState};
use tpro_runtime::db;

/// The reason why a statement gives nothing.
///
/// ```
/// # use tpro_service as tpro_sidecar;
/// use tokio_postgres::error::SqlState;
/// use tpro_sidecar::{AnyBody, Ctx, Fault};
///
/// async fn register(ctx: Ctx, _: AnyBody) -> Result<(), Fault> {
///     match ctx.db().await?.execute("INSERT INTO logins (name) VALUES ('ann')", &[]).await {
///         Err(error) if error.code() == Some(&SqlState::UNIQUE_VIOLATION) => {
///             Err(Fault::field("name", "the name is taken"))
///         }
///         other => Ok(other.map(drop)?),
///     }
/// }
/// ```
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
    /// A test without a database has run a handler that asks one.
    #[error(
        "this test has no database: give it one by `.database(url)`, with the PostgreSQL of tpro-testkit"
    )]
    NoDatabase,
}

impl QueryError {
    /// The error of the server, if it is one.
    pub fn db(&self) -> Option<&DbError> {
        match self {
            Self::Failed(error) => error.as_db_error(),
            Self::NoConnection(PoolError::Backend(error)) => error.as_db_error(),
            _ => None,
        }
    }

    /// The SQLSTATE, if the error is the server's.
    pub fn code(&self) -> Option<&SqlState> {
        self.db().map(DbError::code)
    }

    /// True if the connection is lost: uncommitted work is undone, and can be done again on another
    /// one.
    pub(crate) fn is_lost(&self) -> bool {
        match self {
            Self::NoConnection(_) => true,
            Self::Ended | Self::NoDatabase => false,
            Self::Failed(error) => db::is_lost(error),
        }
    }

    /// True if the error is of the moment, so that another try may go well: no connection, a lost
    /// one, a server that starts, stops or lacks room, a deadlock, a cancelled statement.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::NoConnection(_) => true,
            Self::Ended | Self::NoDatabase => false,
            Self::Failed(error) => db::is_passing(error),
        }
    }
}
