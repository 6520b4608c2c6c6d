//! A row of the outbox as it was read: parsed once, and not checked again.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use tpro_wire::{
    budget::Budget, priority::Priority, protocol::Protocol, target::Target, trace::TraceParent, uid::Uid,
};

use super::snapshot::Xid;

/// A published row, ready to be sent.
#[derive(Clone)]
pub struct Published {
    /// Its number in the outbox.
    pub id: i64,
    /// Its identity.
    pub uid: Uid,
    /// Whom it asks.
    pub target: Target,
    /// The form in which the body is sent.
    pub protocol: Protocol,
    /// The time within which a reply must come.
    pub budget: Budget,
    /// It is an event that a stream is to keep: the reply is the acknowledgement of the stream.
    pub is_acked: bool,
    /// The number of its requests, if it is a batch.
    pub requests: Option<usize>,
    /// By the database's clock.
    pub created_at: SystemTime,
    /// The milliseconds before it expires, measured by the database when it was read; negative
    /// when it has.
    pub expires_in: Option<i64>,
    /// The PRODUCER span's own context; SQL minted it.
    pub traceparent: TraceParent,
    /// The PRODUCER span's parent, if the publisher continued a trace.
    pub parent: Option<[u8; 8]>,
    /// The members of the trace state that others put there.
    pub tracestate: Option<String>,
    /// The row's headers as JSON; none when they are empty.
    pub headers: Option<String>,
    /// The language that the publisher asks for.
    pub language: Option<String>,
    /// Services in the chain of calls so far.
    pub hops: u32,
    /// The label to which the bare reply is published as well.
    pub reply_to: Option<String>,
    /// The function in SQL that it names for its reply.
    pub on_reply: Option<Box<str>>,
    /// Its ordering key, if those behind it are to wait when it fails.
    pub hold: Option<Box<str>>,
    /// The bytes that go on the wire.
    pub payload: Bytes,
}

impl Published {
    /// The bytes it counts for while it is in flight.
    pub fn weight(&self) -> usize {
        self.payload.len() + self.headers.as_ref().map_or(0, String::len)
    }

    /// The time for which the row waited, by the database's clock and ours.
    pub fn queued(&self, now: SystemTime) -> Duration {
        now.duration_since(self.created_at).unwrap_or_default()
    }
}

/// Without its body, which is nobody's business.
impl fmt::Debug for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, uid, target, .. } = self;
        f.debug_struct("Published")
            .field("id", id)
            .field("uid", uid)
            .field("target", target)
            .finish_non_exhaustive()
    }
}

/// A row of a page, and its place in the order of reading.
#[derive(Clone, Debug)]
pub struct Row {
    /// The transaction that has published it.
    pub tx: Xid,
    /// Its number in the outbox.
    pub id: i64,
    /// The lane it belongs to, `space.service`; rows of one lane may share the text.
    pub lane: Arc<str>,
    /// Its priority there.
    pub priority: Priority,
    /// Those of its lane with the same key are sent one after the other.
    pub key: Option<Box<str>>,
    /// It names a label for its reply.
    pub forwards: bool,
    /// The rest of it.
    pub content: Content,
}

/// The content of a row.
#[derive(Clone, Debug)]
pub enum Content {
    /// It came whole.
    Whole(Box<Published>),
    /// It came without its body, since its lane has no room.
    Bare,
    /// It has a value that the domains of the outbox do not let in.
    Broken(Box<Broken>),
}

/// A row that cannot be sent.
#[derive(Clone, Debug)]
pub struct Broken {
    /// The column with the value.
    pub column: &'static str,
    /// Its uid, if that is one.
    pub uid: Option<Uid>,
    /// Whom it asks, if that can be read.
    pub target: Option<Target>,
    /// The label to which the bare reply is published as well.
    pub reply_to: Option<String>,
}
