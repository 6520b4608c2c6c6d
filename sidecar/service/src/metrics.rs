//! The counts of the serving side.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};
use tpro_runtime::metrics::Reason;

/// The end of a method's run.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Handled {
    /// `example.simple`, one of those the service has.
    pub method: String,
    /// `ok`, `error` (the handler said no), `internal` (it failed or panicked), `late` (its time
    /// was over), `stopped`, `again` (the database failed it, in a way that passes, and it runs
    /// again), `later` (the handler put it off).
    pub result: &'static str,
}

/// One method.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OfMethod {
    /// `example.simple`.
    pub method: String,
}

/// The counters and gauges of subscriber, inbox and handlers.
#[derive(Clone)]
pub struct Counts {
    /// Messages taken from NATS.
    pub received: Counter,
    /// Runs of handlers.
    pub handled: Family<Handled, Counter>,
    /// Seconds from taking a message to its answer.
    pub handler_seconds: Family<OfMethod, Histogram, fn() -> Histogram>,
    /// Handlers at work.
    pub at_work: Gauge,
    /// Messages for which no handler ran: `repeat` (answered with the stored outcome), `joined` (at
    /// work here already), `working` (at work elsewhere), `mismatch` (another question was asked
    /// under its uid), `overloaded`, `stale`, `unsupported`, `hops`, `unknown`, `passed` (to a
    /// copy that has the method), `malformed`, `exhausted`.
    pub not_run: Family<Reason, Counter>,
    /// Outcomes dropped because another run was first.
    pub beaten: Counter,
    /// Answers that could not be handed to NATS.
    pub answers_lost: Counter,
    /// Calls of other services, by status.
    pub calls: Family<Reason, Counter>,
    /// Replies to calls that nobody waits for any more.
    pub calls_late: Counter,
    /// Messages that came as a reply to a call and are no reply, by kind.
    pub dropped_replies: Family<Reason, Counter>,
    /// Calls of handlers that wait for a reply.
    pub calls_waiting: Gauge,
    /// Commands per batch of the inbox.
    pub inbox_batch: Histogram,
    /// Reply handlers, by their results: `ok`, `failed`, `late`, ...
    pub reply_handlers: Family<Reason, Counter>,
}

fn seconds() -> Histogram {
    Histogram::new([0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0])
}

impl Counts {
    /// All at zero, registered. The dispatcher registers the messages to a reply subject that are
    /// no reply.
    pub fn new(r: &mut Registry, dropped_replies: Family<Reason, Counter>) -> Self {
        let serving = Self {
            received: Counter::default(),
            handled: Family::default(),
            handler_seconds: Family::new_with_constructor(seconds),
            at_work: Gauge::default(),
            not_run: Family::default(),
            beaten: Counter::default(),
            answers_lost: Counter::default(),
            calls: Family::default(),
            calls_late: Counter::default(),
            dropped_replies,
            calls_waiting: Gauge::default(),
            inbox_batch: Histogram::new([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0]),
            reply_handlers: Family::default(),
        };
        let s = &serving;
        r.register("received", "Messages taken from NATS", s.received.clone());
        r.register("handled", "Runs of handlers, by result", s.handled.clone());
        r.register(
            "handler_seconds",
            "Seconds from taking a message to its answer",
            s.handler_seconds.clone(),
        );
        r.register("handlers_at_work", "Handlers at work", s.at_work.clone());
        r.register("not_run", "Messages for which no handler ran, by reason", s.not_run.clone());
        r.register("outcomes_beaten", "Outcomes dropped because another run was first", s.beaten.clone());
        r.register("answers_lost", "Answers that could not be handed to NATS", s.answers_lost.clone());
        r.register("calls", "Calls of other services, by status", s.calls.clone());
        r.register("calls_waiting", "Calls of handlers that wait for a reply", s.calls_waiting.clone());
        r.register("calls_late", "Replies to calls that nobody waits for", s.calls_late.clone());
        r.register("inbox_batch", "Commands per batch of the inbox", s.inbox_batch.clone());
        r.register("reply_handlers", "Reply handlers, by result", s.reply_handlers.clone());
        serving
    }
}
