//! A trace in the JSON of Jaeger's query API, which is what its UI reads.
//!
//! Tags follow the translation of OTLP that Jaeger itself makes: `span.kind`, `error`, `otel.status_code`,
//! `otel.status_description`, `w3c.tracestate`; an event's name is the log field `event`.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use otlp_embedded::proto::common::v1::any_value::Value as Otlp;
use otlp_embedded::proto::common::v1::{AnyValue, KeyValue};
use otlp_embedded::proto::resource::v1::Resource;
use otlp_embedded::proto::trace::v1::{Span, span::Event, status::StatusCode};
use prost::Message as _;
use serde_json::{Map, Value, json};

use crate::names::kind_name;
use crate::store::{Process, Trace, TraceId};

/// The attribute that names a process's service.
const SERVICE_NAME: &str = "service.name";

/// The service of a process; the specification's own stand-in where it does not say.
pub fn service_name(resource: &Resource) -> String {
    resource
        .attributes
        .iter()
        .find(|attribute| attribute.key == SERVICE_NAME)
        .and_then(|attribute| match &attribute.value {
            Some(AnyValue { value: Some(Otlp::StringValue(name)) }) => Some(name.clone()),
            _ => None,
        })
        .unwrap_or_else(|| "unknown_service".to_owned())
}

/// Writes a trace as Jaeger answers it, span by span, so that it is in memory once and as text. At so many bytes it stops, and the
/// last span says how many are missing.
pub fn trace(id: &TraceId, trace: &Trace, answer: &mut Vec<u8>, most: usize) {
    let mut processes = Map::new();
    let mut keys: HashMap<*const Process, String> = HashMap::new();
    put(answer, &format!(r#"{{"traceID":"{}","spans":["#, hex(id)));
    let mut warnings: Vec<String> = match trace.over_limit() {
        0 => Vec::new(),
        dropped => vec![format!("{dropped} further spans of this trace were not kept")],
    };
    let mut spans = trace.in_order().peekable();
    let mut written = 0;
    while let Some(of) = spans.next() {
        let key = keys.entry(Arc::as_ptr(&of.process)).or_insert_with(|| {
            let key = format!("p{}", processes.len() + 1);
            processes.insert(key.clone(), process(&of.process));
            key
        });
        let mut span = span(&of.span, key);
        written += 1;
        let last = answer.len() + of.span.encoded_len() > most;
        if last && spans.peek().is_some() {
            let missing = trace.len() - written;
            warnings.push(format!(
                "{missing} further spans of this trace are too much for one answer of this viewer"
            ));
        }
        if !warnings.is_empty() {
            span["warnings"] = json!(std::mem::take(&mut warnings));
        }
        put(answer, if written > 1 { "," } else { "" });
        put(answer, &span.to_string());
        if last {
            break;
        }
    }
    put(answer, &format!(r#"],"processes":{},"warnings":null}}"#, Value::Object(processes)));
}

fn put(answer: &mut Vec<u8>, text: &str) {
    answer.extend_from_slice(text.as_bytes());
}

fn process(process: &Process) -> Value {
    let tags: Vec<Value> =
        process.resource().attributes.iter().filter(|a| a.key != SERVICE_NAME).map(attribute).collect();
    json!({ "serviceName": process.service, "tags": tags })
}

fn span(span: &Span, process: &str) -> Value {
    json!({
        "traceID": hex(&span.trace_id),
        "spanID": hex(&span.span_id),
        "operationName": span.name,
        "references": references(span),
        "startTime": span.start_time_unix_nano / 1_000,
        // Clocks bend: an end before the start is a duration of nothing.
        "duration": span.end_time_unix_nano.saturating_sub(span.start_time_unix_nano) / 1_000,
        "tags": tags(span),
        "logs": span.events.iter().map(log).collect::<Vec<_>>(),
        "processID": process,
        "warnings": null,
    })
}

/// The parent first: the UI takes the first reference it can follow for the parent.
fn references(span: &Span) -> Vec<Value> {
    let reference = |kind: &str, trace_id: &[u8], span_id: &[u8]| json!({ "refType": kind, "traceID": hex(trace_id), "spanID": hex(span_id) });
    let parent = has_parent(span).then(|| reference("CHILD_OF", &span.trace_id, &span.parent_span_id));
    let links = span.links.iter().map(|link| reference("FOLLOWS_FROM", &link.trace_id, &link.span_id));
    parent.into_iter().chain(links).collect()
}

/// Whether the span names a parent; some exporters write "none" as zeros.
pub fn has_parent(span: &Span) -> bool {
    span.parent_span_id.iter().any(|&byte| byte != 0)
}

/// The span's attributes, and what Jaeger keeps as tags.
pub fn tags(span: &Span) -> Vec<Value> {
    let mut tags: Vec<Value> = span.attributes.iter().map(attribute).collect();
    let kind = kind_name(span.kind());
    if !kind.is_empty() {
        tags.push(text("span.kind", kind));
    }
    if let Some(status) = &span.status {
        match status.code() {
            StatusCode::Unset => {}
            StatusCode::Ok => tags.push(text("otel.status_code", "OK")),
            StatusCode::Error => {
                tags.push(text("otel.status_code", "ERROR"));
                tags.push(json!({ "key": "error", "type": "bool", "value": true }));
            }
        }
        if !status.message.is_empty() {
            tags.push(text("otel.status_description", &status.message));
        }
    }
    if !span.trace_state.is_empty() {
        tags.push(text("w3c.tracestate", &span.trace_state));
    }
    tags
}

fn log(event: &Event) -> Value {
    let name = (!event.name.is_empty()).then(|| text("event", &event.name));
    let fields: Vec<Value> = name.into_iter().chain(event.attributes.iter().map(attribute)).collect();
    json!({ "timestamp": event.time_unix_nano / 1_000, "fields": fields })
}

fn text(key: &str, value: &str) -> Value {
    json!({ "key": key, "type": "string", "value": value })
}

fn attribute(attribute: &KeyValue) -> Value {
    let value = attribute.value.as_ref().and_then(|any| any.value.as_ref());
    let (kind, value) = match value {
        Some(Otlp::BoolValue(value)) => ("bool", json!(value)),
        Some(Otlp::IntValue(value)) => ("int64", json!(value)),
        Some(Otlp::DoubleValue(value)) => ("float64", json!(value)),
        Some(Otlp::StringValue(value)) => ("string", json!(value)),
        // The UI shows a string that holds JSON as a tree.
        Some(nested) => ("string", json!(plain(nested).to_string())),
        None => ("string", json!("")),
    };
    json!({ "key": attribute.key, "type": kind, "value": value })
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
