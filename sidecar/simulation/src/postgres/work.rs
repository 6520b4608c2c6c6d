//! The rest of a statement that cannot end at once: what it still has to write, and for whom it waits.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use super::{
    row::{Cursor, Hold, Row, Service},
    statement::Answer,
    xid::Xid,
};
use crate::time::Time;

/// What a statement still has to do.
#[derive(Clone, Debug)]
pub enum Work {
    /// Insert rows, one after the other.
    Insert(Insert),
    /// Update the one row of a table.
    Update(Service, Change),
    /// End the transaction, and give the answer.
    Commit(Phase, Answer),
}

/// An INSERT under way.
#[derive(Clone, Debug)]
pub struct Insert {
    /// The service of the tables.
    pub service: Service,
    /// Rows to come.
    pub rows: VecDeque<Row>,
    /// Leaves out rows whose key is there: ON CONFLICT DO NOTHING. Otherwise these fail the statement.
    pub skips: bool,
    /// Rows that were inserted.
    pub inserted: Vec<Arc<Row>>,
    /// The answer that is made of them.
    pub returns: Returns,
}

/// The answer of an INSERT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Returns {
    /// The number of rows.
    Count,
    /// The number of replies, when the holds of those that have failed are written, too.
    Holding(Vec<Hold>),
    /// This number, which an INSERT before has made.
    Counted(usize),
    /// The ids of messages.
    Ids,
    /// The uids of rows of the inbox.
    Uids,
    /// The number of a counted repeat, if it was counted.
    Repeat,
    /// True if the message was cancelled, in which case its leader is notified.
    Cancelled,
}

/// A change of a row.
#[derive(Clone, Debug)]
pub enum Change {
    /// The cursor moves.
    Cursor(Cursor),
    /// Targets get a function for their replies, or have none any more.
    Callbacks(u8),
    /// The leader notes how much waits, as `backlog.note` does.
    Backlog {
        /// Messages without a reply.
        unsettled: i64,
        /// Nothing is left to be read.
        whole: bool,
        /// The last id that was read.
        read: i64,
    },
}

/// The next part of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// The callbacks before the commit: bells are tried, notifications are queued.
    Ringing,
    /// The commit is logged.
    Logging,
    /// Others see it.
    Showing,
    /// Locks are let go, listeners are signalled.
    Releasing,
}

/// A reason to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocker {
    /// This transaction has a row in hand.
    Transaction(Xid),
    /// Another session is committing notifications.
    Notifier,
    /// Nobody: the commit goes on when the scheduler wants it.
    Nobody,
}

/// A statement that waits.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// The rest of it.
    pub work: Work,
    /// The reason.
    pub on: Blocker,
    /// The moment since which it waits for this reason.
    pub since: Time,
    /// The longest that it waits.
    pub patience: Option<Duration>,
    /// It was looked for a deadlock.
    pub checked: bool,
}

impl Waiting {
    /// True if it is a commit that goes on by itself: nothing stops it any more.
    pub fn is_commit(&self) -> bool {
        matches!(self.work, Work::Commit(..)) && self.on == Blocker::Nobody
    }
}
