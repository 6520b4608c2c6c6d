//! One span, held while the work lasts. Not sampled means all calls are free.

use std::{
    borrow::Cow,
    sync::Arc,
    time::{Instant, SystemTime},
};

pub use opentelemetry::trace::SpanKind;
use opentelemetry::{
    KeyValue, SpanId, TraceFlags, TraceId, Value,
    trace::{Event, Link, SpanContext, Status, TraceState},
};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use tpro_wire::trace::TraceParent;

use super::sink::Sink;
use crate::clock;

/// A span that ends when it is dropped or by `end`.
pub struct Span {
    context: TraceParent,
    /// None when it is not sampled. Boxed, since a span is held across awaits and moved about.
    recording: Option<Box<Recording>>,
}

/// The part of a sampled span that is kept until it ends.
struct Recording {
    sink: Arc<Sink>,
    /// Ends are measured by this clock, so that a wall clock that jumps does not bend the length of
    /// a span.
    clock: Instant,
    /// The moment of the wall clock at which `clock` was read.
    wall: SystemTime,
    data: SpanData,
}

impl Span {
    /// A span that records nothing, but has a context for what comes below it.
    pub fn silent(context: TraceParent) -> Self {
        Self { context, recording: None }
    }

    /// A span that is sampled and will be exported.
    pub fn recording(
        sink: Arc<Sink>,
        context: TraceParent,
        parent: Option<[u8; 8]>,
        name: Cow<'static, str>,
        span_kind: SpanKind,
        start: Option<SystemTime>,
    ) -> Self {
        let wall = clock::host();
        let start = start.unwrap_or(wall);
        let data = SpanData {
            span_context: span_context(&context),
            parent_span_id: parent.map_or(SpanId::INVALID, SpanId::from_bytes),
            // Only a SERVER span has its parent in another process.
            parent_span_is_remote: span_kind == SpanKind::Server && parent.is_some(),
            span_kind,
            name,
            start_time: start,
            end_time: start,
            attributes: Vec::new(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: sink.scope(),
        };
        Self { context, recording: Some(Box::new(Recording { sink, clock: Instant::now(), wall, data })) }
    }

    /// This span as a parent: the context that is injected into a message or continued in SQL.
    pub fn context(&self) -> TraceParent {
        self.context
    }

    /// True if anything is recorded.
    pub fn is_recording(&self) -> bool {
        self.recording.is_some()
    }

    /// Sets an attribute. Never a body, never a secret. A key set again has the new value.
    pub fn set(&mut self, key: &'static str, value: impl Into<Value>) {
        if let Some(recording) = &mut self.recording {
            let attributes = &mut recording.data.attributes;
            match attributes.iter_mut().find(|attribute| attribute.key.as_str() == key) {
                Some(attribute) => attribute.value = value.into(),
                None => attributes.push(KeyValue::new(key, value)),
            }
        }
    }

    /// Adds an event at this moment.
    pub fn event(&mut self, name: impl Into<Cow<'static, str>>, attributes: Vec<(&'static str, Value)>) {
        if let Some(recording) = &mut self.recording {
            let now = recording.now();
            let attributes = attributes.into_iter().map(|(key, value)| KeyValue::new(key, value)).collect();
            recording.data.events.events.push(Event::new(name, now, attributes, 0));
        }
    }

    /// Links another span.
    pub fn link(&mut self, other: TraceParent) {
        if let Some(recording) = &mut self.recording {
            recording.data.links.links.push(Link::with_context(span_context(&other)));
        }
    }

    /// Marks the span as failed; the text is ours, never a caller's value.
    pub fn fail(&mut self, description: impl Into<Cow<'static, str>>) {
        if let Some(recording) = &mut self.recording {
            recording.data.status = Status::error(description);
        }
    }

    /// Ends the span now.
    pub fn end(self) {}

    /// Forgets the span: the work has turned out to be somebody else's.
    pub fn discard(mut self) {
        self.recording = None;
    }

    /// Ends the span at a given moment (or where it began, if that was later).
    pub fn end_at(mut self, at: SystemTime) {
        if let Some(recording) = self.recording.take() {
            recording.finish(at);
        }
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if let Some(recording) = self.recording.take() {
            let now = recording.now();
            recording.finish(now);
        }
    }
}

impl Recording {
    fn now(&self) -> SystemTime {
        self.wall + self.clock.elapsed()
    }

    fn finish(mut self: Box<Self>, end: SystemTime) {
        // A span resumed from a row began by the database's clock, which may be ahead of ours.
        self.data.end_time = end.max(self.data.start_time);
        self.sink.send(self.data);
    }
}

fn span_context(context: &TraceParent) -> SpanContext {
    SpanContext::new(
        TraceId::from_bytes(context.trace_id),
        SpanId::from_bytes(context.span_id),
        TraceFlags::new(context.flags),
        false,
        TraceState::NONE,
    )
}
