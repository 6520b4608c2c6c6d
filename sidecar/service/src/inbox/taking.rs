//! A message that the writer takes.

use tokio::sync::oneshot;

use super::command::{Accept, Accepted};

/// An accept, and the run it is for.
pub(super) struct Taking {
    pub(super) accept: Accept,
    pub(super) run: i32,
    /// Whether it was written and nobody knows whether that was committed.
    pub(super) unsure: bool,
    pub(super) reply: oneshot::Sender<Accepted>,
}
