//! The way of spans to the collector: a batch processor that exports by OTLP over gRPC and never
//! holds up the work.
//!
//! We make span data ourselves instead of going through a `Tracer`, because the id of a PRODUCER
//! span is minted in SQL and the API's `SpanBuilder` cannot be told one. A finished span is the
//! SDK's business:
//!
//! - `BatchSpanProcessor` has its own thread; the experimental one on an async runtime is not used.
//!   The queue is a bounded channel and `on_end` is a `try_send`, so a slow or dead collector costs
//!   the work nothing, and spans still leave while our runtime is busy. Its thread only waits for
//!   the gRPC channel, whose IO runs on our runtime: so [`Spans::export_to`] must be called within
//!   it.
//! - The SDK counts the spans that it drops but does not tell. So the queue's length is kept here,
//!   by the exporter's wrapper on the other side of it, and a span that finds the queue full is
//!   dropped and counted before the SDK sees it.

mod collector;
mod counts;
mod exporter;
mod globals;
mod sampler;
mod sink;
mod span;

use std::{
    borrow::Cow,
    sync::Arc,
    time::{Duration, SystemTime},
};

use opentelemetry::KeyValue;
use opentelemetry_otlp::{ExporterBuildError, WithExportConfig as _, WithTonicConfig as _};
use opentelemetry_sdk::Resource;
use tpro_wire::trace::TraceParent;

pub use self::{collector::check_collector, globals::install};
pub use self::{
    counts::SpanCounts,
    span::{Span, SpanKind},
};
use self::{sampler::Sampler, sink::Sink};
use crate::{config::Config, random};

/// The longest time for the collector to take one batch, and to be connected to.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// Makes spans. Cheap to clone.
#[derive(Clone)]
pub struct Spans {
    sampler: Sampler,
    sink: Option<Arc<Sink>>,
}

/// An error of the collector's address.
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
    /// Records nothing, and hands a caller's context on as it is, so that this service is missing
    /// from a trace and does not tear it.
    pub fn off() -> Self {
        Self { sampler: Sampler::default(), sink: None }
    }

    /// Exports to the configured collector, or nowhere when there is none. Call it within the
    /// runtime.
    pub fn export_to(config: &Config, counts: &SpanCounts) -> Result<Self, TelemetryError> {
        let Some(address) = &config.otlp_endpoint else { return Ok(Self::off()) };
        let channel = collector::endpoint(address)?.connect_lazy();
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
            .with_attribute(KeyValue::new("host.name", host_name()))
            .build();
        Ok(Self {
            sampler: Sampler(config.sampling),
            sink: Some(Arc::new(Sink::new(exporter, &resource, counts))),
        })
    }

    /// Exports by any exporter: tests use it to look at the spans.
    #[cfg(test)]
    pub fn by<E>(exporter: E, sampling: crate::config::Sampling, counts: &SpanCounts) -> Self
    where
        E: opentelemetry_sdk::trace::SpanExporter + 'static,
    {
        Self {
            sampler: Sampler(sampling),
            sink: Some(Arc::new(Sink::new(exporter, &Resource::builder_empty().build(), counts))),
        }
    }

    /// A new span: a child of `parent`, or a new root when there is none (then the sampler
    /// decides).
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

    /// A span whose id is already known, since SQL minted it: `this` is its own context, `start`
    /// the time at which it began.
    ///
    /// SQL has no sampler and flags every new trace as sampled. So for a root the decision is made
    /// here, from the trace id, alike in every service; [`Span::context`] then has the flag to
    /// inject.
    pub fn resume(
        &self,
        name: impl Into<Cow<'static, str>>,
        kind: SpanKind,
        this: TraceParent,
        parent: Option<[u8; 8]>,
        start: SystemTime,
    ) -> Span {
        let Some(sink) = &self.sink else {
            // The span will not exist, so a span below it hangs under its parent, if that may
            // exist.
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

    /// Sends the finished spans and ends the export; waits this long at most. Blocking work of the
    /// SDK, off the runtime.
    pub async fn flush_and_stop(&self, limit: Duration) {
        let Some(sink) = self.sink.clone() else { return };
        let stopped = tokio::task::spawn_blocking(move || sink.stop(limit));
        match tokio::time::timeout(limit, stopped).await {
            Ok(Ok(Ok(()))) => {}
            _ => {
                tracing::warn!("the last spans were not taken by the collector within {} s", limit.as_secs())
            }
        }
    }
}

/// The name of this host, as its kernel has it. In a container it is the container's.
fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests;
