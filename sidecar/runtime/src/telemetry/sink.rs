//! The way from a finished span to the exporter.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use opentelemetry::InstrumentationScope;
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{BatchConfigBuilder, BatchSpanProcessor, SpanData, SpanExporter, SpanProcessor as _},
};

use super::{SpanCounts, exporter::Counted};
use crate::metrics::Reason;

/// Spans that wait for export; beyond it they are dropped and counted. About 4 MB when full.
pub(super) const QUEUE: usize = 8192;
/// Spans per export; far below what gRPC takes in one message (4 MB).
pub(super) const BATCH: usize = 512;
/// The longest wait of a span for company: short, since people look at a trace right after the
/// reply.
const DELAY: Duration = Duration::from_millis(500);

/// The way to the exporter.
pub struct Sink {
    processor: BatchSpanProcessor,
    scope: InstrumentationScope,
    queued: Arc<AtomicUsize>,
    counts: SpanCounts,
}

impl Sink {
    pub(super) fn new<E>(exporter: E, resource: &Resource, counts: &SpanCounts) -> Self
    where
        E: SpanExporter + 'static,
    {
        let queued = Arc::new(AtomicUsize::new(0));
        let mut counted = Counted::new(exporter, queued.clone(), counts.clone());
        counted.set_resource(resource);
        let batch = BatchConfigBuilder::default()
            .with_max_queue_size(QUEUE)
            .with_max_export_batch_size(BATCH)
            .with_scheduled_delay(DELAY)
            .build();
        let processor = BatchSpanProcessor::builder(counted).with_batch_config(batch).build();
        let scope =
            InstrumentationScope::builder("tpro-sidecar").with_version(env!("CARGO_PKG_VERSION")).build();
        Self { processor, scope, queued, counts: counts.clone() }
    }

    pub fn scope(&self) -> InstrumentationScope {
        self.scope.clone()
    }

    /// Hands a finished span on, or drops it: never waits.
    pub fn send(&self, span: SpanData) {
        if self.queued.fetch_add(1, Ordering::Relaxed) >= QUEUE {
            self.queued.fetch_sub(1, Ordering::Relaxed);
            self.counts.dropped.get_or_create(&Reason { reason: "queue" }).inc();
            return;
        }
        self.processor.on_end(span);
    }

    /// Sends the queued spans and ends the export. Blocks, this long at most.
    pub(super) fn stop(&self, limit: Duration) -> OTelSdkResult {
        self.processor.shutdown_with_timeout(limit)
    }

    /// Sends what is queued, for tests that look at it.
    #[cfg(test)]
    pub(super) fn flush(&self) {
        self.processor.force_flush().ok();
    }

    /// Spans that wait, for tests that count.
    #[cfg(test)]
    pub(super) fn queued(&self) -> usize {
        self.queued.load(Ordering::Relaxed)
    }
}
