//! What the writer is asked to write.

use std::sync::Arc;

use tokio::sync::oneshot;
use tpro_wire::Uid;

use super::question::Question;
use crate::handler::{journal::Journal, outcome::Outcome};

/// One thing to write.
pub(crate) enum Command {
    /// Take a message for its first run, or its next.
    Accept(Accept, oneshot::Sender<Accepted>),
    /// Store an outcome, and the calls that led to it.
    Finish(Finish, oneshot::Sender<Finished>),
    /// Put calls on record that led to no outcome.
    Record(Vec<Journal>),
}

/// A message to be taken.
pub(crate) struct Accept {
    pub(crate) question: Arc<Question>,
    pub(crate) attempt: i32,
    pub(crate) budget_ms: i64,
    /// Whether it may be taken though it is suspect, since no other suspect runs in this copy.
    pub(crate) alone: bool,
}

/// Whether a run with this number is suspect of ending the process: half of the runs it may have ended with their
/// process. It may have been another message that ended those, so suspects are run one at a time: then each is counted
/// for its own runs, and the innocent end well.
pub(crate) fn is_suspect(run: i32, most: i32) -> bool {
    run > 1 && run.saturating_mul(2) > most
}

/// What became of it.
#[derive(Debug)]
pub(crate) enum Accepted {
    /// It is ours: this is its number.
    Run(i32),
    /// It is done.
    Done(Outcome),
    /// Another question was asked under its uid before.
    Mismatch,
    /// Another copy is at work on it.
    Working,
    /// It is suspect, and is to be taken when no other suspect runs.
    Suspect,
    /// It ran as often as it may: this would be the next number.
    Exhausted(i32),
}

/// An outcome to be stored.
pub(crate) struct Finish {
    pub(crate) uid: Uid,
    pub(crate) run: i32,
    pub(crate) answer: String,
    pub(crate) journal: Vec<Journal>,
}

/// What became of it.
#[derive(Debug)]
pub(crate) enum Finished {
    /// It is the one that counts.
    Stored,
    /// Another run was first; this is its outcome.
    Beaten(Outcome),
    /// PostgreSQL cannot hold it.
    Unstorable,
}
