//! The defaults of a row: its uid, its place in a trace, its space.

use std::time::{SystemTime, UNIX_EPOCH};

use pgrx::Uuid;
use pgrx::prelude::*;
use tpro_wire::trace::{TraceParent, tracestate_with_parent};
use tpro_wire::uid::Uid;

use crate::random::random;
use crate::settings;

/// `tpro.uuid7()`: a uid of now.
#[pg_extern]
fn uuid7() -> Uuid {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let uid = Uid::v7(u64::try_from(now.as_millis()).unwrap_or(u64::MAX), random());
    Uuid::from_bytes(*uid.uuid().as_bytes())
}

/// `tpro.new_traceparent()`: a new span, in the trace of the setting `tpro.traceparent` if the
/// session has one.
#[pg_extern]
fn new_traceparent() -> String {
    match continued() {
        Some(parent) => parent.child(random()),
        None => TraceParent::root(random(), true),
    }
    .to_string()
}

/// `tpro.new_tracestate()`: names the span that the setting `tpro.traceparent` gives as the new
/// span's parent.
#[pg_extern]
fn new_tracestate() -> Option<String> {
    continued().map(|parent| tracestate_with_parent(parent.span_id))
}

/// `tpro.space()`: the setting `tpro.space`.
#[pg_extern]
fn space() -> String {
    settings::space().into_owned()
}

/// `tpro.max_body()`: the setting `tpro.max_body`, for sessions that have not loaded the library
/// yet.
#[pg_extern]
fn max_body() -> i32 {
    i32::try_from(settings::max_body()).unwrap_or(i32::MAX)
}

/// The trace of the session. A text that cannot be read is no trace, as the W3C has it: a session
/// that sets it from a web request must not have its publish refused for it.
fn continued() -> Option<TraceParent> {
    TraceParent::read(&settings::traceparent()?)
}
