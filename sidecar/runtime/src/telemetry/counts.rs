//! The counts of spans.

use prometheus_client::{
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

use crate::metrics::Reason;

/// The fate of finished spans. All clones share the counts.
#[derive(Clone, Debug, Default)]
pub struct SpanCounts {
    /// Spans the collector has taken.
    pub exported: Counter,
    /// Spans lost: `queue` (the queue was full), `export` (the collector did not take them).
    pub dropped: Family<Reason, Counter>,
}

impl SpanCounts {
    /// All at zero, registered.
    pub fn new(r: &mut Registry) -> Self {
        let counts = Self::default();
        r.register("spans_exported", "Spans the collector has taken", counts.exported.clone());
        r.register("spans_dropped", "Spans lost, by reason", counts.dropped.clone());
        counts
    }
}
