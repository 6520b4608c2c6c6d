//! The inbox of a copy: accepts and outcomes that are written together.

use tpro_service::inbox::verdict::Bid;

use crate::{postgres::SessionId, time::Time};

/// An outcome to be stored.
#[derive(Clone, Debug)]
pub struct Finish {
    /// The run of the copy that has made it.
    pub run: u64,
    /// The message.
    pub uid: u128,
    /// When it came. It was accepted later.
    pub received: Time,
    /// The number of the run.
    pub number: i32,
    /// The stored form.
    pub answer: String,
}

/// The next answer that the session gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stage {
    /// Nothing is asked.
    #[default]
    Idle,
    /// It says that the copy lives.
    Present,
    /// BEGIN.
    Begin,
    /// The outcomes.
    Finish,
    /// The accepts.
    Accept,
    /// COMMIT.
    Commit,
    /// Outcomes that were first.
    Beaten,
    /// The knowledge about repeats.
    Known,
    /// ROLLBACK, before another try.
    Undo,
    /// A moment before another try.
    Paused,
}

/// The inbox.
#[derive(Default)]
pub struct Inbox {
    /// Its session.
    pub session: Option<SessionId>,
    /// When the session was opened.
    pub since: Time,
    /// The session holds the lock that says that the copy lives.
    pub is_present: bool,
    /// The answer that is awaited.
    pub stage: Stage,
    /// Bids of runs that are being written.
    pub accepts: Vec<(u64, Bid)>,
    /// Outcomes that are being written.
    pub finishes: Vec<Finish>,
    /// Those that were stored.
    pub stored: Vec<u128>,
    /// Those that were taken.
    pub taken: Vec<u128>,
    /// Bids that wait.
    pub next_accepts: Vec<(u64, Bid)>,
    /// Outcomes that wait.
    pub next_finishes: Vec<Finish>,
}
