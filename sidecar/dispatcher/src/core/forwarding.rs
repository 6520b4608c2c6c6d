//! Replies on their way to the subscribers of labels: rows that name a label in `reply_to`.
//!
//! The table is the truth: a reply is read of it after its commit and published as it is there. A
//! row is owed until the NATS server has its reply, which the echo behind it says. Until then the
//! cursor names the row as pending, so that a leader after this one publishes the reply again.
//! Rows without a label are never here.

use std::collections::VecDeque;

use rustc_hash::FxHashSet;
use tpro_wire::{status::Status, uid::Uid};

/// Replies read at a time. Each may be as large as a reply can be.
const PAGE: usize = 50;

/// A reply for the subscribers of a label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forward {
    /// The row.
    pub id: i64,
    /// Its identity.
    pub uid: Uid,
    /// The label.
    pub label: String,
    /// The end of the message.
    pub status: Status,
    /// The bare result of an ok reply, the bare error object of any other: JSON text.
    pub payload: Vec<u8>,
}

/// The replies that are owed to subscribers.
#[derive(Default)]
pub struct Forwarding {
    /// Rows whose reply the server is not known to have.
    owed: FxHashSet<i64>,
    /// Those of them whose reply is to be read.
    due: VecDeque<i64>,
    /// Those of them whose reply is being read.
    reading: Vec<i64>,
    /// Replies that are to be handed to NATS.
    ready: VecDeque<Forward>,
}

impl Forwarding {
    /// The reply of this row is to be published.
    pub fn owe(&mut self, id: i64) {
        if self.owed.insert(id) {
            self.due.push_back(id);
        }
    }

    /// The reply of this row was published, and may be lost.
    pub fn again(&mut self, id: i64) {
        if self.owed.contains(&id) {
            self.due.push_back(id);
        }
    }

    /// True if the reply of this row is to be published, or may be lost.
    pub fn owes(&self, id: i64) -> bool {
        !self.owed.is_empty() && self.owed.contains(&id)
    }

    /// True if the server has the replies of all rows that name a label.
    pub fn is_idle(&self) -> bool {
        self.owed.is_empty()
    }

    /// True if a reply is to be handed to NATS.
    pub fn is_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Lets go of a row: the server has its reply, or there is no reply to publish.
    pub fn done(&mut self, id: i64) {
        self.owed.remove(&id);
    }

    /// The rows whose replies are to be read now; none while others are.
    pub fn read(&mut self) -> Option<Vec<i64>> {
        if self.due.is_empty() || !self.reading.is_empty() || self.is_ready() {
            return None;
        }
        self.reading = self.due.drain(..self.due.len().min(PAGE)).collect();
        Some(self.reading.clone())
    }

    /// Replies were read, in the order of ids. Returns the rows that have none to be published.
    pub fn were_read(&mut self, replies: Vec<Forward>) -> Vec<i64> {
        let mut without = std::mem::take(&mut self.reading);
        without.retain(|id| replies.binary_search_by_key(id, |reply| reply.id).is_err());
        without.iter().for_each(|id| self.done(*id));
        self.ready.extend(replies);
        without
    }

    /// The next reply that is handed to NATS.
    pub fn next(&mut self) -> Option<Forward> {
        self.ready.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(id: i64) -> Forward {
        let uid = Uid::v7(1, [1; 10]);
        Forward { id, uid, label: "a".into(), status: Status::Ok, payload: b"1".to_vec() }
    }

    #[test]
    fn a_row_is_owed_from_its_reply_until_the_server_has_it() {
        let mut forwarding = Forwarding::default();
        assert!(forwarding.is_idle() && forwarding.read().is_none());
        forwarding.owe(1);
        forwarding.owe(1);
        assert_eq!(forwarding.read(), Some(vec![1]));
        forwarding.owe(2);
        assert_eq!(forwarding.read(), None, "one read at a time");
        assert!(forwarding.were_read(vec![reply(1)]).is_empty());
        assert_eq!(forwarding.next().map(|reply| reply.id), Some(1));
        assert!(forwarding.owes(1) && forwarding.owes(2));
        assert_eq!(forwarding.read(), Some(vec![2]));
        assert_eq!(forwarding.were_read(Vec::new()), [2], "its partition was dropped");
        forwarding.again(1);
        assert_eq!(forwarding.read(), Some(vec![1]), "it was lost with its connection");
        forwarding.done(1);
        assert!(forwarding.is_idle());
        forwarding.again(1);
        assert!(forwarding.were_read(Vec::new()).len() == 1 && forwarding.read().is_none());
    }

    #[test]
    fn replies_are_read_by_pages() {
        let mut forwarding = Forwarding::default();
        (1..=PAGE as i64 + 1).for_each(|id| forwarding.owe(id));
        assert_eq!(forwarding.read().map(|ids| ids.len()), Some(PAGE));
        assert!(!forwarding.were_read((1..=PAGE as i64).map(reply).collect()).contains(&1));
        assert!(forwarding.read().is_none(), "what was read goes first");
        while forwarding.next().is_some() {}
        assert_eq!(forwarding.read(), Some(vec![PAGE as i64 + 1]));
    }
}
