//! The counters and gauges of the dispatcher.

use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};
use tpro_runtime::metrics::Reason;

use crate::tally::Tally;

/// The dispatcher's counters and gauges.
#[derive(Clone)]
pub struct Counts {
    /// 1 while this copy leads.
    pub leading: Gauge,
    /// The number of times that this copy began to lead.
    pub takeovers: Counter,
    /// The number of times that this copy deposed a frozen leader.
    pub deposed: Counter,
    /// 1 while the dispatcher has the bell.
    pub asleep: Gauge,
    /// Pages read from the outbox, by what they were for: `rows`, `empty`, `recovery`, `fetch`,
    /// `recall`.
    pub reads: Family<Reason, Counter>,
    /// The first id that reads of the outbox ask for; 0: they look into all partitions.
    pub floor: Gauge,
    /// Messages that went into the outbox at their time.
    pub sent_due: Counter,
    /// Attempts after the first.
    pub resent: Counter,
    /// Rows that wait as ids because their lane has no room.
    pub waiting: Gauge,
    /// Ordering keys that are held.
    pub held_keys: Gauge,
    /// Rows read and not known to be settled.
    pub unsettled: Gauge,
    /// Outcomes written, by target service and status.
    pub settled: Tally,
    /// Messages that were in hand and that somebody else has settled.
    pub cancelled: Counter,
    /// Replies that were published to the labels of their rows, and that the server has.
    pub forwarded: Counter,
    /// Outcomes per statement.
    pub batch: Histogram,
    /// Replies to no message in flight: late, or to a leader before.
    pub late_replies: Counter,
    /// Messages that came to a reply subject and are no replies, by kind.
    pub dropped_replies: Family<Reason, Counter>,
    /// Attempts that nobody took: `no_responders`, `overloaded`, `forbidden`, `unsupported`; and
    /// those whose handler wants to be asked again later: `later`.
    pub refused: Family<Reason, Counter>,
    /// Attempts that were not answered in time.
    pub silent: Counter,
    /// Claims of leadership that are not believed: `malformed`, `unsigned`, `forged`, `stale`,
    /// `unexplained`.
    pub claims_ignored: Family<Reason, Counter>,
    /// Messages sent to NATS, attempts counted each.
    pub sent: Counter,
    /// Messages in flight now.
    pub in_flight: Gauge,
}

impl Counts {
    /// All at zero, registered but for those of [`Counts::register_flight`]. What comes to a reply
    /// subject and is no reply is counted by others, too.
    pub fn new(r: &mut Registry, dropped_replies: Family<Reason, Counter>) -> Self {
        let counts = Self {
            leading: Gauge::default(),
            takeovers: Counter::default(),
            deposed: Counter::default(),
            asleep: Gauge::default(),
            reads: Family::default(),
            floor: Gauge::default(),
            sent_due: Counter::default(),
            resent: Counter::default(),
            waiting: Gauge::default(),
            held_keys: Gauge::default(),
            unsettled: Gauge::default(),
            settled: Tally::default(),
            cancelled: Counter::default(),
            forwarded: Counter::default(),
            batch: Histogram::new([1.0, 10.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2000.0]),
            late_replies: Counter::default(),
            dropped_replies,
            refused: Family::default(),
            silent: Counter::default(),
            claims_ignored: Family::default(),
            sent: Counter::default(),
            in_flight: Gauge::default(),
        };
        r.register("leading", "1 while this copy leads", counts.leading.clone());
        r.register("takeovers", "How often this copy began to lead", counts.takeovers.clone());
        r.register("deposed", "Frozen leaders this copy deposed", counts.deposed.clone());
        r.register(
            "asleep",
            "1 while the dispatcher has the bell, so that a publish wakes it",
            counts.asleep.clone(),
        );
        r.register("reads", "Pages read from the outbox, by kind", counts.reads.clone());
        r.register(
            "floor",
            "The first id that reads of the outbox ask for; 0: all partitions",
            counts.floor.clone(),
        );
        r.register(
            "sent_due",
            "Messages that went into the outbox at their send_at",
            counts.sent_due.clone(),
        );
        r.register("resent", "Attempts after the first", counts.resent.clone());
        r.register("waiting", "Rows that wait because their lane has no room", counts.waiting.clone());
        r.register(
            "held_keys",
            "Ordering keys whose messages wait because one has failed",
            counts.held_keys.clone(),
        );
        r.register("unsettled", "Rows read and not known to be settled", counts.unsettled.clone());
        r.register("settled", "Outcomes written, by target and status", counts.settled.family());
        r.register("cancelled", "Messages in hand that somebody else has settled", counts.cancelled.clone());
        r.register("forwarded", "Replies published to a label in reply_to", counts.forwarded.clone());
        r.register("settle_batch", "Outcomes per statement", counts.batch.clone());
        r.register("late_replies", "Replies to no message in flight", counts.late_replies.clone());
        r.register(
            "dropped_replies",
            "What came to a reply subject and is no reply",
            counts.dropped_replies.clone(),
        );
        r.register("refused", "Attempts that nobody took, by reason", counts.refused.clone());
        r.register("silent", "Attempts that were not answered in time", counts.silent.clone());
        r.register(
            "claims_ignored",
            "Claims of leadership that are not believed, by reason",
            counts.claims_ignored.clone(),
        );
        counts
    }

    /// Registers what is in flight, which stands further down on the page.
    pub fn register_flight(&self, r: &mut Registry) {
        r.register("sent", "Messages sent to NATS, attempts counted each", self.sent.clone());
        r.register("in_flight", "Messages in flight now", self.in_flight.clone());
    }
}
