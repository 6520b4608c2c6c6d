//! A server that begins again: after a stop, after a crash, or as the standby of one that is gone.
//!
//! It is made of the log. A standby has a part of the log only, so that ids and transaction ids are handed out again and the
//! newest commits are lost.

use super::{
    heap::Heap,
    locks::{LockKind, Locks},
    notify::Queue,
    row::Service,
    sequence::Sequence,
    server::Server,
    session::SessionId,
    transactions::Transactions,
    wal::Record,
};
use crate::time::Time;

impl Server {
    /// The length of the log: what a standby has got when it has got everything.
    pub fn log_length(&self) -> usize {
        self.wal.len()
    }

    /// The place in the log at which the ids of a service were logged ahead for the last time, and the
    /// first id behind it.
    pub fn last_ids(&self, service: Service) -> Option<(usize, i64)> {
        self.wal.last_sequence(service)
    }

    /// The part of the log that no crash takes away.
    pub fn log_flushed(&self) -> usize {
        self.wal.flushed()
    }

    /// Stops in good order and starts again: every session ends, and no commit is lost.
    pub fn restart(&mut self, now: Time) {
        for session in self.sessions().collect::<Vec<_>>() {
            self.finish_commit(session, now);
            self.end(session);
        }
        self.wal.flush();
        self.sequences.iter_mut().for_each(Sequence::checkpoint);
        self.queue = Queue::default();
        self.started = now;
    }

    /// Falls and starts again from its log up to a place, which is not before what is on the disk.
    pub fn crash(&mut self, keep: usize, now: Time) {
        self.begin_again(keep.max(self.wal.flushed()), now);
    }

    /// A standby takes its place that has got the log up to a place.
    pub fn fail_over(&mut self, got: usize, now: Time) {
        self.begin_again(got, now);
        self.timeline += 1;
    }

    fn begin_again(&mut self, end: usize, now: Time) {
        self.sessions.clear();
        self.notifier = None;
        self.queue = Queue::default();
        self.locks = Locks::default();
        self.heap = Heap::default();
        self.transactions = Transactions::default();
        self.prepared.clear();
        self.sequences.iter_mut().for_each(|sequence| *sequence = Sequence::default());
        self.started = now;
        for record in self.wal.before(end) {
            match record {
                Record::Write(service, xid, row) => {
                    self.transactions.begin_as(*xid);
                    self.heap.put(*service, *xid, row.clone());
                }
                Record::Sequence(service, logged) => {
                    self.sequences[service.0] = Sequence::recovered(*logged);
                }
                Record::Prepare(xid, name, bells) => {
                    self.transactions.begin_as(*xid);
                    let holder = SessionId(self.next_session);
                    self.next_session += 1;
                    for service in bells {
                        self.locks.share((*service, LockKind::Bell), holder);
                    }
                    self.prepared.insert(name.clone(), (*xid, holder));
                }
                Record::Commit(xid) | Record::Abort(xid) => {
                    let commit = matches!(record, Record::Commit(_));
                    self.transactions.begin_as(*xid);
                    self.transactions.end(*xid, commit);
                    let over = self.prepared.extract_if(.., |_, (of, _)| of == xid).next();
                    if let Some((_, (_, holder))) = over {
                        self.locks.end_session(holder);
                    }
                }
            }
        }
        self.wal.cut(end);
        self.transactions.recover(self.prepared.values().map(|(xid, _)| *xid));
    }
}
