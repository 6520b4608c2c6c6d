//! Outcomes on their way out: to a reply handler or straight into the batch, and off the books once they are written.

use futures_util::FutureExt as _;
use tpro_runtime::settlement::Settlement;
use tpro_wire::{status::Status, target::Target, trace::TraceParent, uid::Uid};

use super::Leader;
use crate::{
    core::{
        in_flight::Key,
        lane_id::LaneId,
        outcome::Outcome,
        published::{Broken, Published},
        reply_queue::Place,
        settled::Settled,
        settler::Written,
        trace,
    },
    driver::stuck::SWALLOWED,
    metrics::Ended,
};

/// An outcome that was given to a reply handler, and its end.
pub(super) struct Handled {
    place: Place,
    settled: Settled,
    end: HandlerEnd,
}

/// The end of a reply handler.
enum HandlerEnd {
    /// It is written, and known to be committed.
    Written,
    /// The database was not there for its handler, which has not run to its end: another try.
    Again,
    /// It is to be written without its handler.
    Unwritten,
}

impl Leader {
    /// A message has its outcome.
    pub(super) fn settle(&mut self, key: Key, outcome: Outcome) {
        let Some(uid) = self.in_flight.get_mut(key).map(|message| message.row.uid) else { return };
        let Some(mut message) = self.in_flight.remove(&uid) else { return };
        trace::arrive(&mut message, &outcome);
        if outcome.status != Status::Ok && outcome.responder.is_none() {
            tracing::debug!(
                message.id = %uid, trace.id = %message.producer.trace_id_hex(), tpro.target = %message.row.target,
                attempts = message.attempt, "settled as {}", outcome.status
            );
        }
        let bytes = outcome.len();
        self.lanes.land(message.lane, message.row.weight(), message.refused(), bytes);
        let settlement = Settlement {
            id: message.row.id,
            uid,
            target: message.row.target,
            status: outcome.status,
            result: outcome.result,
            error: outcome.error,
            headers: None,
            attempts: i32::try_from(message.attempt).unwrap_or(i32::MAX),
            sent_at: message.first_sent,
            responder: outcome.responder,
            traceparent: message.producer,
        };
        self.route(Settled { settlement, bytes, lane: message.lane });
    }

    /// A row has its outcome without having flown.
    pub(super) fn settle_unsent(&mut self, row: Published, lane: LaneId, outcome: Outcome) {
        let producer = trace::stay(&self.app.spans, &row, &outcome, self.app.clock.now());
        self.settle_row(row.id, row.uid, row.target, lane, producer, outcome);
    }

    /// A row with a value that no publish lets in: only somebody who went around the rules can make one.
    pub(super) fn settle_broken(&mut self, id: i64, lane: LaneId, broken: Broken) {
        let Broken { column, uid, target } = broken;
        tracing::error!(
            row.id = id,
            column,
            "a row of the outbox has a value that the rules refuse; it is not sent"
        );
        // Without a uid there is nothing to settle under; it stays as it is.
        let Some(uid) = uid else { return };
        let Some(target) = target.or_else(|| Target::new("tpro", "unknown", "unknown", "unknown").ok())
        else {
            return;
        };
        let traceparent = TraceParent::root([0; 24], false);
        self.settle_row(id, uid, target, lane, traceparent, Outcome::broken(column));
    }

    fn settle_row(
        &mut self,
        id: i64,
        uid: Uid,
        target: Target,
        lane: LaneId,
        traceparent: TraceParent,
        outcome: Outcome,
    ) {
        let bytes = outcome.len();
        self.lanes.settle_unsent(bytes);
        let settlement = Settlement {
            id,
            uid,
            target,
            status: outcome.status,
            result: outcome.result,
            error: outcome.error,
            headers: None,
            attempts: 0,
            sent_at: None,
            responder: None,
            traceparent,
        };
        self.route(Settled { settlement, bytes, lane });
    }

    fn route(&mut self, settled: Settled) {
        if self.app.replies.has(&settled.settlement.target) {
            self.lanes.begin_handling(settled.lane);
            self.to_handle.push(settled);
        } else {
            self.settler.push(settled, self.now);
        }
    }

    /// Gives outcomes to reply handlers, as many at a time as there are connections for them.
    pub(super) fn begin_handlers(&mut self) {
        while let Some((place, settled)) = self.to_handle.next() {
            let (replies, settlement, leading) =
                (self.app.replies.clone(), settled.settlement.clone(), self.leading.clone());
            // Words of the target may be written by anybody. Words that only a leader may say (nobody answered) are dropped
            // when this one is none any more, or its session is not the leader's.
            let by_anybody = matches!(settlement.status, Status::Ok | Status::Error);
            let leader = (!by_anybody).then_some(self.pid);
            let task = self.app.stop.tasks.spawn(async move {
                let settle = replies.settle(settlement, leader);
                tokio::select! {
                    result = settle => Some(result),
                    () = leading.cancelled(), if !by_anybody => None,
                }
            });
            self.handling.push(
                async move {
                    let end = match task.await {
                        Ok(Some(Ok(true))) => HandlerEnd::Written,
                        Ok(Some(Err(error))) if error.passes => HandlerEnd::Again,
                        Ok(Some(Err(error))) => {
                            let uid = settled.settlement.uid;
                            tracing::warn!(message.id = %uid, "a reply was not written with its handler ({}); it is written without", error.why);
                            HandlerEnd::Unwritten
                        }
                        Ok(Some(Ok(false)) | None) => HandlerEnd::Unwritten,
                        Err(_) => {
                            tracing::error!(message.id = %settled.settlement.uid, "a reply handler's task panicked; the reply is written without it");
                            HandlerEnd::Unwritten
                        }
                    };
                    Handled { place, settled, end }
                }
                .boxed(),
            );
        }
    }

    pub(super) fn on_handled(&mut self, handled: Handled) {
        self.to_handle.done(handled.place);
        self.lanes.handled(handled.settled.lane);
        match handled.end {
            HandlerEnd::Written => {
                self.count_settled(handled.settled.settlement.status, 1);
                self.forget(&handled.settled);
                self.pace.news();
            }
            HandlerEnd::Again => {
                self.lanes.begin_handling(handled.settled.lane);
                self.to_handle.push(handled.settled);
            }
            HandlerEnd::Unwritten => self.settler.push(handled.settled, self.now),
        }
    }

    pub(super) fn on_written(&mut self, written: Written) {
        let Written { done: batch, held, swallowed, retry } = written;
        // Replies that were tried again are written, or are swallowed once more.
        if !self.swallowed.is_empty() {
            for settled in batch.iter().chain(&held) {
                self.swallowed.remove(&settled.settlement.id);
            }
        }
        for id in swallowed {
            self.swallowed.insert(id, self.outbox.stuck().hold(SWALLOWED.to_owned()));
        }
        self.settler.written(held, retry, self.now);
        self.counts.batch.observe(batch.len() as f64);
        // Mostly all of a batch end alike: the counter is looked up once for those in a row that do.
        for alike in batch.chunk_by(|a, b| a.settlement.status == b.settlement.status) {
            self.count_settled(alike[0].settlement.status, alike.len());
            alike.iter().for_each(|settled| self.forget(settled));
        }
        self.pace.news();
    }

    /// Its reply is committed: nothing of it is kept.
    fn forget(&mut self, settled: &Settled) {
        self.unsettled.remove(settled.settlement.id);
        self.lanes.settled(1, settled.bytes);
    }

    fn count_settled(&self, status: Status, count: usize) {
        self.counts.settled.get_or_create(&Ended { status: status.as_str() }).inc_by(count as u64);
    }
}
