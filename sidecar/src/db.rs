//! Connections to PostgreSQL: the pool of the handlers and single sessions for leader and inbox, each with the settings it relies on.

use futures_util::stream::BoxStream;
use tokio_postgres::AsyncMessage;

use crate::config::Config;

/// The handlers' pool.
pub type Pool = deadpool_postgres::Pool;

/// A session of its own, not from the pool, with what the server says by itself (NOTIFY, notices).
pub struct Session {
    /// Statements go here.
    pub client: tokio_postgres::Client,
    /// Notifications; ends when the connection does. Must be polled for the client to make progress? No: a task drives the connection.
    pub messages: BoxStream<'static, AsyncMessage>,
    /// The backend's pid.
    pub pid: i32,
}

/// What may go wrong with the database.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// The server refused the login; trying again is useless.
    #[error("the database refuses the login: {0}")]
    Refused(#[source] tokio_postgres::Error),
    /// Not reachable, or lost; to be tried again.
    #[error("the database is not reachable: {0}")]
    Unreachable(#[source] tokio_postgres::Error),
    /// The server is in recovery (a standby).
    #[error("the server is a standby, not the primary")]
    Standby,
}

/// Opens a session for `what` (`leader`, `inbox`), with the settings of DESIGN section 4; `application_name` is `tpro/<service>/<copy>/<what>`.
pub async fn session(_config: &Config, _what: &'static str) -> Result<Session, DbError> {
    unimplemented!()
}
