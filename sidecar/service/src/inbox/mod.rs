//! The messages that this service has taken from others, and its answers: the reason a repeat has
//! no second effect.
//!
//! For handlers of the default way, accepts and outcomes are written in batches by one task per
//! copy (`writer.rs`) with a session of its own, which also holds the lock that says this copy
//! lives. While one batch is being committed the next collects, so that a single message waits for
//! nobody and many share a commit. Outcomes, the calls that led to them, and accepts of one batch
//! are one transaction.
//!
//! A run that its handler has put off leaves no outcome. A row without an owner (`copy_key` 0) says
//! that it is over (`put_off.sql`).
//!
//! A transactional handler writes its rows itself, in its own transaction (`own.rs`).
//!
//! Both ways ask [`verdict`] what becomes of a message.

mod batch;
mod columns;
pub(crate) mod command;
pub(crate) mod flight;
mod known;
pub(crate) mod own;
pub mod question;
pub mod run_limit;
mod sql;
mod taking;
pub mod verdict;
mod writer;

use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use self::command::{Accept, Accepted, Command, Finish, Finished};
use crate::handler::journal::Journal;
use crate::host::Host;

/// Commands that wait for the writer. Each belongs to a handler at work, which are bounded; this
/// only keeps the channel's memory small.
const QUEUE: usize = 4096;

/// The way to the writer.
pub(crate) struct Inbox {
    commands: mpsc::Sender<Command>,
}

/// The writer is gone, since the process stops: nothing can be said about the message.
#[derive(Debug)]
pub(crate) struct Gone;

impl Inbox {
    /// Starts the writer; it ends when the last sender is dropped and all is written, or at `over`.
    pub(crate) fn start(app: &Host, over: CancellationToken) -> (Self, JoinHandle<()>) {
        let (commands, receiver) = mpsc::channel(QUEUE);
        let writer = app.stop.tasks.spawn(writer::write(app.clone(), receiver, over));
        (Self { commands }, writer)
    }

    /// Takes a message. Returns when it is committed.
    pub(crate) async fn accept(&self, accept: Accept) -> Result<Accepted, Gone> {
        let (sender, receiver) = oneshot::channel();
        self.commands.send(Command::Accept(accept, sender)).await.map_err(|_| Gone)?;
        receiver.await.map_err(|_| Gone)
    }

    /// Stores an outcome. Returns when it is committed.
    pub(crate) async fn finish(&self, finish: Finish) -> Result<Finished, Gone> {
        let (sender, receiver) = oneshot::channel();
        self.commands.send(Command::Finish(finish, sender)).await.map_err(|_| Gone)?;
        receiver.await.map_err(|_| Gone)
    }

    /// Puts calls on record, some time soon.
    pub(crate) async fn record(&self, journal: Vec<Journal>) {
        if !journal.is_empty() {
            // A writer that is gone writes nothing more: the process stops.
            let _ = self.commands.send(Command::Record(journal)).await;
        }
    }
}
