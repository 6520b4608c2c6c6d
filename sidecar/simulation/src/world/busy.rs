//! Publishers whose transactions have written something else long before their messages.
//!
//! Such a transaction has a lesser number than others that were committed before its messages were
//! inserted. So its messages come first where the outbox is read by transactions, though those of
//! the others are before them. Most of these publishers wait for a message with an ordering key, and
//! publish right after it, into the same chain.

use std::time::Duration;

use super::{
    World,
    book::Fate,
    event::Event,
    plan::{Letter, Way},
    publishing::Publishing,
};
use crate::postgres::Statement;

impl World {
    /// A publisher begins its transaction, and publishes after so long.
    pub(super) fn begin_busy(&mut self, at: usize, busy: Duration) {
        let ticket = self.scheduler.after(busy, Event::Publish(at));
        let Some(session) = self.begin_transaction(at) else { return };
        let waits = (!at.is_multiple_of(3)).then_some(ticket);
        let mut publishing = Publishing::new(session, Vec::new());
        publishing.waits = waits;
        self.publishers.insert(at, publishing);
        self.ask(session, Statement::TakeXid);
    }

    /// A message was committed: publishers who wait for one of their service publish at once.
    pub(super) fn follow(&mut self, fate: &Fate) {
        if fate.letter.key.is_none() || fate.letter.way == Way::Nobody || fate.due.is_some() {
            return;
        }
        for (at, publishing) in &mut self.publishers {
            let of = self.plan.transactions.get(*at).map(|transaction| transaction.service);
            if of == Some(fate.service)
                && let Some(ticket) = publishing.waits.take()
                && self.scheduler.take_back(ticket).is_some()
            {
                publishing.follows = Some((fate.letter.target, fate.letter.key));
                self.scheduler.after(Duration::ZERO, Event::Publish(*at));
            }
        }
    }

    /// The messages of a publisher: those of one who follows go where the one before has gone.
    pub(super) fn letters(&self, at: usize) -> Vec<Letter> {
        let follows = self.publishers.get(&at).and_then(|publishing| publishing.follows);
        let mut letters = self.plan.transactions[at].letters.clone();
        if let Some((target, key)) = follows {
            for letter in letters.iter_mut().filter(|letter| letter.way != Way::Nobody) {
                (letter.target, letter.key) = (target, key);
            }
        }
        letters
    }
}
