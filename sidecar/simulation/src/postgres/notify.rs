//! The queue of notifications: each waits there until its transaction is over, in the order of commits.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    transactions::{State, Transactions},
    xid::Xid,
};

/// A notification.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Note {
    /// Its channel.
    pub channel: Arc<str>,
    /// Its payload.
    pub payload: Arc<str>,
}

/// The queue of a server.
#[derive(Clone, Debug, Default)]
pub struct Queue(Vec<(Xid, Note)>);

impl Queue {
    /// Adds the notifications of a transaction that is about to commit.
    pub fn push(&mut self, by: Xid, notes: Vec<Note>) {
        self.0.extend(notes.into_iter().map(|note| (by, note)));
    }

    /// The place from which a session that begins to listen reads: behind what was committed before.
    pub fn begin(&self, transactions: &Transactions) -> usize {
        let running = |(by, _): &(Xid, Note)| transactions.state(*by) == State::Running;
        self.0.iter().position(running).unwrap_or(self.0.len())
    }

    /// Reads from a place up to the first whose transaction is not over: the new place, and what was heard on the way.
    pub fn read(
        &self,
        from: usize,
        channels: &BTreeSet<Arc<str>>,
        transactions: &Transactions,
    ) -> (usize, Vec<Note>) {
        let mut heard = Vec::new();
        for (at, (by, note)) in self.0.iter().enumerate().skip(from) {
            match transactions.state(*by) {
                State::Running => return (at, heard),
                State::Committed if channels.contains(&note.channel) => heard.push(note.clone()),
                State::Committed | State::Aborted => {}
            }
        }
        (self.0.len(), heard)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(channel: &str) -> Note {
        Note { channel: channel.into(), payload: "".into() }
    }

    #[test]
    fn nothing_is_heard_before_its_commit_nor_past_one_that_is_not_over() {
        let (mut queue, mut transactions) = (Queue::default(), Transactions::default());
        let (first, second, lost) = (transactions.begin(), transactions.begin(), transactions.begin());
        let channels = BTreeSet::from(["a".into()]);
        queue.push(first, vec![note("a"), note("b")]);
        queue.push(second, vec![note("a")]);
        queue.push(lost, vec![note("a")]);
        transactions.end(second, true);
        assert_eq!(queue.read(0, &channels, &transactions), (0, vec![]), "the first is not over");
        assert_eq!(queue.begin(&transactions), 0);
        transactions.end(first, true);
        assert_eq!(queue.read(0, &channels, &transactions), (3, vec![note("a"), note("a")]));
        transactions.end(lost, false);
        assert_eq!(queue.read(3, &channels, &transactions), (4, vec![]));
        assert_eq!(queue.begin(&transactions), 4);
    }
}
