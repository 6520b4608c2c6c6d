//! Moves outbox rows to NATS and replies to tables. One copy is the leader of its schema.

use crate::app::App;

/// The dispatcher of this copy, leading or following.
pub struct Dispatcher {}

/// Starts the dispatcher on the tracker; it leads when it gets the lock.
pub fn start(_app: &App) -> Dispatcher {
    Dispatcher {}
}

impl Dispatcher {
    /// Stops reading, waits for awaited replies up to the deadline, moves the cursor and lets the leader lock go.
    pub async fn stop(self, _deadline: std::time::Instant) {}
}
