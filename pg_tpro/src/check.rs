//! The check functions of the domains in `mq_publish` and `mq_reply`.
//!
//! They raise an error for a bad value, null included, and do not return false. For a CHECK or a
//! NOT NULL that fails on a table, PostgreSQL writes `DETAIL: Failing row contains (...)` into its
//! log, and a body may hold passwords.

use pgrx::Uuid;
use pgrx::prelude::*;
use tpro_wire::limits::{LARGEST_BODY, MAX_HEADERS};
use tpro_wire::protocol::Protocol;
use tpro_wire::rules::{self, Rule, RuleError};
use tpro_wire::shape::Shape;
use tpro_wire::status::Status;
use tpro_wire::uid::Uid;

use crate::fault::{Fault, OrRaise, SqlState};
use crate::json::{JsonShape, JsonText, Structured};

#[pg_extern]
fn check_protocol(value: Option<&str>) -> bool {
    required("protocol", value, rules::protocol)
}

#[pg_extern]
fn check_space_name(value: Option<&str>) -> bool {
    required("space_name", value, rules::space_name)
}

#[pg_extern]
fn check_service_name(value: Option<&str>) -> bool {
    required("service_name", value, rules::service_name)
}

#[pg_extern]
fn check_entity(value: Option<&str>) -> bool {
    required("entity", value, rules::entity)
}

#[pg_extern]
fn check_method_name(value: Option<&str>) -> bool {
    required("method_name", value, rules::method_name)
}

#[pg_extern]
fn check_timeout(value: Option<i32>) -> bool {
    required("timeout", value, rules::timeout)
}

#[pg_extern]
fn check_headers(value: Option<JsonText<'_>>) -> bool {
    let Some(JsonText(text)) = value else { return required("headers", None::<()>, |_| Ok(())) };
    if text.len() > MAX_HEADERS {
        too_large("headers", text.len(), MAX_HEADERS)
            .hint("Headers travel with every attempt of a message. Put large data into the body.")
            .raise();
    }
    required("headers", Some(text), rules::headers)
}

/// A dump must be restored under any settings, so no setting counts here. [`crate::refusal`] checks
/// `tpro.max_body`, where a row is inserted.
#[pg_extern]
fn check_body(value: Option<JsonShape>) -> bool {
    let Some(JsonShape(shape)) = value else { return required("body", None::<()>, |_| Ok(())) };
    if shape.bytes > LARGEST_BODY {
        body_too_large(shape.bytes, LARGEST_BODY).raise();
    }
    required("body", Some(shape), |shape| rules::body(shape, LARGEST_BODY))
}

/// A check of the table, not of a domain: JSON-RPC takes no body that is a bare value. It raises
/// too, so that its CHECK constraint never fails by itself.
#[pg_extern]
fn check_body_for(protocol: Option<&str>, body: Option<Structured>) -> bool {
    let (Some(protocol), Some(Structured(structured))) = (protocol, body) else { return true };
    // Another protocol has been refused by its domain.
    let Ok(protocol) = protocol.parse::<Protocol>() else { return true };
    accepted(rules::body_for(protocol, Shape { structured, ..Shape::default() }))
}

#[pg_extern]
fn check_uid(value: Option<Uuid>) -> bool {
    required("uid", value, |_| Ok(()));
    if value.is_some_and(|uuid| Uid::from_uuid(uuid::Uuid::from_bytes(*uuid.as_bytes())).is_err()) {
        Fault::new(SqlState::ERRCODE_INVALID_PARAMETER_VALUE, "uid must be a uuid of version 7")
            .hint("Leave the column out, or make the value by tpro.uuid7().")
            .raise();
    }
    true
}

#[pg_extern]
fn check_created_at(value: Option<TimestampWithTimeZone>) -> bool {
    required("created_at", value.as_ref(), |_| Ok(()));
    finite("created_at", value)
}

#[pg_extern]
fn check_expires_at(value: Option<TimestampWithTimeZone>) -> bool {
    finite("expires_at", value)
}

/// The prefix that makes a subject of the label is a setting of the sidecar, which is not known
/// here.
#[pg_extern]
fn check_reply_to(value: Option<&str>) -> bool {
    value.is_none_or(|value| accepted(rules::reply_to(value)))
}

#[pg_extern]
fn check_traceparent(value: Option<&str>) -> bool {
    required("traceparent", value, rules::traceparent)
}

#[pg_extern]
fn check_tracestate(value: Option<&str>) -> bool {
    value.is_none_or(|value| accepted(rules::tracestate(value)))
}

#[pg_extern]
fn check_status(value: Option<&str>) -> bool {
    if value.is_none_or(|value| value.parse::<Status>().is_err()) {
        Fault::new(
            SqlState::ERRCODE_INVALID_PARAMETER_VALUE,
            "status must be ok, error, timeout, unavailable, expired or cancelled",
        )
        .raise();
    }
    true
}

/// Raises the fault of a value that is null or breaks its rule.
pub fn required<T>(
    column: &'static str,
    value: Option<T>,
    rule: impl FnOnce(T) -> Result<(), RuleError>,
) -> bool {
    accepted(rules::present(column, value).and_then(rule))
}

/// Raises the fault of a value that breaks its rule.
pub fn accepted(judged: Result<(), RuleError>) -> bool {
    judged.map_err(fault).or_raise();
    true
}

fn fault(error: RuleError) -> Fault {
    let fault = Fault::new(state(error.rule), error.to_string());
    match hint(error.rule) {
        Some(hint) => fault.hint(hint),
        None => fault,
    }
}

fn state(rule: Rule) -> SqlState {
    match rule {
        Rule::HeadersSize | Rule::BodySize { .. } | Rule::BodyDepth => {
            SqlState::ERRCODE_PROGRAM_LIMIT_EXCEEDED
        }
        _ => SqlState::ERRCODE_INVALID_PARAMETER_VALUE,
    }
}

fn hint(rule: Rule) -> Option<&'static str> {
    match rule {
        Rule::Present => Some("Leave the column out to get its default, if it has one."),
        Rule::Protocol => Some(
            "jsonrpc wraps the body in a JSON-RPC 2.0 request; json sends it as it is, to any NATS service.",
        ),
        Rule::Name | Rule::Word => {
            Some("The message goes to the subject <space_name>.<service_name>.<entity>.<method_name>.")
        }
        Rule::Priority => Some(
            "Of what waits for one service, 3 has the largest share and 0, the default, the smallest. Leave the column out \
             to get 0.",
        ),
        Rule::OrderingKey => Some(
            "Messages with one key are sent one after the other. Leave the column out for a message without an order; for a \
             longer key give its sha256().",
        ),
        Rule::OnReply => Some(
            "Name it as shop.paid or \"Shop\".\"Paid\": a function (reply tpro.reply_row) RETURNS void, which the service may \
             execute. Leave the column out to have none.",
        ),
        Rule::SendAt => Some(
            "Leave it out to have the message sent at once. A table of your own can keep what is to be sent after that.",
        ),
        Rule::ExpiresAfterSending => Some("A message that expires before it is sent would never be sent."),
        Rule::EventAck => Some(
            "With {\"event\": {\"ack\": true}} a message is settled when a stream of JetStream has acknowledged it.",
        ),
        Rule::OnError => Some(
            "With hold the messages that have the same ordering_key wait when this one has failed, until tpro.retry() or \
             tpro.release(). Leave it out to have them sent.",
        ),
        Rule::HeldKey => Some(
            "Only messages with an ordering_key wait for each other. Give it one, or leave ordering.on_error out.",
        ),
        Rule::Timeout => Some("0 makes the message an event, which nobody answers."),
        Rule::RequestType => Some(
            "With batch each element of the body is a request of its own, and all of them go in one message. Leave it out \
             for one request.",
        ),
        Rule::BatchProtocol => {
            Some("JSON-RPC has batches, and json has no envelope for them. Leave the column out.")
        }
        Rule::BatchBody => {
            Some("Each element is the body of one request. Publish more than these in several messages.")
        }
        Rule::BodyStructured => Some("Use an object or an array, or protocol json."),
        Rule::Label => Some(
            "Give the label alone, without the prefix of its subject: the sidecar has that as its setting REPLY_TO_PREFIX. \
             Without a reply_to the reply is in mq_reply only.",
        ),
        Rule::TraceParent => Some("Leave the column out: tpro.new_traceparent() makes one."),
        _ => None,
    }
}

/// 54000 with both sizes.
pub fn body_too_large(bytes: usize, max: usize) -> Fault {
    too_large("body", bytes, max).hint(
        "Send a reference to the data instead of the data. A superuser can raise tpro.max_body as far as max_payload of \
         the NATS server allows.",
    )
}

fn too_large(column: &str, bytes: usize, max: usize) -> Fault {
    Fault::new(
        SqlState::ERRCODE_PROGRAM_LIMIT_EXCEEDED,
        format!("{column} must be at most {max} bytes of JSON text, not {bytes}"),
    )
}

fn finite(column: &str, value: Option<TimestampWithTimeZone>) -> bool {
    if value.is_some_and(|value| value.is_infinity() || value.is_neg_infinity()) {
        Fault::new(SqlState::ERRCODE_INVALID_PARAMETER_VALUE, format!("{column} must be finite"))
            .hint("Leave the column out to get its default.")
            .raise();
    }
    true
}
