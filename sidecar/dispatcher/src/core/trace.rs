//! The spans of a message: PRODUCER from the row, CLIENT from the first send to the outcome.

use std::{borrow::Cow, time::SystemTime};

use tpro_runtime::telemetry::{Span, SpanKind, Spans};
use tpro_wire::{protocol::Protocol, target::Target, trace::TraceParent};

use super::{message::Message, outcome::Outcome, published::Published};

/// Names that are put together only when the span is recorded.
struct PublishName<'a>(&'a Target);
struct CallName<'a>(&'a Target);

impl From<PublishName<'_>> for Cow<'static, str> {
    fn from(name: PublishName<'_>) -> Self {
        format!("publish {}", name.0).into()
    }
}

impl From<CallName<'_>> for Cow<'static, str> {
    fn from(name: CallName<'_>) -> Self {
        name.0.service_method().to_owned().into()
    }
}

/// A message is sent for the first time: exports the span that began with the row, and begins the
/// one that waits for the reply. A trace that is not sampled costs neither.
pub fn depart(spans: &Spans, row: &Published, now: SystemTime) -> (TraceParent, Option<Span>) {
    let producer = publish(spans, row, now);
    let context = producer.context();
    if !producer.is_recording() {
        return (context, None);
    }
    producer.end_at(now);
    let mut client = spans.start(CallName(&row.target), SpanKind::Client, Some(&context));
    describe(&mut client, row);
    client.set("messaging.operation.type", "send");
    if row.protocol == Protocol::JsonRpc {
        client.set("rpc.system", "jsonrpc");
        client.set("rpc.service", row.target.service().to_owned());
        client.set("rpc.method", row.target.method().to_owned());
        client.set("rpc.jsonrpc.version", "2.0");
        client.set("rpc.jsonrpc.request_id", row.uid.to_string());
    }
    client.set("tpro.budget_ms", row.budget.ms() as i64);
    (context, Some(client))
}

/// A message is settled without being sent: its publish is all there is of it.
pub fn stay(spans: &Spans, row: &Published, outcome: &Outcome, now: SystemTime) -> TraceParent {
    let mut producer = publish(spans, row, now);
    let context = producer.context();
    producer.set("error.type", outcome.status.as_str());
    producer.fail(outcome.status.as_str());
    producer.end_at(now);
    context
}

/// The span that began with the row.
fn publish(spans: &Spans, row: &Published, now: SystemTime) -> Span {
    let name = PublishName(&row.target);
    let mut span = spans.resume(name, SpanKind::Producer, row.traceparent, row.parent, row.created_at);
    if span.is_recording() {
        describe(&mut span, row);
        span.set("messaging.operation.type", "create");
        span.set("tpro.queue_ms", row.queued(now).as_millis() as i64);
        span.set("tpro.row.id", row.id);
    }
    span
}

fn describe(span: &mut Span, row: &Published) {
    span.set("messaging.system", "nats");
    span.set("messaging.destination.name", row.target.subject().to_owned());
    span.set("messaging.message.id", row.uid.to_string());
}

/// Another attempt.
pub fn attempt(message: &mut Message) {
    let attempt = i64::from(message.attempt);
    if let Some(span) = &mut message.span {
        span.event("attempt", vec![("tpro.attempt", attempt.into())]);
    }
}

/// Something that is no answer came back.
pub fn refused(message: &mut Message, what: &'static str) {
    if let Some(span) = &mut message.span {
        span.event(what, Vec::new());
    }
}

/// The outcome is known; the span ends.
pub fn arrive(message: &mut Message, outcome: &Outcome) {
    let attempts = i64::from(message.attempt);
    if let Some(mut span) = message.span.take() {
        span.set("tpro.attempts", attempts);
        span.set("tpro.status", outcome.status.as_str());
        if let Some(responder) = &outcome.responder {
            span.set("tpro.responder", responder.clone());
        }
        if outcome.result.is_none() && outcome.error.is_some() {
            span.set("error.type", outcome.status.as_str());
            span.fail(outcome.status.as_str());
        }
    }
}
