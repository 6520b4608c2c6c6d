//! A trace in the JSON of Jaeger's query API, which its UI reads.
//!
//! Tags follow the translation of OTLP that Jaeger itself makes: `span.kind`, `error`,
//! `otel.status_code`, `otel.status_description`, `w3c.tracestate`; an event's name is the log
//! field `event`.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use otlp_embedded::proto::common::v1::any_value::Value as Otlp;
use otlp_embedded::proto::common::v1::{AnyValue, KeyValue};
use otlp_embedded::proto::trace::v1::{Span, span::Event, status::StatusCode};
use prost::Message as _;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::names::kind_name;
use crate::service::SERVICE_NAME;
use crate::store::{Process, Trace, TraceId};

/// Writes a trace as Jaeger answers it, span by span, so that it is in memory once and as text. At
/// so many bytes it stops, and the last span says how many are missing.
pub fn trace(id: &TraceId, trace: &Trace, answer: &mut Vec<u8>, most: usize) {
    let mut processes = Vec::new();
    let mut keys: HashMap<*const Process, String> = HashMap::new();
    put(answer, &format!(r#"{{"traceID":"{}","spans":["#, hex(id)));
    let mut warnings: Vec<String> = match trace.over_limit() {
        0 => Vec::new(),
        dropped => vec![format!("{dropped} further spans of this trace were not kept")],
    };
    let mut spans = trace.in_order().peekable();
    let mut written = 0;
    while let Some(of) = spans.next() {
        let known = keys.len();
        let key = keys.entry(Arc::as_ptr(&of.process)).or_insert_with(|| {
            let key = format!("p{}", known + 1);
            put(&mut processes, if known > 0 { "," } else { "" });
            put(&mut processes, &format!(r#""{key}":"#));
            write_process(&of.process, &mut processes);
            key
        });
        let mut shown = Shown::of(&of.span, key);
        written += 1;
        let last = answer.len() + processes.len() + of.span.encoded_len() > most;
        if last && spans.peek().is_some() {
            let missing = trace.len() - written;
            warnings.push(format!(
                "{missing} further spans of this trace are too much for one answer of this viewer"
            ));
        }
        shown.warnings = (!warnings.is_empty()).then(|| std::mem::take(&mut warnings));
        put(answer, if written > 1 { "," } else { "" });
        write(answer, &shown);
        if last {
            break;
        }
    }
    put(answer, r#"],"processes":{"#);
    answer.append(&mut processes);
    put(answer, r#"},"warnings":null}"#);
}

fn put(answer: &mut Vec<u8>, text: &str) {
    answer.extend_from_slice(text.as_bytes());
}

fn write(answer: &mut Vec<u8>, value: &impl Serialize) {
    // Into memory, of types that have no state in which they could not be written.
    let _infallible = serde_json::to_writer(answer, value);
}

fn write_process(process: &Process, answer: &mut Vec<u8>) {
    let resource = process.resource();
    let tags = resource.attributes.iter().filter(|a| a.key != SERVICE_NAME).map(Tag::of).collect();
    write(answer, &ShownProcess { service_name: &process.service, tags });
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownProcess<'a> {
    service_name: &'a str,
    tags: Vec<Tag<'a>>,
}

/// A span in the words of Jaeger.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    #[serde(rename = "traceID")]
    trace_id: String,
    #[serde(rename = "spanID")]
    span_id: String,
    operation_name: &'a str,
    references: Vec<Reference>,
    start_time: u64,
    duration: u64,
    tags: Vec<Tag<'a>>,
    logs: Vec<Log<'a>>,
    #[serde(rename = "processID")]
    process: &'a str,
    warnings: Option<Vec<String>>,
}

impl<'a> Shown<'a> {
    fn of(span: &'a Span, process: &'a str) -> Self {
        Self {
            trace_id: hex(&span.trace_id),
            span_id: hex(&span.span_id),
            operation_name: &span.name,
            references: references(span),
            start_time: span.start_time_unix_nano / 1_000,
            // Clocks bend: an end before the start is a duration of nothing.
            duration: span.end_time_unix_nano.saturating_sub(span.start_time_unix_nano) / 1_000,
            tags: tags(span),
            logs: span.events.iter().map(Log::of).collect(),
            process,
            warnings: None,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Reference {
    ref_type: &'static str,
    #[serde(rename = "traceID")]
    trace_id: String,
    #[serde(rename = "spanID")]
    span_id: String,
}

/// The parent first: the UI takes the first reference it can follow for the parent.
fn references(span: &Span) -> Vec<Reference> {
    let reference = |ref_type: &'static str, trace_id: &[u8], span_id: &[u8]| Reference {
        ref_type,
        trace_id: hex(trace_id),
        span_id: hex(span_id),
    };
    let parent = has_parent(span).then(|| reference("CHILD_OF", &span.trace_id, &span.parent_span_id));
    let links = span.links.iter().map(|link| reference("FOLLOWS_FROM", &link.trace_id, &link.span_id));
    parent.into_iter().chain(links).collect()
}

/// True if the span names a parent; some exporters write "none" as zeros.
pub fn has_parent(span: &Span) -> bool {
    span.parent_span_id.iter().any(|&byte| byte != 0)
}

/// A name and a value, as Jaeger has them.
#[derive(Serialize)]
pub struct Tag<'a> {
    /// Its name.
    pub key: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    value: TagValue<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum TagValue<'a> {
    Bool(bool),
    Number(i64),
    Float(f64),
    Text(Cow<'a, str>),
}

impl<'a> Tag<'a> {
    fn text(key: &'a str, value: &'a str) -> Self {
        Self { key, kind: "string", value: TagValue::Text(value.into()) }
    }

    fn of(attribute: &'a KeyValue) -> Self {
        let value = attribute.value.as_ref().and_then(|any| any.value.as_ref());
        let (kind, value) = match value {
            Some(Otlp::BoolValue(value)) => ("bool", TagValue::Bool(*value)),
            Some(Otlp::IntValue(value)) => ("int64", TagValue::Number(*value)),
            Some(Otlp::DoubleValue(value)) => ("float64", TagValue::Float(*value)),
            Some(Otlp::StringValue(value)) => ("string", TagValue::Text(value.into())),
            // The UI shows a string that holds JSON as a tree.
            Some(nested) => ("string", TagValue::Text(plain(nested).to_string().into())),
            None => ("string", TagValue::Text("".into())),
        };
        Self { key: &attribute.key, kind, value }
    }

    /// Its value as people write it.
    pub fn as_text(&self) -> Cow<'_, str> {
        match &self.value {
            TagValue::Bool(value) => value.to_string().into(),
            TagValue::Number(value) => value.to_string().into(),
            TagValue::Float(value) => json!(value).to_string().into(),
            TagValue::Text(text) => text.as_ref().into(),
        }
    }
}

/// The span's attributes, and the other values that Jaeger keeps as tags.
pub fn tags(span: &Span) -> Vec<Tag<'_>> {
    let mut tags: Vec<Tag<'_>> = span.attributes.iter().map(Tag::of).collect();
    let kind = kind_name(span.kind());
    if !kind.is_empty() {
        tags.push(Tag::text("span.kind", kind));
    }
    if let Some(status) = &span.status {
        match status.code() {
            StatusCode::Unset => {}
            StatusCode::Ok => tags.push(Tag::text("otel.status_code", "OK")),
            StatusCode::Error => {
                tags.push(Tag::text("otel.status_code", "ERROR"));
                tags.push(Tag { key: "error", kind: "bool", value: TagValue::Bool(true) });
            }
        }
        if !status.message.is_empty() {
            tags.push(Tag::text("otel.status_description", &status.message));
        }
    }
    if !span.trace_state.is_empty() {
        tags.push(Tag::text("w3c.tracestate", &span.trace_state));
    }
    tags
}

#[derive(Serialize)]
struct Log<'a> {
    timestamp: u64,
    fields: Vec<Tag<'a>>,
}

impl<'a> Log<'a> {
    fn of(event: &'a Event) -> Self {
        let name = (!event.name.is_empty()).then(|| Tag::text("event", &event.name));
        let fields = name.into_iter().chain(event.attributes.iter().map(Tag::of)).collect();
        Self { timestamp: event.time_unix_nano / 1_000, fields }
    }
}

fn plain(value: &Otlp) -> Value {
    let inner = |any: &AnyValue| any.value.as_ref().map_or(Value::Null, plain);
    match value {
        Otlp::StringValue(value) => json!(value),
        Otlp::BoolValue(value) => json!(value),
        Otlp::IntValue(value) => json!(value),
        Otlp::DoubleValue(value) => json!(value),
        Otlp::BytesValue(bytes) => json!(hex(bytes)),
        Otlp::ArrayValue(array) => array.values.iter().map(inner).collect(),
        Otlp::KvlistValue(list) => list
            .values
            .iter()
            .map(|pair| (pair.key.clone(), pair.value.as_ref().map_or(Value::Null, inner)))
            .collect::<Map<_, _>>()
            .into(),
    }
}

/// Lower-case hexadecimal, as ids are written.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}
