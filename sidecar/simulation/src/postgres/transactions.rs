//! The transactions of a server: which run, and how the others ended.

use std::collections::BTreeSet;

use super::{snapshot::Snapshot, xid::Xid};

/// The first id that a service's transaction has. Those before it belong to the making of the cluster.
const FIRST: Xid = Xid(1_000);

/// How a transaction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is in progress for everybody else.
    Running,
    /// Its commit is visible.
    Committed,
    /// It was rolled back, or never known.
    Aborted,
}

/// The transactions of a server.
#[derive(Clone, Debug)]
pub struct Transactions {
    next: Xid,
    /// The greatest id of a transaction that is over.
    latest: Xid,
    running: BTreeSet<Xid>,
    committed: BTreeSet<Xid>,
}

impl Default for Transactions {
    fn default() -> Self {
        Self { next: FIRST, latest: Xid(FIRST.0 - 1), running: BTreeSet::new(), committed: BTreeSet::new() }
    }
}

impl Transactions {
    /// Gives a transaction its id.
    pub fn begin(&mut self) -> Xid {
        let xid = self.next;
        self.begin_as(xid);
        xid
    }

    /// A transaction runs under an id that the log tells.
    pub fn begin_as(&mut self, xid: Xid) {
        self.next = self.next.max(xid.next());
        self.running.insert(xid);
    }

    /// The transaction is over, and everybody sees it so.
    pub fn end(&mut self, xid: Xid, committed: bool) {
        self.running.remove(&xid);
        self.latest = self.latest.max(xid);
        if committed {
            self.committed.insert(xid);
        }
    }

    /// All that run are rolled back but those that are prepared, and whatever id was given out is over: a server begins again.
    pub fn recover(&mut self, prepared: impl Iterator<Item = Xid>) {
        let prepared: BTreeSet<Xid> = prepared.collect();
        self.running.retain(|xid| prepared.contains(xid));
        self.latest = Xid(self.next.0 - 1);
    }

    /// How a transaction stands.
    pub fn state(&self, xid: Xid) -> State {
        match (self.running.contains(&xid), self.committed.contains(&xid)) {
            (true, _) => State::Running,
            (false, true) => State::Committed,
            (false, false) => State::Aborted,
        }
    }

    /// The snapshot of this moment for a transaction with this id. Its own id is not among the open ones, but is no less than
    /// `xmin`.
    pub fn snapshot(&self, own: Option<Xid>) -> Snapshot {
        let xmax = self.latest.next();
        let open: Vec<Xid> = self.running.range(..xmax).copied().filter(|xid| Some(*xid) != own).collect();
        let xmin = open.first().copied().into_iter().chain(own).fold(xmax, Xid::min);
        Snapshot::new(xmin, xmax, open)
    }
}

/// What a statement sees: its snapshot, and what its own transaction has written.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// The transactions.
    pub transactions: &'a Transactions,
    /// The snapshot of the statement.
    pub snapshot: &'a Snapshot,
    /// Its own transaction.
    pub own: Option<Xid>,
}

impl View<'_> {
    /// True if the statement sees what this transaction has written.
    pub fn sees(&self, by: Xid) -> bool {
        self.own == Some(by) || (self.snapshot.sees(by) && self.transactions.state(by) == State::Committed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_ends_behind_the_latest_that_is_over() {
        let mut transactions = Transactions::default();
        let (a, b, c) = (transactions.begin(), transactions.begin(), transactions.begin());
        assert_eq!(transactions.snapshot(None), Snapshot::at(a), "none is over");
        transactions.end(b, true);
        assert_eq!(transactions.snapshot(None), Snapshot::new(a, c, vec![a]));
        assert_eq!(transactions.snapshot(Some(a)), Snapshot::new(a, c, vec![]), "its own is not open");
        transactions.end(c, false);
        assert_eq!(transactions.snapshot(None), Snapshot::new(a, c.next(), vec![a]));
    }

    #[test]
    fn an_open_and_a_rolled_back_transaction_are_not_seen_but_ones_own_is() {
        let mut transactions = Transactions::default();
        let ids = [transactions.begin(), transactions.begin(), transactions.begin()];
        transactions.end(ids[1], true);
        transactions.end(ids[2], false);
        let snapshot = transactions.snapshot(Some(ids[0]));
        let view = |own| View { transactions: &transactions, snapshot: &snapshot, own };
        assert_eq!(ids.map(|xid| view(Some(ids[0])).sees(xid)), [true, true, false]);
        let snapshot = transactions.snapshot(None);
        let view = View { transactions: &transactions, snapshot: &snapshot, own: None };
        assert_eq!(ids.map(|xid| view.sees(xid)), [false, true, false]);
    }

    #[test]
    fn what_ran_when_the_server_fell_is_over_but_what_was_prepared() {
        let mut transactions = Transactions::default();
        let (lost, prepared) = (transactions.begin(), transactions.begin());
        transactions.recover([prepared].into_iter());
        assert_eq!(transactions.state(lost), State::Aborted);
        assert_eq!(transactions.state(prepared), State::Running);
        assert_eq!(transactions.snapshot(None), Snapshot::new(prepared, prepared.next(), vec![prepared]));
    }
}
