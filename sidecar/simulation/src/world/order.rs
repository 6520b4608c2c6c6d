//! The order by key: a message is not sent before the reply of one that was there before it.
//!
//! The messages of one sender, one target service and one ordering key are a chain. One of them is
//! before another if it was committed before the INSERT of that one. Then it has the lesser id.
//! Nothing is promised of those whose transactions overlap, and of one that is sent at its time: it
//! comes when it is due. One that a failover has lost is not there.

use super::{AFTERWARDS, World, book::Fate};
use crate::postgres::{Service, SessionId};

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
        let (mut waited, mut went_on, mut broken) = (false, false, Vec::new());
        for other in self.book.chain(fate).filter(|other| other.id.is_some_and(|other| other < id)) {
            let Some(committed) = other.committed else { continue };
            if let Some(settled) = other.settled {
                if fate.sent.is_none() && fate.committed.is_some_and(|committed| committed < settled) {
                    waited = true;
                    went_on |= other.sender.is_some_and(|sender| sender != session);
                }
            } else if committed < inserted && other.due.is_none() && !self.is_replied(other, session) {
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

    /// True if a message that is not settled may still wait for those before it: one of its chain was
    /// settled not long ago.
    pub(super) fn is_held(&self, fate: &Fate) -> bool {
        let now = self.now();
        self.book.chain(fate).any(|other| other.settled.is_some_and(|settled| now - settled < AFTERWARDS))
    }
}
