//! The settings of a core.

use std::time::Duration;

use tpro_wire::{name::ServiceName, reply_subject::ReplyPrefix, target::Target, uid::Uid};

use super::lanes::Bounds;

/// The settings of a core.
pub struct Settings {
    /// The service whose outbox it moves.
    pub service: ServiceName,
    /// The subjects that replies come to.
    pub replies: ReplyPrefix,
    /// Returns true if replies of this target have a handler.
    pub has_handler: Box<dyn Fn(&Target) -> bool + Send>,
    /// Connections for handlers.
    pub pool: usize,
    /// The bounds of all lanes.
    pub bounds: Bounds,
    /// Ids of a partition of the outbox.
    pub partition_rows: i64,
    /// Services in a chain of calls.
    pub hops: u32,
    /// The time for which reads must find nothing before it sleeps.
    pub park_after: Duration,
    /// The pause between two reads while it sleeps.
    pub slow_poll: Option<Duration>,
    /// The longest time for the reply to one attempt.
    pub attempt_timeout: Duration,
    /// The longest time without a statement.
    pub heartbeat: Duration,
    /// Names its echoes: nobody else may know it.
    pub echo: Uid,
    /// Names its questions if the Go system answers for a service: nobody else may know it. None:
    /// nobody is asked.
    pub go: Option<Uid>,
    /// The seed of its random numbers.
    pub seed: u64,
    /// The number of the connection to NATS.
    pub connection: u64,
}
