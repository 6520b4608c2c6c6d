//! The counts on `/metrics`.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use tpro_runtime::metrics::{Reason, registry};

/// The way of a message: `{way="old_to_new"}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Way {
    way: &'static str,
}

/// From the Go system to tpro.
pub const OLD_TO_NEW: &str = "old_to_new";
/// From tpro to the Go system.
pub const NEW_TO_OLD: &str = "new_to_old";
/// Replies to labels.
pub const LABELS: &str = "labels";

/// All counts. Clones share them.
#[derive(Clone, Default)]
pub struct Counts {
    carried: Family<Way, Counter>,
    held: Gauge,
    repeats: Counter,
    dropped: Family<Reason, Counter>,
}

impl Counts {
    /// An answer was carried back, or a label's reply over.
    pub fn carried(&self, way: &'static str) {
        self.carried.get_or_create(&Way { way }).inc();
    }

    /// A message was dropped, for this reason.
    pub fn dropped(&self, reason: &'static str) {
        self.dropped.get_or_create(&Reason { reason }).inc();
    }

    /// A repeat of a message in hand has come.
    pub fn repeat(&self) {
        self.repeats.inc();
    }

    /// Messages in hand.
    pub fn held(&self) -> i64 {
        self.held.get()
    }

    /// A message is in hand until the guard is dropped.
    pub fn hold(&self) -> Held {
        self.held.inc();
        Held(self.held.clone())
    }

    /// The page's registry.
    pub fn registry(&self) -> Registry {
        let mut registry = registry();
        let r = &mut registry;
        r.register("bridge_carried", "Answers carried back, and replies to labels", self.carried.clone());
        r.register("bridge_held", "Messages in hand", self.held.clone());
        r.register("bridge_repeats", "Repeats of messages in hand", self.repeats.clone());
        r.register("bridge_dropped", "Messages that could not be carried", self.dropped.clone());
        registry
    }
}

/// A message in hand.
pub struct Held(Gauge);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.dec();
    }
}
