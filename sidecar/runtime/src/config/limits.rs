//! Bounds, each configurable.

use std::time::Duration;

use tpro_wire::limits::{MAX_BODY, MAX_HOPS, MAX_TIMEOUT};

use super::reader::Reader;

/// Bounds, each configurable.
#[derive(Clone, Debug)]
pub struct Limits {
    /// `HANDLERS_MAX`: handlers at work at once, default 256, and an eighth more
    /// for messages above priority 0; beyond it the answer is `overloaded`.
    pub handlers: usize,
    /// `LANE_MAX`: messages in flight per target service, default 1024.
    pub lane: usize,
    /// `IN_FLIGHT_MAX`: messages in flight in total, default 4096.
    pub in_flight: usize,
    /// `IN_FLIGHT_MAX_MB`: bytes of bodies in flight in total, default 16 MiB.
    pub in_flight_bytes: usize,
    /// `RUNS_MAX`: runs of one message by default handlers before it is answered as an error,
    /// default 5.
    pub runs: u32,
    /// `REPLY_MAX`: bytes of an answer, default 900,000 (and never more than NATS allows).
    pub reply: usize,
    /// `HOPS_MAX`, default 16.
    pub hops: u32,
    /// `REPLY_HANDLER_TIMEOUT`, default 30 s.
    pub reply_handler: Duration,
    /// `INBOX_WINDOW`: an older uid is refused as stale, default 3 days.
    pub inbox_window: Duration,
}

impl Limits {
    /// The bounds that are numbers of things, for the metrics.
    pub fn bounds(&self) -> [(&'static str, usize); 7] {
        [
            ("handlers", self.handlers),
            ("lane", self.lane),
            ("in_flight", self.in_flight),
            ("in_flight_bytes", self.in_flight_bytes),
            ("runs", self.runs as usize),
            ("reply_bytes", self.reply),
            ("hops", self.hops as usize),
        ]
    }
}

pub(super) fn read(reader: &mut Reader) -> Limits {
    Limits {
        handlers: reader.number("HANDLERS_MAX", 256, 1..=100_000),
        lane: reader.number("LANE_MAX", 1024, 1..=1_000_000),
        in_flight: reader.number("IN_FLIGHT_MAX", 4096, 1..=1_000_000),
        in_flight_bytes: reader.number("IN_FLIGHT_MAX_MB", 16, 1..=65_536usize) * 1024 * 1024,
        runs: reader.number("RUNS_MAX", 5, 1..=1000),
        // NATS itself never takes more than 64 MB.
        reply: reader.number("REPLY_MAX", MAX_BODY, 1024..=67_108_864),
        hops: reader.number("HOPS_MAX", MAX_HOPS, 1..=1000),
        reply_handler: reader.seconds("REPLY_HANDLER_TIMEOUT", 30, 1..=86_400),
        // Never shorter than the longest redelivery: a budget from the first send, and a fresh one
        // after a takeover.
        inbox_window: reader.seconds("INBOX_WINDOW", 3 * 86_400, 2 * MAX_TIMEOUT as u64..=30 * 86_400),
    }
}
