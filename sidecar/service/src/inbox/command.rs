//! Commands to the writer.

use std::sync::Arc;

use tokio::{sync::oneshot, time::Instant};
use tpro_wire::Uid;

use super::{
    question::Question,
    verdict::{Refusal, Verdict},
};
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
    /// No other suspect runs in this copy, so the message may be taken even if it is suspect.
    pub(crate) alone: bool,
}

/// The verdict on a message, with the outcome where there is one.
#[derive(Debug)]
pub(crate) enum Accepted {
    /// The handler runs, and this is the number of the run.
    Run(i32),
    /// The outcome is stored. `ours`: this copy took the last run.
    Done { outcome: Outcome, ours: bool },
    /// All runs began and none was finished.
    Exhausted {
        /// The number that the next would have.
        run: i32,
        /// The runs that began.
        begun: i32,
    },
    /// No handler runs here for it now.
    Refused(Refusal),
}

impl Accepted {
    /// The verdict, with the outcome that it may be about.
    pub(super) fn of(verdict: Verdict, outcome: impl FnOnce() -> Outcome) -> Self {
        match verdict {
            Verdict::Run(run) => Self::Run(run),
            Verdict::Done { ours } => Self::Done { outcome: outcome(), ours },
            Verdict::Exhausted { run, begun } => Self::Exhausted { run, begun },
            Verdict::Refused(refusal) => Self::Refused(refusal),
        }
    }
}

/// An outcome to be stored.
pub(crate) struct Finish {
    pub(crate) uid: Uid,
    /// When the message came. It was accepted later.
    pub(crate) received: Instant,
    pub(crate) run: i32,
    pub(crate) answer: String,
    pub(crate) journal: Vec<Journal>,
}

/// The end of it.
#[derive(Debug)]
pub(crate) enum Finished {
    /// It is the one that counts.
    Stored,
    /// Another run was first; this is its outcome.
    Beaten(Outcome),
    /// PostgreSQL cannot hold it.
    Unstorable,
}
