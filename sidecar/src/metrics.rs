//! Counters and gauges, in one struct, so that a reader sees all there is. Registered and printed by `http`.

use prometheus_client::metrics::{counter::Counter, gauge::Gauge};

/// All metrics of a sidecar. Add a field here and its registration in `Metrics::new`.
#[derive(Default)]
pub struct Metrics {
    /// Messages sent to NATS, attempts counted each.
    pub sent: Counter,
    /// Messages in flight now.
    pub in_flight: Gauge,
}
