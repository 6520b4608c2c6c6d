//! One span, held while the work lasts. Not sampled means all calls are free.

use std::{borrow::Cow, time::SystemTime};

use opentelemetry::Value;
pub use opentelemetry::trace::SpanKind;
use tpro_wire::trace::TraceParent;

/// A span that ends when it is dropped or by `end`.
pub struct Span {
    context: TraceParent,
}

impl Span {
    /// This span as a parent: what is injected into a message or continued in SQL.
    pub fn context(&self) -> TraceParent {
        self.context
    }
    /// Whether anything is recorded.
    pub fn is_recording(&self) -> bool {
        self.context.sampled()
    }
    /// Sets an attribute. Never a body, never a secret.
    pub fn set(&mut self, _key: &'static str, _value: impl Into<Value>) {}
    /// Adds an event at this moment.
    pub fn event(&mut self, _name: impl Into<Cow<'static, str>>, _attributes: Vec<(&'static str, Value)>) {}
    /// Links another span.
    pub fn link(&mut self, _other: TraceParent) {}
    /// Marks the span as failed; the text is ours, never a caller's value.
    pub fn fail(&mut self, _description: impl Into<Cow<'static, str>>) {}
    /// Ends the span now.
    pub fn end(self) {}
    /// Ends the span at a given moment.
    pub fn end_at(self, _at: SystemTime) {}
}
