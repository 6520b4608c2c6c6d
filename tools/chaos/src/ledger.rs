//! The publishers' own truth: what they know to be committed, what they know to be rolled back, and what they could not
//! learn. The oracle holds the outbox against it.

use std::sync::{Mutex, MutexGuard};
use std::time::SystemTime;

use crate::traffic::Mark;

/// What a publisher knows of the end of its transaction.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum End {
    /// The server said so.
    Committed,
    /// No COMMIT was sent, or the server rolled back.
    RolledBack,
    /// The answer to the COMMIT did not come.
    Unknown,
}

/// One transaction.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its id, if it was asked for before the end: `pg_xact_status` can tell an unknown end.
    pub xid: Option<u64>,
    /// When it began.
    pub begun: SystemTime,
    /// Whether it outlives a crash of the server without being committed: the server said that it is prepared.
    pub prepared: bool,
    /// How it ended.
    pub end: End,
    /// The rows that are there if it committed.
    pub kept: Vec<Mark>,
    /// The rows that are not there whatever happened: rolled back to a savepoint or by an exception.
    pub gone: Vec<Mark>,
}

/// All transactions.
#[derive(Default)]
pub struct Ledger {
    entries: Mutex<Vec<Entry>>,
}

impl Ledger {
    /// Takes down a transaction that is over.
    pub fn write(&self, entry: Entry) {
        self.entries().push(entry);
    }

    /// All that was taken down.
    pub fn read(&self) -> Vec<Entry> {
        self.entries().clone()
    }

    /// Transactions, and of them those rolled back and those whose end is unknown.
    pub fn counts(&self) -> (usize, usize, usize) {
        let entries = self.entries();
        let count = |end| entries.iter().filter(|entry| entry.end == end).count();
        (entries.len(), count(End::RolledBack), count(End::Unknown))
    }

    fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
