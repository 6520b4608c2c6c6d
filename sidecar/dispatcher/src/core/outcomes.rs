//! Outcomes on their way out: to a reply handler or straight into the batch, and off the books once
//! they are written.

use tpro_runtime::{plant, settlement::Settlement};
use tpro_wire::{Language, status::Status, target::Target, trace::TraceParent, uid::Uid};

use super::{
    Action, Core, Handled, HandlerEnd, Handling,
    in_flight::Key,
    lane_id::LaneId,
    message::Place,
    outcome::Outcome,
    published::{Broken, Published},
    settled::Settled,
    settler::Written,
    stuck::Hold,
    trace,
};

/// The row of an outcome.
struct Whose {
    id: i64,
    uid: Uid,
    target: Target,
    reply_to: Option<String>,
    on_reply: Option<Box<str>>,
    hold: Option<Box<str>>,
    language: Language,
}

impl Core {
    /// A message has its outcome.
    pub(super) fn settle(&mut self, key: Key, outcome: Outcome) {
        let Some(mut message) = self.messages.remove(key) else { return };
        trace::arrive(&mut message, &outcome);
        if plant::is_planted("key before the reply") {
            self.chains.settled(message.row.id);
        }
        if outcome.status != Status::Ok && outcome.responder.is_none() {
            tracing::debug!(
                message.id = %message.row.uid, trace.id = %message.producer.trace_id_hex(), tpro.target = %message.row.target,
                attempts = message.attempt, "settled as {}", outcome.status
            );
        }
        let language = Language::of(message.row.language.as_deref());
        let outcome = outcome.in_language(language);
        let bytes = outcome.len();
        let place = match plant::is_planted("last retry counted twice") {
            true => message.last_refusal().map_or(Place::Flying, Place::Refused),
            false => message.place(),
        };
        self.lanes.land(message.lane, message.row.weight(), place, bytes);
        let settlement = Settlement {
            id: message.row.id,
            uid: message.row.uid,
            target: message.row.target,
            status: outcome.status,
            result: outcome.result,
            error: outcome.error,
            headers: None,
            priority: message.lane.priority,
            attempts: i32::try_from(message.attempt).unwrap_or(i32::MAX),
            sent_at: message.first_sent,
            responder: outcome.responder,
            reply_to: message.row.reply_to,
            on_reply: message.row.on_reply,
            hold: message.row.hold,
            traceparent: message.producer,
        };
        self.route(Settled { settlement, bytes, lane: message.lane, language, is_tried: false });
    }

    /// A row has its outcome without having flown.
    pub(super) fn settle_unsent(&mut self, row: Published, lane: LaneId, outcome: Outcome) {
        let producer = trace::stay(&self.spans, &row, &outcome, self.time());
        let language = Language::of(row.language.as_deref());
        let Published { id, uid, target, reply_to, on_reply, hold, .. } = row;
        let whose = Whose { id, uid, target, reply_to, on_reply, hold, language };
        self.settle_row(whose, lane, producer, outcome);
    }

    /// A row with a value that no publish lets in: only somebody who went around the rules can make
    /// one.
    pub(super) fn settle_broken(&mut self, id: i64, lane: LaneId, broken: Broken) {
        let Broken { column, uid, target, reply_to } = broken;
        tracing::error!(
            row.id = id,
            column,
            "a row of the outbox has a value that the rules refuse; it is not sent"
        );
        // Without a uid there is nothing to settle under; it stays as it is, and holds up nobody.
        let Some(uid) = uid else { return self.chains.settled(id) };
        let Some(target) = target.or_else(|| Target::new("tpro", "unknown", "unknown", "unknown").ok())
        else {
            return;
        };
        let traceparent = TraceParent::root([0; 24], false);
        // Its headers are not read.
        let language = Language::default();
        let whose = Whose { id, uid, target, reply_to, on_reply: None, hold: None, language };
        self.settle_row(whose, lane, traceparent, Outcome::broken(column));
    }

    fn settle_row(&mut self, whose: Whose, lane: LaneId, traceparent: TraceParent, outcome: Outcome) {
        let Whose { id, uid, target, reply_to, on_reply, hold, language } = whose;
        let outcome = outcome.in_language(language);
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
            priority: lane.priority,
            attempts: 0,
            sent_at: None,
            responder: None,
            reply_to,
            on_reply,
            hold,
            traceparent,
        };
        self.route(Settled { settlement, bytes, lane, language, is_tried: false });
    }

    fn route(&mut self, settled: Settled) {
        let Settlement { target, on_reply, .. } = &settled.settlement;
        if !settled.is_tried && (on_reply.is_some() || (self.settings.has_handler)(target)) {
            self.lanes.begin_handling(settled.lane);
            self.settling.handle(settled);
        } else {
            self.settling.push(settled, self.now);
        }
    }

    /// Gives outcomes to reply handlers, as many at a time as there are connections for them.
    pub(super) fn begin_handlers(&mut self) {
        while let Some((place, settled)) = self.settling.next_to_handle() {
            // A reply of the target stays true after a takeover. That nobody has answered is the
            // word of a leader: it is dropped when this copy no longer leads.
            let by_leader = !matches!(settled.settlement.status, Status::Ok | Status::Error);
            self.actions.push_back(Action::Handle(Handling { place, settled, by_leader }));
        }
    }

    pub(super) fn on_handled(&mut self, handled: Handled) {
        let Handled { place, settled, end } = handled;
        self.settling.handled(place);
        self.lanes.handled(settled.lane);
        match end {
            HandlerEnd::Written => {
                self.count_settled(std::slice::from_ref(&settled));
                self.forget(&settled);
                self.schedule.news();
            }
            HandlerEnd::Again => {
                self.lanes.begin_handling(settled.lane);
                self.settling.handle(settled);
            }
            HandlerEnd::Unwritten => self.settling.push(Settled { is_tried: true, ..settled }, self.now),
        }
    }

    /// A batch is written, but for what is held, and what goes another way: reply handlers have
    /// been named meanwhile.
    pub(super) fn on_written(&mut self, written: Written, hold: Option<Hold>) {
        let (batch, again, measured) = self.settling.written(written, hold, self.now);
        let was_written = again.is_empty();
        for settled in again {
            let is_tried = settled.is_tried || plant::is_planted("handler named too late");
            // Its lane may have been forgotten since it has landed.
            let target = &settled.settlement.target;
            let name = format!("{}.{}", target.space(), target.service());
            let lane = self.lanes.of(&name, settled.lane.priority);
            self.route(Settled { is_tried, lane, ..settled });
        }
        if let Some((rows, time)) = measured {
            self.reading.replies_written(rows, time);
        }
        if was_written || !batch.is_empty() {
            self.counts.batch.observe(batch.len() as f64);
        }
        // Mostly all of a batch end alike: the counter is looked up once for those in a row that
        // do.
        let alike = |a: &Settled, b: &Settled| {
            let (a, b) = (&a.settlement, &b.settlement);
            a.status == b.status && a.target.service() == b.target.service()
        };
        batch.chunk_by(alike).for_each(|alike| self.count_settled(alike));
        batch.iter().for_each(|settled| self.forget(settled));
        self.schedule.news();
    }

    /// Its reply is committed: nothing of it is kept, but for the word that the reply is to be
    /// published.
    fn forget(&mut self, settled: &Settled) {
        if settled.settlement.hold.is_none() || plant::is_planted("hold not asked for") {
            self.chains.settled(settled.settlement.id);
        }
        self.note_reply(settled.settlement.id, settled.settlement.reply_to.is_some());
        self.lanes.settled(1, settled.bytes);
    }

    /// Counts outcomes of one target service with one status.
    fn count_settled(&self, alike: &[Settled]) {
        let Some(first) = alike.first().map(|settled| &settled.settlement) else { return };
        self.counts.settled.count(first.target.service(), first.status, alike.len() as u64);
    }
}
