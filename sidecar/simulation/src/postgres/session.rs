//! A session of a client, and its transaction.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use super::{notify::Note, row::Service, work::Waiting, xid::Xid};
use crate::time::Time;

/// A session's backend pid. It is not given out again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u32);

/// A session.
#[derive(Clone, Debug)]
pub struct Session {
    /// The begin of its backend, by the clock of the server's host: `backend_start`.
    pub started: Time,
    /// The begin or end of its last statement.
    pub changed: Time,
    /// That moment by the clock of the server's host: `state_change`.
    pub shown: Time,
    /// Its transaction.
    pub transaction: Option<Transaction>,
    /// Its statement, when that waits.
    pub waiting: Option<Waiting>,
    /// `lock_timeout` of the session.
    pub lock_timeout: Option<Duration>,
    /// `statement_timeout`.
    pub statement_timeout: Option<Duration>,
    /// `idle_in_transaction_session_timeout`.
    pub idle_timeout: Option<Duration>,
    /// Channels that it listens on.
    pub channels: BTreeSet<Arc<str>>,
    /// Its place in the queue of notifications.
    pub place: usize,
    /// It was told that there are notifications, and has not looked.
    pub signalled: bool,
    /// Notifications that were sent to the client.
    pub notes: Vec<Note>,
    /// The client is gone, and the server notices when the statement is over.
    pub gone: bool,
    /// The backend stands still.
    pub frozen: bool,
    /// It is to end as soon as it can.
    pub terminated: bool,
}

impl Session {
    /// A session that begins now, at this time by the clock of the server's host.
    pub fn new(now: Time, clock: Time) -> Self {
        Self {
            started: clock,
            changed: now,
            shown: clock,
            transaction: None,
            waiting: None,
            lock_timeout: None,
            statement_timeout: None,
            idle_timeout: None,
            channels: BTreeSet::new(),
            place: 0,
            signalled: false,
            notes: Vec::new(),
            gone: false,
            frozen: false,
            terminated: false,
        }
    }

    /// The id of its transaction, if it has one.
    pub fn xid(&self) -> Option<Xid> {
        self.transaction.as_ref()?.xid
    }

    /// The longest that a statement of it waits for a lock.
    pub fn patience(&self) -> Option<Duration> {
        self.transaction.as_ref().and_then(|transaction| transaction.patience).or(self.lock_timeout)
    }

    /// True if its backend waits for the client, outside of a transaction.
    pub fn is_idle(&self) -> bool {
        self.transaction.is_none() && self.waiting.is_none()
    }
}

/// A transaction.
#[derive(Clone, Debug, Default)]
pub struct Transaction {
    /// Its id, from its first write on.
    pub xid: Option<Xid>,
    /// Begun by BEGIN; otherwise it ends with its statement.
    pub explicit: bool,
    /// It has failed, and waits for its ROLLBACK.
    pub failed: bool,
    /// Services whose outbox it has inserted into.
    pub published: BTreeSet<Service>,
    /// Services for which it has published what is sent later, and the first time of that.
    pub later: BTreeMap<Service, Time>,
    /// Its notifications.
    pub notes: Vec<Note>,
    /// Channels that it begins to listen on.
    pub listens: Vec<Arc<str>>,
    /// `lock_timeout`, where a statement has set it for the transaction.
    pub patience: Option<Duration>,
}
