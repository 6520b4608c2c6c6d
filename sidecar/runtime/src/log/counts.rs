//! The counts of log lines.

use prometheus_client::{
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

use crate::metrics::Reason;

/// The fate of log lines. All clones share it.
#[derive(Clone, Default)]
pub struct LineCounts {
    /// Log lines lost: `stdout` or `file` did not take them in time.
    pub dropped: Family<Reason, Counter>,
}

impl LineCounts {
    /// All at zero, registered.
    pub fn new(r: &mut Registry) -> Self {
        let counts = Self::default();
        r.register("log_lines_dropped", "Log lines lost, by sink", counts.dropped.clone());
        counts
    }
}
