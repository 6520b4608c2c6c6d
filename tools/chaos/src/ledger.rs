//! The publishers' own truth: the rows that they know to be committed, those that they know to be
//! rolled back, and those of which they could not learn the end. The oracle holds the outbox
//! against it.

use std::sync::{Mutex, MutexGuard};
use std::time::SystemTime;

use crate::traffic::Mark;

/// The end of a transaction, as far as its publisher knows it.
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
    /// The time at which it began.
    pub begun: SystemTime,
    /// True if it outlives a crash of the server without being committed: the server said that it
    /// is prepared.
    pub prepared: bool,
    /// The end of it.
    pub end: End,
    /// The rows that are there if it committed.
    pub kept: Vec<Mark>,
    /// The rows that are not there in any case: rolled back to a savepoint or by an exception.
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
