//! The spans of a batch.

use tpro_runtime::telemetry::{Span, SpanKind, Spans};

use super::settled::Settled;

/// Begins the spans of a batch: one of its own, and `settle` in each sampled trace, linked to it.
pub fn begin_spans(spans: &Spans, batch: &[Settled]) -> Vec<Span> {
    let mut sampled = batch.iter().filter(|settled| settled.settlement.traceparent.sampled()).peekable();
    if sampled.peek().is_none() {
        return Vec::new();
    }
    let mut whole = spans.start("reply.settle", SpanKind::Client, None);
    whole.set("db.system.name", "postgresql");
    whole.set("db.operation.batch.size", batch.len() as i64);
    let context = whole.context();
    let mut open: Vec<Span> = sampled
        .map(|settled| {
            let mut span = spans.start("settle", SpanKind::Internal, Some(&settled.settlement.traceparent));
            span.set("tpro.status", settled.settlement.status.as_str());
            span.link(context);
            span
        })
        .collect();
    open.push(whole);
    open
}
