//! Letting go of what others have settled.

use rustc_hash::FxHashMap;
use tpro_wire::uid::Uid;

use super::{Leader, jobs::Done};
use crate::core::{outcome::Outcome, recall::Look, trace};

/// With no more rows than this waiting as ids, those that are settled are taken out after each page of the sweep; else at
/// its end, because all that wait are gone through.
const FEW: usize = 50_000;

impl Leader {
    /// Looks for replies that others have written.
    pub(super) fn begin_recall(&mut self) {
        let reads = self.reading || self.fetching || self.looking;
        let Some(look) = self.recall.look(&self.unsettled, reads, self.now) else { return };
        let ids: Vec<i64> = match look {
            Look::InFlight => self.in_flight.iter().map(|message| message.row.id).collect(),
            Look::Rows(ids) => ids,
        };
        self.count_read("recall");
        let outbox = self.outbox.clone();
        self.begin_job(async move {
            let gone = if ids.is_empty() { Vec::new() } else { outbox.settled(&ids).await? };
            Ok(Done::Recalled(gone))
        });
    }

    pub(super) fn on_recalled(&mut self, gone: &[i64]) {
        let over = self.recall.looked(self.now);
        if !gone.is_empty() {
            let in_flight: FxHashMap<i64, Uid> =
                self.in_flight.iter().map(|message| (message.row.id, message.row.uid)).collect();
            for id in gone {
                if let Some(uid) = in_flight.get(id) {
                    self.let_go(uid);
                } else {
                    // It waits as an id, is being fetched, or has an outcome that is on its way.
                    self.unsettled.remove(*id);
                    self.stale = true;
                }
            }
            self.pace.news();
        }
        if self.stale && (over || self.lanes.waiting() <= FEW) {
            self.stale = false;
            let unsettled = &self.unsettled;
            let forgotten = self.lanes.forget_waiting(|id| unsettled.contains(id));
            self.counts.cancelled.inc_by(forgotten as u64);
        }
    }

    /// Drops a message in flight that has a reply.
    fn let_go(&mut self, uid: &Uid) {
        let Some(mut message) = self.in_flight.remove(uid) else { return };
        let outcome = Outcome::cancelled();
        if message.attempt == 0 {
            trace::stay(&self.app.spans, &message.row, &outcome, self.app.clock.now());
        } else {
            trace::arrive(&mut message, &outcome);
        }
        self.lanes.land(message.lane, message.row.weight(), message.refused(), 0);
        self.lanes.settled(1, 0);
        self.unsettled.remove(message.row.id);
        self.counts.cancelled.inc();
    }

    /// A row was read that has a reply already.
    pub(super) fn pass_over(&mut self, id: i64) {
        self.unsettled.remove(id);
        self.counts.cancelled.inc();
    }
}
