//! The end of the process: a first signal drains, a second one forces.

use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The tokens every task holds.
#[derive(Clone, Default)]
pub struct Stop {
    /// Cancelled at the first signal: take no more, finish what is taken.
    pub soft: CancellationToken,
    /// Cancelled at the second signal or when the time is up: drop everything.
    pub hard: CancellationToken,
    /// Every task is spawned here, so that none outlives the process's end unseen.
    pub tasks: TaskTracker,
}
