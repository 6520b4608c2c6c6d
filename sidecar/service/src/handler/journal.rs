//! Calls on record: a row of the outbox that is never dispatched (`direct`), and its reply.
//!
//! A call's rows are written when the handler that made it ends, in the transaction that writes the
//! handler's outcome, and only if that outcome is the one that counts. So a call is on record once,
//! in spite of further runs of its handler, and never without the outcome that came of it. A run
//! that was cut off leaves no record: the run after it makes its calls again, and they are repeats.
//! Stateless handlers have no outcome; their calls are written alone, each time that they run.

use std::time::SystemTime;

use tokio_postgres::types::ToSql;
use tpro_wire::{Status, Target, TraceParent, Uid};

/// One call that is over.
#[derive(Clone, Debug)]
pub(crate) struct Journal {
    pub(crate) uid: Uid,
    pub(crate) target: Target,
    /// Seconds, at least 1: 0 would be an event.
    pub(crate) timeout: i32,
    pub(crate) headers: String,
    pub(crate) body: String,
    pub(crate) created_at: SystemTime,
    /// The call's CLIENT span, and the SERVER span it hangs under.
    pub(crate) traceparent: TraceParent,
    pub(crate) parent: [u8; 8],
    pub(crate) status: Status,
    pub(crate) result: Option<String>,
    pub(crate) error: Option<String>,
    pub(crate) attempts: i32,
    pub(crate) sent_at: Option<SystemTime>,
    pub(crate) replied_at: Option<SystemTime>,
    pub(crate) responder: Option<String>,
}

/// Calls as columns, for one statement.
#[derive(Default)]
pub(crate) struct Columns {
    /// The message whose outcome they led to. None: they count by themselves.
    outcome_of: Vec<Option<uuid::Uuid>>,
    uid: Vec<uuid::Uuid>,
    space: Vec<String>,
    service: Vec<String>,
    entity: Vec<String>,
    method_name: Vec<String>,
    timeout: Vec<i32>,
    headers: Vec<String>,
    body: Vec<String>,
    created_at: Vec<SystemTime>,
    traceparent: Vec<String>,
    tracestate: Vec<String>,
    status: Vec<&'static str>,
    result: Vec<Option<String>>,
    error: Vec<Option<String>>,
    attempts: Vec<i32>,
    sent_at: Vec<Option<SystemTime>>,
    replied_at: Vec<Option<SystemTime>>,
    responder: Vec<Option<String>>,
}

impl Columns {
    /// Turns rows into columns. A call that comes with a message is only recorded by the
    /// transaction that stores the outcome of that message.
    pub(crate) fn of<'j>(calls: impl IntoIterator<Item = (Option<Uid>, &'j Journal)>) -> Self {
        let mut columns = Self::default();
        for (outcome_of, call) in calls {
            columns.outcome_of.push(outcome_of.map(|uid| uid.uuid()));
            columns.uid.push(call.uid.uuid());
            columns.space.push(call.target.space().to_owned());
            columns.service.push(call.target.service().to_owned());
            columns.entity.push(call.target.entity().to_owned());
            columns.method_name.push(call.target.method_name().to_owned());
            columns.timeout.push(call.timeout);
            columns.headers.push(call.headers.clone());
            columns.body.push(call.body.clone());
            columns.created_at.push(call.created_at);
            columns.traceparent.push(call.traceparent.to_string());
            columns.tracestate.push(tpro_wire::tracestate::tracestate_with_parent(call.parent));
            columns.status.push(call.status.as_str());
            columns.result.push(call.result.clone());
            columns.error.push(call.error.clone());
            columns.attempts.push(call.attempts);
            columns.sent_at.push(call.sent_at);
            columns.replied_at.push(call.replied_at);
            columns.responder.push(call.responder.clone());
        }
        columns
    }

    /// True if there is nothing to write.
    pub(crate) fn is_empty(&self) -> bool {
        self.uid.is_empty()
    }

    /// The parameters of [`statement`].
    pub(crate) fn params(&self) -> [&(dyn ToSql + Sync); 19] {
        [
            &self.uid,
            &self.space,
            &self.service,
            &self.entity,
            &self.method_name,
            &self.timeout,
            &self.headers,
            &self.body,
            &self.created_at,
            &self.traceparent,
            &self.tracestate,
            &self.status,
            &self.result,
            &self.error,
            &self.attempts,
            &self.sent_at,
            &self.replied_at,
            &self.responder,
            &self.outcome_of,
        ]
    }
}

/// The statement that writes calls and their replies, for one service's schema.
pub(crate) fn statement(schema: &str) -> String {
    include_str!("journal.sql").replace("{schema}", schema)
}
