//! The exporter behind the queue, and a count of the fate of each span.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{SpanData, SpanExporter},
};

use super::SpanCounts;
use crate::metrics::Reason;

/// An exporter that counts, and says once when the collector is lost and once when it is back.
#[derive(Debug)]
pub(super) struct Counted<E> {
    exporter: E,
    queued: Arc<AtomicUsize>,
    counts: SpanCounts,
    lost: AtomicBool,
}

impl<E> Counted<E> {
    pub(super) fn new(exporter: E, queued: Arc<AtomicUsize>, counts: SpanCounts) -> Self {
        Self { exporter, queued, counts, lost: AtomicBool::new(false) }
    }
}

impl<E: SpanExporter> SpanExporter for Counted<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        // They are out of the queue from here on, exported or not.
        self.queued.fetch_sub(spans, Ordering::Relaxed);
        let result = self.exporter.export(batch).await;
        match &result {
            Ok(()) => {
                self.counts.exported.inc_by(spans as u64);
                if self.lost.swap(false, Ordering::Relaxed) {
                    tracing::info!("the trace collector takes spans again");
                }
            }
            Err(error) => {
                self.counts.dropped.get_or_create(&Reason { reason: "export" }).inc_by(spans as u64);
                if !self.lost.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        "the trace collector takes no spans ({error}); they are dropped and counted"
                    );
                }
            }
        }
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
