//! Moves outbox rows to NATS and replies to tables. One copy is the leader of its schema.
//!
//! How it fits together: behind the [`gate`] a [`follower`] tries to get the lock, and makes sure
//! that no clone of the database leads ([`election`]). The leader that has the lock is two parts.
//! The [`core`] is the protocol, without IO: what to read, to send and to write, and when. The
//! [`driver`] does it.
//!
//! **Stopping.** A leader that is told to stop reads no more and keeps the lock until the replies
//! it awaits have come and are written, but three seconds at most; then it writes the cursor and
//! lets the session go, and another copy leads within half a second. What was not answered by then
//! the next leader sends again; the inbox of the target makes that one effect, and the requester
//! sees a reply and no error.
#![forbid(unsafe_code)]

mod context;
pub mod core;
mod driver;
pub mod election;
mod follower;
pub mod metrics;
mod reply_handlers;
mod tally;

use tokio::task::JoinHandle;

pub use self::{
    context::Context,
    election::gate,
    reply_handlers::{NotWritten, ReplyHandlers},
};

/// The dispatcher of this copy, leading or following.
pub struct Dispatcher {
    context: Context,
    task: JoinHandle<()>,
}

/// Starts the dispatcher on the tracker; it leads when it gets the lock.
pub fn start(context: &Context) -> Dispatcher {
    let task = context.stop.tasks.spawn(follower::run(context.clone()));
    Dispatcher { context: context.clone(), task }
}

impl Dispatcher {
    /// Stops reading, waits for awaited replies (three seconds at most, and not past the deadline),
    /// moves the cursor and lets the leader lock go.
    pub async fn stop(mut self, deadline: std::time::Instant) {
        self.context.stop.soft.cancel();
        if tokio::time::timeout_at(deadline.into(), &mut self.task).await.is_err() {
            tracing::warn!("the dispatcher did not stop in time; its session is dropped");
            self.task.abort();
        }
    }
}
