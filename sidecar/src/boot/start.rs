//! The start of this process as a span of its own, so that a restart is seen among the traces.

use std::time::SystemTime;

use tpro_runtime::{
    random,
    telemetry::{Span, SpanKind, Spans},
};
use tpro_wire::{source::Source, trace::TraceParent};

/// True on a span of a copy that has come to serve.
const READY: &str = "tpro.ready";

/// A start, from the first line of the program until the copy serves.
pub(super) struct Start {
    /// The way of spans to the collector.
    pub spans: Spans,
    /// None once it is over.
    span: Option<Span>,
}

impl Start {
    /// The start of a process that began at this time.
    pub fn new(spans: &Spans, began: SystemTime) -> Self {
        let root = TraceParent::root(random::bytes(), true);
        let mut span = spans.resume("start", SpanKind::Internal, root, None, began);
        span.set("process.pid", i64::from(std::process::id()));
        span.set(READY, false);
        Self { spans: spans.clone(), span: Some(span) }
    }

    /// The copy serves, under this name.
    pub fn succeeded(&mut self, source: &Source) {
        if let Some(mut span) = self.span.take().filter(Span::is_recording) {
            span.set("tpro.source", source.to_string());
            span.set(READY, true);
        }
    }

    /// The process ends for this reason. The span of a start that succeeded has ended before, and
    /// stays as it is.
    pub fn failed(&mut self, reason: &impl ToString) {
        if let Some(mut span) = self.span.take().filter(Span::is_recording) {
            span.fail(reason.to_string());
        }
    }
}
