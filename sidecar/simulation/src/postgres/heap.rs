//! The rows of all tables, in versions: each belongs to the transaction that wrote it.

use std::{collections::BTreeMap, ops::Bound, sync::Arc};

use super::{
    row::{Key, Message, Row, Service, Table},
    transactions::{State, Transactions, View},
    xid::Xid,
};

/// A version of a row, and the transaction that wrote it.
#[derive(Clone, Debug)]
struct Version {
    by: Xid,
    row: Arc<Row>,
}

/// All rows.
#[derive(Clone, Debug, Default)]
pub struct Heap {
    rows: BTreeMap<Key, Vec<Version>>,
    /// The index of the outboxes by (tx, id).
    by_tx: BTreeMap<(Service, Xid, i64), Arc<Row>>,
}

impl Heap {
    /// Adds a version.
    pub fn put(&mut self, service: Service, by: Xid, row: Arc<Row>) {
        if let Row::Publish(message) = &*row {
            self.by_tx.insert((service, message.tx, message.id), row.clone());
        }
        self.rows.entry(row.key(service, by)).or_default().push(Version { by, row });
    }

    /// The newest version that is seen.
    pub fn get(&self, key: &Key, view: View) -> Option<&Row> {
        self.rows.get(key)?.iter().rev().find(|version| view.sees(version.by)).map(|version| &*version.row)
    }

    /// The newest version that was not rolled back, seen or not: what an inserter runs into, and what an update follows.
    pub fn newest(&self, key: &Key, transactions: &Transactions) -> Option<(Xid, &Row)> {
        let versions = self.rows.get(key)?;
        let live = versions.iter().rev().find(|version| transactions.state(version.by) != State::Aborted);
        live.map(|version| (version.by, &*version.row))
    }

    /// The rows of a table that are seen, by their keys.
    pub fn scan<'a>(
        &'a self,
        service: Service,
        table: Table,
        view: View<'a>,
    ) -> impl Iterator<Item = (&'a Key, &'a Row)> {
        let first = Key { service, table, uid: 0, number: i64::MIN };
        let last = Key { service, table, uid: u128::MAX, number: i64::MAX };
        self.rows.range(first..=last).filter_map(move |(key, _)| self.get(key, view).map(|row| (key, row)))
    }

    /// The versions of the rows with this uid in a table, by their numbers.
    pub fn of_uid<'a>(
        &'a self,
        service: Service,
        table: Table,
        uid: u128,
        view: View<'a>,
    ) -> impl DoubleEndedIterator<Item = &'a Row> {
        let key = |number| Key { service, table, uid, number };
        self.rows.range(key(i64::MIN)..=key(i64::MAX)).filter_map(move |(key, _)| self.get(key, view))
    }

    /// The messages of an outbox that are seen, in the order of (tx, id): after a place, and of transactions below `end`.
    pub fn messages<'a>(
        &'a self,
        service: Service,
        after: (Xid, i64),
        end: Xid,
        view: View<'a>,
    ) -> impl Iterator<Item = &'a Message> {
        let begin = Bound::Excluded((service, after.0, after.1));
        self.by_tx
            .range((begin, Bound::Unbounded))
            .take_while(move |((of, tx, _), _)| *of == service && *tx < end)
            .filter_map(move |((_, tx, _), row)| match &**row {
                Row::Publish(message) if view.sees(*tx) => Some(message),
                _ => None,
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::{row::Reply, snapshot::Snapshot};

    fn reply(status: &str) -> Arc<Row> {
        Arc::new(Row::Reply(Reply { mq_id: 1, status: status.into(), ..Reply::default() }))
    }

    #[test]
    fn a_version_is_seen_by_its_transaction_and_by_later_snapshots() {
        let (mut transactions, mut heap, service) = (Transactions::default(), Heap::default(), Service(0));
        let (lost, kept) = (transactions.begin(), transactions.begin());
        let key = reply("").key(service, lost);
        heap.put(service, lost, reply("lost"));
        transactions.end(lost, false);
        heap.put(service, kept, reply("kept"));
        let before: Snapshot = transactions.snapshot(None);
        assert_eq!(heap.newest(&key, &transactions), Some((kept, &*reply("kept"))));
        let get = |own, snapshot: &Snapshot, transactions: &Transactions| {
            heap.get(&key, View { transactions, snapshot, own }).cloned()
        };
        assert_eq!(get(Some(kept), &before, &transactions), Some((*reply("kept")).clone()));
        assert_eq!(get(None, &before, &transactions), None);
        transactions.end(kept, true);
        assert_eq!(get(None, &before, &transactions), None, "the statement began before");
        let now = transactions.snapshot(None);
        assert_eq!(get(None, &now, &transactions), Some((*reply("kept")).clone()));
    }
}
