//! Spans as the collector took them, and the trace they make.

use std::collections::{BTreeMap, BTreeSet};

use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

/// The kind of a span.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    /// None was given.
    Unspecified,
    /// Work inside a process.
    Internal,
    /// The answering side of a call.
    Server,
    /// The asking side of a call.
    Client,
    /// A message handed over.
    Producer,
    /// A message taken.
    Consumer,
}

/// One span.
#[derive(Clone, Debug)]
pub struct SpanRecord {
    /// `service.name` of the process that sent it.
    pub service: String,
    /// The span's name.
    pub name: String,
    /// Its kind.
    pub kind: Kind,
    /// 32 hexadecimal digits.
    pub trace_id: String,
    /// 16 hexadecimal digits.
    pub span_id: String,
    /// The parent's span id; none for a root.
    pub parent: Option<String>,
    /// Nanoseconds since 1970.
    pub start_ns: u64,
    /// Nanoseconds since 1970.
    pub end_ns: u64,
    /// The attributes as text: numbers in decimal, booleans as `true` and `false`.
    pub attributes: BTreeMap<String, String>,
    /// The attributes of the process.
    pub resource: BTreeMap<String, String>,
    /// The names of the events on it.
    pub events: Vec<String>,
    /// True if its status is an error.
    pub failed: bool,
}

impl SpanRecord {
    pub(crate) fn new(resource: Option<&Resource>, span: &Span) -> SpanRecord {
        let resource = resource.map(|resource| texts(&resource.attributes)).unwrap_or_default();
        SpanRecord {
            service: resource.get("service.name").cloned().unwrap_or_default(),
            name: span.name.clone(),
            kind: match span.kind() {
                SpanKind::Unspecified => Kind::Unspecified,
                SpanKind::Internal => Kind::Internal,
                SpanKind::Server => Kind::Server,
                SpanKind::Client => Kind::Client,
                SpanKind::Producer => Kind::Producer,
                SpanKind::Consumer => Kind::Consumer,
            },
            trace_id: hex(&span.trace_id),
            span_id: hex(&span.span_id),
            parent: (!span.parent_span_id.is_empty()).then(|| hex(&span.parent_span_id)),
            start_ns: span.start_time_unix_nano,
            end_ns: span.end_time_unix_nano,
            attributes: texts(&span.attributes),
            resource,
            events: span.events.iter().map(|event| event.name.clone()).collect(),
            failed: span.status.as_ref().is_some_and(|status| status.code == 2),
        }
    }

    /// An attribute's text, empty if there is none.
    pub fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }

    /// True if the two were under way at one time.
    pub fn overlaps(&self, other: &SpanRecord) -> bool {
        self.start_ns < other.end_ns && other.start_ns < self.end_ns
    }
}

/// All spans of one trace that have arrived.
#[derive(Clone, Debug)]
pub struct Trace {
    /// The spans, by their start.
    pub spans: Vec<SpanRecord>,
}

impl Trace {
    /// The spans that have no parent.
    pub fn roots(&self) -> Vec<&SpanRecord> {
        self.spans.iter().filter(|span| span.parent.is_none()).collect()
    }

    /// The spans whose parent is not in the trace.
    pub fn orphans(&self) -> Vec<&SpanRecord> {
        let known: BTreeSet<&str> = self.spans.iter().map(|span| span.span_id.as_str()).collect();
        self.spans
            .iter()
            .filter(|span| span.parent.as_deref().is_some_and(|parent| !known.contains(parent)))
            .collect()
    }

    /// The services that took part.
    pub fn services(&self) -> BTreeSet<&str> {
        self.spans.iter().map(|span| span.service.as_str()).collect()
    }

    /// The children of a span, by their start.
    pub fn children(&self, of: &SpanRecord) -> Vec<&SpanRecord> {
        self.spans.iter().filter(|span| span.parent.as_deref() == Some(&of.span_id)).collect()
    }

    /// The spans of a service and kind.
    pub fn of(&self, service: &str, kind: Kind) -> Vec<&SpanRecord> {
        self.spans.iter().filter(|span| span.service == service && span.kind == kind).collect()
    }

    /// The tree, a line for each span: what a failed assertion shows.
    pub fn drawing(&self) -> String {
        let mut lines = String::new();
        for root in self.roots().into_iter().chain(self.orphans()) {
            self.draw(root, 0, &mut lines);
        }
        lines
    }

    fn draw(&self, span: &SpanRecord, depth: usize, lines: &mut String) {
        let millis = span.end_ns.saturating_sub(span.start_ns) as f64 / 1e6;
        let indent = "  ".repeat(depth);
        lines.push_str(&format!("{indent}{} {:?} {} ({millis:.1} ms)\n", span.service, span.kind, span.name));
        // A span that were its own ancestor would go round for ever.
        if depth < 32 {
            for child in self.children(span) {
                self.draw(child, depth + 1, lines);
            }
        }
    }
}

fn texts(pairs: &[KeyValue]) -> BTreeMap<String, String> {
    pairs.iter().map(|pair| (pair.key.clone(), pair.value.as_ref().map(text).unwrap_or_default())).collect()
}

fn text(value: &AnyValue) -> String {
    match &value.value {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::BoolValue(value)) => value.to_string(),
        Some(Value::IntValue(value)) => value.to_string(),
        Some(Value::DoubleValue(value)) => value.to_string(),
        other => format!("{other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
