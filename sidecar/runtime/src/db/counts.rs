//! The counts of the database.

use std::sync::atomic::AtomicU64;

use prometheus_client::{
    metrics::{family::Family, gauge::Gauge},
    registry::Registry,
};

use crate::metrics::Reason;

/// The state of the connections and of the NOTIFY queue. All clones share it.
#[derive(Clone, Default)]
pub struct DbCounts {
    /// Connections of the pool: `open`, those of them that are `idle`, and those that somebody
    /// waits for (`waited`).
    pub pool: Family<Reason, Gauge>,
    /// The share of the database's NOTIFY queue that is used, 0 to 1.
    pub notify_queue: Gauge<f64, AtomicU64>,
}

impl DbCounts {
    /// All at zero, registered.
    pub fn new(r: &mut Registry) -> Self {
        let counts = Self::default();
        r.register(
            "pool_connections",
            "Connections of the pool: open, idle, and waited for",
            counts.pool.clone(),
        );
        r.register(
            "notify_queue_usage",
            "Share of the NOTIFY queue that is used",
            counts.notify_queue.clone(),
        );
        counts
    }
}
