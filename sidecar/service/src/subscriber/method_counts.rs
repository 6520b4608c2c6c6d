//! The counters and the limits of one method, looked up once.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use prometheus_client::metrics::{counter::Counter, histogram::Histogram};

use super::at_once::AtOnce;
use crate::{
    handler::limits::Limits,
    metrics::{Counts, Handled, OfMethod},
};

/// The counters of one method, and its limits.
pub(super) struct MethodCounts {
    pub(super) limits: Limits,
    pub(super) at_once: Option<AtOnce>,
    pub(super) ok: Counter,
    pub(super) error: Counter,
    pub(super) internal: Counter,
    pub(super) late: Counter,
    pub(super) stopped: Counter,
    again: Counter,
    pub(super) later: Counter,
    seconds: Histogram,
    /// Messages that were worked on, and the nanoseconds that they took.
    requests: AtomicU64,
    nanos: AtomicU64,
}

impl MethodCounts {
    pub(super) fn new(of_all: &Counts, name: &str, limits: Limits) -> Self {
        let of = |result| of_all.handled.get_or_create(&Handled { method: name.to_owned(), result }).clone();
        Self {
            limits,
            at_once: limits.at_once.map(AtOnce::new),
            ok: of("ok"),
            error: of("error"),
            internal: of("internal"),
            late: of("late"),
            stopped: of("stopped"),
            again: of("again"),
            later: of("later"),
            seconds: of_all.handler_seconds.get_or_create(&OfMethod { method: name.to_owned() }).clone(),
            requests: AtomicU64::new(0),
            nanos: AtomicU64::new(0),
        }
    }

    /// The number of messages that were worked on, and the nanoseconds that they took together.
    pub(super) fn spent(&self) -> (u64, u64) {
        (self.requests.load(Ordering::Relaxed), self.nanos.load(Ordering::Relaxed))
    }

    /// The number of messages that ended with an error, of the handler or of ours.
    pub(super) fn errors(&self) -> u64 {
        self.error.get() + self.internal.get() + self.late.get()
    }

    /// A run met an error that passes.
    pub(super) fn again(&self) {
        self.again.inc();
    }

    /// A message was worked on for so long.
    pub(super) fn observe(&self, took: Duration) {
        self.seconds.observe(took.as_secs_f64());
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.nanos.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}
