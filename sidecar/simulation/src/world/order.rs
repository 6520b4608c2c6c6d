//! The order by key: a message is not sent before the reply of one that was there before it.
//!
//! The messages of one sender, one target service and one ordering key are a chain. One of them is
//! before another if it was committed before the INSERT of that one. Then it has the lesser id.
//! Nothing is promised of those whose transactions overlap, and of one that is sent at its time: it
//! comes when it is due. One that a failover has lost is not there.

use super::{
    AFTERWARDS, World,
    book::{Book, Fate, SHOWN},
};
use crate::{
    postgres::{Message, Reply, Service, SessionId},
    time::Time,
};

impl World {
    /// A message is handed to NATS, for the first time or again, by the leader on this session.
    ///
    /// A leader that was deposed is no exception: it must not send what the one after it may not
    /// send. One whose session the server has ended may not know yet that a failover has taken a
    /// reply back: it goes by what was committed before. The leader after it sends the message with
    /// that reply again, and then this one.
    pub(super) fn look_at_order(&mut self, session: SessionId, uid: u128) {
        let Some(fate) = self.book.fates.get(&uid) else { return };
        let (Some(id), Some(inserted)) = (fate.id, fate.inserted) else { return };
        if fate.let_through {
            // A copy of the one that has failed goes before all that wait for that.
            return self.coverage.at("order:retried");
        }
        let since = fate.committed.unwrap_or(inserted);
        if fate.sent.is_none() && self.book.released(fate).any(|released| released > since) {
            self.coverage.at("order:released");
        }
        let (mut waited, mut went_on, mut broken) = (false, false, Vec::new());
        for other in self.book.chain(fate).filter(|other| other.id.is_some_and(|other| other < id)) {
            let Some(committed) = other.committed else { continue };
            let is_before = committed < inserted && other.due.is_none();
            if is_before && fate.settled.is_none() && self.is_holding(other, session) {
                let before = other.id.unwrap_or_default();
                broken.push(format!("message {id} is sent while {before} holds its key"));
            }
            if let Some(settled) = other.settled {
                if fate.sent.is_none() && fate.committed.is_some_and(|committed| committed < settled) {
                    waited = true;
                    went_on |= other.sender.is_some_and(|sender| sender != session);
                }
            } else if is_before && !self.is_replied(other, session) {
                let before = other.id.unwrap_or_default();
                broken.push(format!("message {id} is sent before the reply of {before}, with its key"));
            }
        }
        self.book.broken.append(&mut broken);
        if waited {
            self.coverage.at("order:waits");
        }
        if went_on {
            self.coverage.at("order:goes-on-after-takeover");
        }
    }

    /// True if the leader on this session may take a message for settled of which the book does not
    /// say so. A commit is visible before its end, and of some nobody hears.
    fn is_replied(&self, fate: &Fate, session: SessionId) -> bool {
        let is_there = fate.id.is_some_and(|id| self.database.reply_of(Service(fate.service), id).is_some());
        is_there || (fate.lost_reply && !self.database.is_open(session))
    }

    /// True if a message holds its key, and the leader on this session must know. With a failover a hold comes back of which such a leader has seen
    /// the end.
    fn is_holding(&self, fate: &Fate, session: SessionId) -> bool {
        let may_not_know = self.book.lost.is_some() && !self.database.is_open(session);
        if !fate.may_hold() || may_not_know {
            return false;
        }
        self.database.holds(Service(fate.service)).iter().any(|hold| Some(hold.id) == fate.id)
    }

    /// True if a message that is not settled may still wait for those before it: one of its chain was
    /// settled, or let its key go, not long ago, or holds it now.
    pub(super) fn is_held(&self, fate: &Fate) -> bool {
        let now = self.now();
        let settled = self.book.chain(fate).filter_map(|other| other.settled);
        settled.chain(self.book.released(fate)).any(|ended| now - ended < AFTERWARDS)
            || self
                .database
                .holds(Service(fate.service))
                .iter()
                .any(|hold| Some(Book::chain_of(fate.service, hold)) == fate.chain())
    }

    /// The hold of a message that is settled: one that has failed has left it, and it is there
    /// unless an operator has let the key go, or a copy has ended well. One that ended well has
    /// none.
    pub(super) fn look_at_hold(&self, service: usize, of: &Message, reply: &Reply, broken: &mut Vec<String>) {
        let Some(fate) = self.book.fates.get(&of.uid) else { return };
        let (id, holds) = (of.id, self.database.holds(Service(service)));
        let is_there = holds.iter().any(|hold| hold.id == id);
        let is_repeated = || {
            let mut copies = self.book.chain(fate).filter(|other| other.let_through);
            copies.any(|copy| self.has_ended_well(copy))
        };
        let is_over = || {
            let settled = fate.settled.unwrap_or(Time::START);
            self.book.released(fate).any(|released| released + SHOWN >= settled)
        };
        match &*reply.status {
            "ok" if is_there => broken.push(format!("message {id} ended well and holds its key")),
            _ if is_there && !fate.may_hold() => broken.push(format!("message {id} holds its key unasked")),
            "ok" | "cancelled" => {}
            status if fate.may_hold() && !is_there && !is_repeated() && !is_over() => {
                broken.push(format!("message {id} ended as {status} and has not held its key"));
            }
            _ => {}
        }
    }

    fn has_ended_well(&self, fate: &Fate) -> bool {
        let reply = fate.id.and_then(|id| self.database.reply_of(Service(fate.service), id));
        reply.is_some_and(|reply| &*reply.status == "ok")
    }
}
