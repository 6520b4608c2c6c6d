//! Letting go of what others have settled.

use rustc_hash::FxHashMap;

use super::{Core, Statement, in_flight::Key, outcome::Outcome, recall::Look, trace};

/// With no more rows than this waiting as ids, those that are settled are taken out after each page
/// of the sweep; else at its end, because all that wait are gone through.
const FEW: usize = 50_000;

impl Core {
    /// Looks for replies that others have written.
    pub(super) fn begin_recall(&mut self) {
        let Some(look) = self.reading.look(self.schedule.unsettled(), self.now) else { return };
        let ids: Vec<i64> = match look {
            Look::InFlight => {
                self.chains.rung();
                self.messages.keyed().map(|(_, message)| message.row.id).collect()
            }
            Look::Rows(ids) => ids,
        };
        self.count_read("recall");
        self.run(Statement::Recall(ids));
    }

    pub(super) fn on_recalled(&mut self, gone: &[i64], owed: &[i64]) {
        let over = self.reading.looked(self.now);
        if !gone.is_empty() {
            let in_flight: FxHashMap<i64, Key> =
                self.messages.keyed().map(|(key, message)| (message.row.id, key)).collect();
            for id in gone {
                // It was settled here while the look was under way.
                if !self.schedule.unsettled().contains(*id) {
                    continue;
                }
                match in_flight.get(id) {
                    Some(key) => self.let_go(*key),
                    // It waits as an id, is being fetched, or has an outcome that is on its way.
                    None => self.schedule.settled_by_others(),
                }
                self.note_reply(*id, owed.binary_search(id).is_ok());
            }
            self.schedule.news();
        }
        if (over || self.waiting() <= FEW) && self.schedule.take_stale() {
            let (schedule, forwarding) = (&self.schedule, &self.forwarding);
            let awaits_reply = |id: i64| schedule.unsettled().contains(id) && !forwarding.owes(id);
            let forgotten =
                self.lanes.forget_waiting(awaits_reply) + self.chains.forget_waiting(awaits_reply);
            self.counts.cancelled.inc_by(forgotten as u64);
        }
    }

    /// Drops a message in flight that has a reply.
    fn let_go(&mut self, key: Key) {
        let time = self.time();
        let Some(mut message) = self.messages.remove(key) else { return };
        let outcome = Outcome::cancelled();
        if message.attempt == 0 {
            trace::stay(&self.spans, &message.row, &outcome, time);
        } else {
            trace::arrive(&mut message, &outcome);
        }
        self.lanes.let_go(message.lane, message.row.weight(), message.place());
        self.counts.cancelled.inc();
    }

    /// A row was read that has a reply already.
    pub(super) fn pass_over(&mut self, id: i64, forwards: bool) {
        self.note_reply(id, forwards);
        self.counts.cancelled.inc();
    }
}
