//! The final outcome of an outbox row, before it is written.

use std::time::SystemTime;

use tpro_wire::{priority::Priority, status::Status, target::Target, trace::TraceParent, uid::Uid};

/// The contents of a row of `mq_reply`. JSON is kept as text and never looked into.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// The outbox row.
    pub id: i64,
    /// Its identity.
    pub uid: Uid,
    /// The target of the message.
    pub target: Target,
    /// The end of the message.
    pub status: Status,
    /// The result, for `ok`: JSON text.
    pub result: Option<String>,
    /// The JSON-RPC error object, otherwise: JSON text.
    pub error: Option<String>,
    /// Headers of the reply: JSON text.
    pub headers: Option<String>,
    /// The priority of the message.
    pub priority: Priority,
    /// The number of attempts.
    pub attempts: i32,
    /// When it was first sent by this leader.
    pub sent_at: Option<SystemTime>,
    /// The copy that answered.
    pub responder: Option<String>,
    /// The label to which the bare reply is published as well.
    pub reply_to: Option<String>,
    /// The function in SQL that the message names for its reply.
    pub on_reply: Option<Box<str>>,
    /// The ordering key that it holds if it fails.
    pub hold: Option<Box<str>>,
    /// The PRODUCER span: parent of the `settle` span.
    pub traceparent: TraceParent,
}
