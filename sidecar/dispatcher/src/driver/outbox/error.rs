//! The failure of a statement.

use tpro_runtime::db::{is_shortage, plain};

/// A statement of the leader's session failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutboxError {
    /// A statement could not be prepared: most likely the extension or the schema is of another version, or gone.
    #[error("{name} cannot be prepared: {}", plain(source))]
    Prepare {
        /// The statement.
        name: &'static str,
        /// The words of the server.
        source: tokio_postgres::Error,
    },
    /// A statement failed.
    #[error("{name} failed: {}", plain(source))]
    Run {
        /// The statement.
        name: &'static str,
        /// The words of the server.
        source: tokio_postgres::Error,
    },
    /// The guard of `outbox.read` found a transaction id where there must be none.
    #[error(
        "outbox.read returned nothing, not even its snapshot: its transaction had an id of its own, which is a bug"
    )]
    Guard,
}

impl OutboxError {
    /// True if the server lacks room (53: disk, memory), which may pass while the session stays.
    pub fn is_shortage(&self) -> bool {
        match self {
            Self::Prepare { source, .. } | Self::Run { source, .. } => is_shortage(source),
            Self::Guard => false,
        }
    }
}
