//! Where spans go: a batch processor that exports by OTLP over gRPC and never holds up the work.
//!
//! We make span data ourselves instead of going through a `Tracer`, because the id of a PRODUCER span is minted in SQL
//! and the API's `SpanBuilder` cannot be told one. What happens to a finished span is the SDK's business:
//!
//! - `BatchSpanProcessor` with its own thread, not the experimental one on an async runtime: the queue is a bounded
//!   channel and `on_end` is a `try_send`, so a slow or dead collector costs the work nothing; and spans still leave
//!   while our runtime is busy. Its thread only waits for the gRPC channel, whose IO runs on our runtime, which is why
//!   [`Spans::export_to`] must be called within it.
//! - The SDK counts the spans it drops but does not tell. So the queue's length is kept here, by the exporter's wrapper
//!   on the other side of it, and a span that finds the queue full is dropped and counted before the SDK sees it.

mod exporter;
mod globals;
mod sampler;

use std::{
    borrow::Cow,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::{ExporterBuildError, WithExportConfig as _, WithTonicConfig as _};
use opentelemetry_sdk::{
    Resource,
    trace::{BatchConfigBuilder, BatchSpanProcessor, SpanData, SpanProcessor as _},
};
use tonic::transport::Endpoint;
use tpro_wire::trace::TraceParent;

pub(crate) use self::globals::install;
pub use self::sampler::Sampler;
use crate::{
    config::Config,
    metrics::{Metrics, Reason},
    random,
    span::{Span, SpanKind},
};

/// Spans that wait for export; beyond it they are dropped and counted. About 4 MB when full.
const QUEUE: usize = 8192;
/// Spans per export; far below what gRPC takes in one message (4 MB).
const BATCH: usize = 512;
/// How long a span may wait for company: short, since people look at a trace right after the reply.
const DELAY: Duration = Duration::from_millis(500);
/// How long the collector may take for one batch, and to be connected to.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// Makes spans. Cheap to clone.
#[derive(Clone)]
pub struct Spans {
    sampler: Sampler,
    sink: Option<Arc<Sink>>,
}

/// What may go wrong with the collector's address.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// Not an address.
    #[error("OTEL_EXPORTER_OTLP_ENDPOINT is not an address: {0}")]
    Endpoint(#[source] tonic::transport::Error),
    /// The exporter does not take its settings.
    #[error("the span exporter cannot be built: {0}")]
    Exporter(#[source] ExporterBuildError),
}

impl Spans {
    /// Records nothing, and hands a caller's context on as it is, so that this service is only missing from a trace
    /// and does not tear it.
    pub fn off() -> Self {
        Self { sampler: Sampler::default(), sink: None }
    }

    /// Exports to the configured collector, or nowhere when there is none. Call it within the runtime.
    pub fn export_to(config: &Config, metrics: &Arc<Metrics>) -> Result<Self, TelemetryError> {
        let Some(address) = &config.otlp_endpoint else { return Ok(Self::off()) };
        let channel = endpoint(address)?.connect_lazy();
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_tonic()
            .with_channel(channel)
            .with_timeout(EXPORT_TIMEOUT)
            .build()
            .map_err(TelemetryError::Exporter)?;
        let resource = Resource::builder_empty()
            .with_service_name(config.service.to_string())
            .with_attribute(KeyValue::new("service.version", config.version.clone()))
            .with_attribute(KeyValue::new("service.instance.id", config.copy.to_string()))
            .build();
        Ok(Self { sampler: config.sampler, sink: Some(Arc::new(Sink::new(exporter, &resource, metrics))) })
    }

    /// Exports by any exporter: what tests use to look at what would be sent.
    #[cfg(test)]
    pub(crate) fn by<E>(exporter: E, sampler: Sampler, metrics: &Arc<Metrics>) -> Self
    where
        E: opentelemetry_sdk::trace::SpanExporter + 'static,
    {
        Self {
            sampler,
            sink: Some(Arc::new(Sink::new(exporter, &Resource::builder_empty().build(), metrics))),
        }
    }

    /// A new span: a child of `parent`, or a new root when there is none (then the sampler decides).
    pub fn start(
        &self,
        name: impl Into<Cow<'static, str>>,
        kind: SpanKind,
        parent: Option<&TraceParent>,
    ) -> Span {
        let Some(sink) = &self.sink else {
            // Handed on as it is; a root that nobody exports is not sampled.
            return Span::silent(
                parent.copied().unwrap_or_else(|| TraceParent::root(random::bytes(), false)),
            );
        };
        let context = match parent {
            Some(parent) => {
                let mut context = parent.child(random::bytes());
                context.flags = u8::from(self.sampler.keeps_child(parent));
                context
            }
            None => {
                let mut context = TraceParent::root(random::bytes(), false);
                context.flags = u8::from(self.sampler.keeps_root(&context.trace_id));
                context
            }
        };
        if !context.sampled() {
            return Span::silent(context);
        }
        Span::recording(sink.clone(), context, parent.map(|p| p.span_id), name.into(), kind, None)
    }

    /// A span whose id is already known, since SQL minted it: `this` is its own context, `start` when it began.
    ///
    /// SQL has no sampler and flags every new trace as sampled, so for a root the decision is made here, from the trace
    /// id, the same in every service; [`Span::context`] then has the flag to inject.
    pub fn resume(
        &self,
        name: impl Into<Cow<'static, str>>,
        kind: SpanKind,
        this: TraceParent,
        parent: Option<[u8; 8]>,
        start: SystemTime,
    ) -> Span {
        let Some(sink) = &self.sink else {
            // The span will not exist, so what comes below hangs under its parent, if that may exist.
            return Span::silent(match parent {
                Some(parent) => this.child(parent),
                None => TraceParent { flags: 0, ..this },
            });
        };
        let keep = match parent {
            Some(_) => self.sampler.keeps_child(&this),
            None => self.sampler.keeps_root(&this.trace_id),
        };
        let context = TraceParent { flags: u8::from(keep), ..this };
        if !keep {
            return Span::silent(context);
        }
        Span::recording(sink.clone(), context, parent, name.into(), kind, Some(start))
    }

    /// Sends what is finished and ends the export; waits at most so long. Blocking work of the SDK, off the runtime.
    pub(crate) async fn flush_and_stop(&self, limit: Duration) {
        let Some(sink) = self.sink.clone() else { return };
        let stopped = tokio::task::spawn_blocking(move || sink.processor.shutdown_with_timeout(limit));
        match tokio::time::timeout(limit, stopped).await {
            Ok(Ok(Ok(()))) => {}
            _ => {
                tracing::warn!("the last spans were not taken by the collector within {} s", limit.as_secs())
            }
        }
    }
}

/// Asks the collector at start whether it is there. Only a word in the log: traces are never a reason not to work.
pub(crate) async fn check_collector(config: Arc<Config>) {
    let Some(address) = &config.otlp_endpoint else {
        tracing::info!("tracing is off: OTEL_EXPORTER_OTLP_ENDPOINT is not set");
        return;
    };
    let problem = match endpoint(address) {
        Ok(endpoint) => match tokio::time::timeout(Duration::from_secs(2), endpoint.connect()).await {
            Ok(Ok(_)) => {
                tracing::info!("jaeger health-check OK");
                return;
            }
            Ok(Err(error)) => deepest(&error),
            Err(_) => "no answer within 2 s".to_owned(),
        },
        Err(error) => error.to_string(),
    };
    tracing::warn!(
        "the trace collector at {address} is not reachable ({problem}); the service works without"
    );
}

/// The cause at the bottom: tonic's own text is "transport error".
fn deepest(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

fn endpoint(address: &str) -> Result<Endpoint, TelemetryError> {
    let endpoint = Endpoint::from_shared(address.to_owned()).map_err(TelemetryError::Endpoint)?;
    // The exporter's own channel has no limit on connecting: a black hole would hold the export thread for minutes.
    Ok(endpoint.connect_timeout(EXPORT_TIMEOUT).timeout(EXPORT_TIMEOUT))
}

/// The way to the exporter.
pub(crate) struct Sink {
    processor: BatchSpanProcessor,
    scope: InstrumentationScope,
    queued: Arc<AtomicUsize>,
    metrics: Arc<Metrics>,
}

impl Sink {
    fn new<E>(exporter: E, resource: &Resource, metrics: &Arc<Metrics>) -> Self
    where
        E: opentelemetry_sdk::trace::SpanExporter + 'static,
    {
        let queued = Arc::new(AtomicUsize::new(0));
        let mut counted = exporter::Counted::new(exporter, queued.clone(), metrics.clone());
        opentelemetry_sdk::trace::SpanExporter::set_resource(&mut counted, resource);
        let batch = BatchConfigBuilder::default()
            .with_max_queue_size(QUEUE)
            .with_max_export_batch_size(BATCH)
            .with_scheduled_delay(DELAY)
            .build();
        let processor = BatchSpanProcessor::builder(counted).with_batch_config(batch).build();
        let scope =
            InstrumentationScope::builder("tpro-sidecar").with_version(env!("CARGO_PKG_VERSION")).build();
        Self { processor, scope, queued, metrics: metrics.clone() }
    }

    pub(crate) fn scope(&self) -> InstrumentationScope {
        self.scope.clone()
    }

    /// Hands a finished span on, or drops it: never waits.
    pub(crate) fn send(&self, span: SpanData) {
        if self.queued.fetch_add(1, Ordering::Relaxed) >= QUEUE {
            self.queued.fetch_sub(1, Ordering::Relaxed);
            self.metrics.spans_dropped.get_or_create(&Reason { reason: "queue" }).inc();
            return;
        }
        self.processor.on_end(span);
    }
}

#[cfg(test)]
mod tests;
