//! The rules of a published row, a function for each column of `mq_publish`.
//!
//! They run inside PostgreSQL for every row, as the check functions of the columns' domains. They
//! allocate nothing unless they refuse, and cannot panic. A refusal names column and rule. It shows
//! a value only if that looks like a short token, and never one of `headers` or `body`, where
//! passwords are.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::budget::Budget;
use crate::headers::is_language;
use crate::identifier;
use crate::limits::{
    MAX_BATCH, MAX_DAYS_AHEAD, MAX_DEPTH, MAX_HEADERS, MAX_LABEL, MAX_ORDERING_KEY, MAX_PRIORITY,
};
use crate::protocol::Protocol;
pub use crate::rule::{Rule, RuleError};
use crate::shape::Shape;
use crate::token;
use crate::trace::TraceParent;
use crate::tracestate;

/// The types of a request.
const SINGLE: &str = r#""single""#;
const BATCH: &str = r#""batch""#;
/// The fates of an ordering key when a message fails.
const CONTINUE: &str = r#""continue""#;
const HOLD: &str = r#""hold""#;

/// The value, if there is one: `column` must not be null.
pub fn present<T>(column: &'static str, value: Option<T>) -> Result<T, RuleError> {
    value.ok_or(RuleError::hidden(column, Rule::Present))
}

/// Column `protocol`: `jsonrpc` or `json`.
pub fn protocol(value: &str) -> Result<(), RuleError> {
    match value.parse::<Protocol>() {
        Ok(_) => Ok(()),
        Err(_) => Err(RuleError::shown("protocol", Rule::Protocol, value)),
    }
}

/// Column `space_name`: `^[a-z][a-z0-9_]{0,39}$`.
pub fn space_name(value: &str) -> Result<(), RuleError> {
    name("space_name", value)
}

/// Column `service_name`: `^[a-z][a-z0-9_]{0,39}$`. Reserved names are taken: the service may be a
/// stranger's.
pub fn service_name(value: &str) -> Result<(), RuleError> {
    name("service_name", value)
}

/// Column `entity`: `^[A-Za-z0-9_-]{1,100}$`.
pub fn entity(value: &str) -> Result<(), RuleError> {
    word("entity", value)
}

/// Column `method_name`: `^[A-Za-z0-9_-]{1,100}$`.
pub fn method_name(value: &str) -> Result<(), RuleError> {
    word("method_name", value)
}

/// Column `timeout`: 0 to 86,400 seconds.
pub fn timeout(seconds: i32) -> Result<(), RuleError> {
    match Budget::from_seconds(seconds) {
        Ok(_) => Ok(()),
        Err(_) => Err(RuleError {
            shown: Some(seconds.to_string().into()),
            ..RuleError::hidden("timeout", Rule::Timeout)
        }),
    }
}

/// Column `priority`: 0 to 3.
pub fn priority(priority: i32) -> Result<(), RuleError> {
    match (0..=MAX_PRIORITY).contains(&priority) {
        true => Ok(()),
        false => Err(RuleError {
            shown: Some(priority.to_string().into()),
            ..RuleError::hidden("priority", Rule::Priority)
        }),
    }
}

/// Column `ordering_key`: 1 to 200 bytes. It is never shown, since it may be a customer's number.
pub fn ordering_key(value: &str) -> Result<(), RuleError> {
    match (1..=MAX_ORDERING_KEY).contains(&value.len()) {
        true => Ok(()),
        false => Err(RuleError {
            shown: Some(value.len().to_string().into()),
            ..RuleError::hidden("ordering_key", Rule::OrderingKey)
        }),
    }
}

/// Column `on_reply`: `schema.function`, each name quoted where SQL needs it. The type of the
/// argument may stand behind it, as tpro writes it.
pub fn on_reply(value: &str) -> Result<(), RuleError> {
    let name = value.strip_suffix("(tpro.reply_row)").unwrap_or(value);
    let rest = identifier::after(name).and_then(|rest| identifier::after(rest.strip_prefix('.')?));
    match rest {
        Some("") => Ok(()),
        _ => Err(RuleError::shown("on_reply", Rule::OnReply, value)),
    }
}

/// Column `send_at`, in microseconds from now: at most 30 days ahead. What has passed is sent at
/// once.
pub fn send_at(ahead: i64) -> Result<(), RuleError> {
    const MOST: i64 = MAX_DAYS_AHEAD * 86_400_000_000;
    if ahead <= MOST { Ok(()) } else { Err(RuleError::hidden("send_at", Rule::SendAt)) }
}

/// Columns `send_at` and `expires_at` together, in microseconds of one clock.
pub fn expires_after_sending(send_at: i64, expires_at: i64) -> Result<(), RuleError> {
    match expires_at > send_at {
        true => Ok(()),
        false => Err(RuleError::hidden("expires_at", Rule::ExpiresAfterSending)),
    }
}

/// Column `headers`, as JSON text: an object of at most 8 KiB. tpro reads `request.type`,
/// `event.ack`, `ordering.on_error` and `content-language` itself, so these have rules; the rest is
/// the user's.
pub fn headers(json: &str) -> Result<(), RuleError> {
    const COLUMN: &str = "headers";
    if json.len() > MAX_HEADERS {
        return Err(RuleError::hidden(COLUMN, Rule::HeadersSize));
    }
    // The usual case costs a comparison only.
    if json == "{}" {
        return Ok(());
    }
    let known: KnownHeaders<'_> = object(json).ok_or(RuleError::hidden(COLUMN, Rule::HeadersObject))?;
    if let Some(request) = known.request {
        let request: KnownRequest<'_> =
            object(request.get()).ok_or(RuleError::hidden(COLUMN, Rule::HeadersObject))?;
        if request.kind.is_some_and(|kind| !matches!(kind.get(), SINGLE | BATCH)) {
            return Err(RuleError::hidden(COLUMN, Rule::RequestType));
        }
    }
    // An event that is no object is the user's own word.
    let event: Option<KnownEvent<'_>> = known.event.and_then(|event| object(event.get()));
    if event.and_then(|event| event.ack).is_some_and(|ack| !matches!(ack.get(), "true" | "false")) {
        return Err(RuleError::hidden(COLUMN, Rule::EventAck));
    }
    let on_error = known.ordering.and_then(on_error);
    if on_error.is_some_and(|on_error| !matches!(on_error, CONTINUE | HOLD)) {
        return Err(RuleError::hidden(COLUMN, Rule::OnError));
    }
    let quoted =
        |text: &str| text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).is_some_and(is_language);
    if known.language.is_some_and(|language| !quoted(language.get())) {
        return Err(RuleError::hidden(COLUMN, Rule::Language));
    }
    Ok(())
}

/// True if headers, as JSON text, say that the body is a batch of requests.
pub fn is_batch(headers: &str) -> bool {
    // Nearly all headers cost a look for the word only.
    if !headers.contains("batch") {
        return false;
    }
    let request = object(headers).and_then(|known: KnownHeaders<'_>| object(known.request?.get()));
    request.and_then(|request: KnownRequest<'_>| request.kind).is_some_and(|kind| kind.get() == BATCH)
}

/// True if headers, as JSON text, say that the messages with the same ordering key are to wait when
/// this one has failed.
pub fn holds_key(headers: &str) -> bool {
    // As of a batch.
    if !headers.contains("hold") {
        return false;
    }
    let known: Option<KnownHeaders<'_>> = object(headers);
    known.and_then(|known| known.ordering).and_then(on_error) == Some(HOLD)
}

/// The member `on_error` of an ordering. One that is no object is the user's own word.
fn on_error(ordering: &RawValue) -> Option<&str> {
    let ordering: KnownOrdering<'_> = object(ordering.get())?;
    ordering.on_error.map(RawValue::get)
}

/// Columns `headers` and `ordering_key` together: only a key can be held.
pub fn held_key(has_key: bool) -> Result<(), RuleError> {
    if has_key { Ok(()) } else { Err(RuleError::hidden("ordering_key", Rule::HeldKey)) }
}

/// Columns `headers`, `protocol` and `body` together: a batch is an array of bodies for JSON-RPC.
/// `requests` is their number, and none if the body is no array of objects and arrays.
pub fn batch(protocol: Protocol, requests: Option<usize>) -> Result<(), RuleError> {
    if protocol != Protocol::JsonRpc {
        return Err(RuleError::hidden("protocol", Rule::BatchProtocol));
    }
    match requests {
        Some(1..=MAX_BATCH) => Ok(()),
        Some(_) | None => Err(RuleError::hidden("body", Rule::BatchBody)),
    }
}

/// Column `body`: size and depth. `max` is the setting `tpro.max_body`, or the largest that it can
/// be where no setting counts.
pub fn body(shape: Shape, max: usize) -> Result<(), RuleError> {
    if shape.bytes > max {
        return Err(RuleError::hidden("body", Rule::BodySize { max }));
    }
    if shape.depth > MAX_DEPTH {
        return Err(RuleError::hidden("body", Rule::BodyDepth));
    }
    Ok(())
}

/// Columns `protocol` and `body` together: JSON-RPC takes an object or an array as `params` and
/// nothing else (specification, section 4.2).
pub fn body_for(protocol: Protocol, shape: Shape) -> Result<(), RuleError> {
    match protocol {
        Protocol::JsonRpc if !shape.structured => Err(RuleError::hidden("body", Rule::BodyStructured)),
        Protocol::JsonRpc | Protocol::Json => Ok(()),
    }
}

/// Column `reply_to`: a label, which a sidecar puts behind its prefix to get a subject. It has
/// tokens of a subject and no wildcards. The first does not begin with `_`, so that the subject of
/// an inbox is no label.
pub fn reply_to(value: &str) -> Result<(), RuleError> {
    let allowed = |token: &str| {
        !token.is_empty() && token.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
    };
    if value.len() <= MAX_LABEL && !value.starts_with('_') && value.split('.').all(allowed) {
        Ok(())
    } else {
        Err(RuleError::shown("reply_to", Rule::Label, value))
    }
}

/// Column `traceparent`: W3C Trace Context level 1, version 00.
pub fn traceparent(value: &str) -> Result<(), RuleError> {
    match value.parse::<TraceParent>() {
        Ok(_) => Ok(()),
        Err(_) => Err(RuleError::hidden("traceparent", Rule::TraceParent)),
    }
}

/// Column `tracestate`: W3C Trace Context level 1.
pub fn tracestate(value: &str) -> Result<(), RuleError> {
    if tracestate::is_valid(value) {
        Ok(())
    } else {
        // It is not shown, because other systems put into it what they like.
        Err(RuleError::hidden("tracestate", Rule::TraceState))
    }
}

fn name(column: &'static str, value: &str) -> Result<(), RuleError> {
    if token::is_name(value) { Ok(()) } else { Err(RuleError::shown(column, Rule::Name, value)) }
}

fn word(column: &'static str, value: &str) -> Result<(), RuleError> {
    if token::is_word(value) { Ok(()) } else { Err(RuleError::shown(column, Rule::Word, value)) }
}

/// Reads an object. Serde alone would read the members from an array too, in order.
fn object<'a, T: Deserialize<'a>>(json: &'a str) -> Option<T> {
    let object = json.trim_start_matches([' ', '\t', '\n', '\r']).starts_with('{');
    object.then(|| serde_json::from_str(json).ok()).flatten()
}

// The values are compared as text, which `jsonb` writes in one way only. Null counts as absent.
#[derive(Deserialize)]
struct KnownHeaders<'a> {
    #[serde(default, borrow)]
    request: Option<&'a RawValue>,
    #[serde(default, borrow)]
    event: Option<&'a RawValue>,
    #[serde(default, borrow)]
    ordering: Option<&'a RawValue>,
    #[serde(default, borrow, rename = "content-language")]
    language: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct KnownOrdering<'a> {
    #[serde(default, borrow)]
    on_error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct KnownEvent<'a> {
    #[serde(default, borrow)]
    ack: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct KnownRequest<'a> {
    #[serde(default, borrow, rename = "type")]
    kind: Option<&'a RawValue>,
}
