//! The counts of NATS.

use prometheus_client::{metrics::counter::Counter, registry::Registry};

/// The events of the connection. All clones share the counts.
#[derive(Clone, Default)]
pub struct NatsCounts {
    /// The number of times that NATS was lost.
    pub disconnects: Counter,
    /// Messages that the NATS client could not have parsed as they came.
    pub unreadable: Counter,
    /// Slow-consumer events: each is at least one message that was dropped before we could read it.
    pub slow_consumer: Counter,
}

impl NatsCounts {
    /// All at zero, registered.
    pub fn new(r: &mut Registry) -> Self {
        let counts = Self::default();
        r.register("nats_disconnects", "Times that NATS was lost", counts.disconnects.clone());
        r.register(
            "nats_unreadable",
            "Messages that could not be parsed as they came",
            counts.unreadable.clone(),
        );
        r.register("nats_slow_consumer", "Slow-consumer events", counts.slow_consumer.clone());
        counts
    }
}
