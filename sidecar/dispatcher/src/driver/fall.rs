//! The end of a leader that cannot go on.

use super::outbox::OutboxError;
use crate::{
    core::{NATS_PATIENCE, SILENCE},
    election::claim::ClaimError,
};

/// The reason why a leader steps down.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fall {
    /// A statement failed.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    /// An outcome of ours is one that PostgreSQL does not take.
    #[error("reply.settle failed: {0}")]
    Settle(String),
    /// The session is gone.
    #[error("the session was closed by the server")]
    Closed,
    /// The session does not answer.
    #[error("the session does not answer for {} s", SILENCE.as_secs())]
    Silent,
    /// The NATS client has ended.
    #[error("the connection to NATS is closed for good")]
    Nats,
    /// The source is led from elsewhere.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// NATS has been away for too long.
    #[error("NATS has been out of reach for {} s; a copy that reaches it leads", NATS_PATIENCE.as_secs())]
    Cut,
}
