//! A row of the outbox, as read: parsed once, here, and not checked again.

use std::{
    borrow::Cow,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use serde::Deserialize;
use tokio_postgres::Row;
use tpro_wire::{
    budget::Budget,
    envelope,
    headers::is_language,
    protocol::Protocol,
    target::Target,
    trace::{TraceParent, parent_in_tracestate, tracestate_without_parent},
    uid::Uid,
};
use uuid::Uuid;

use super::snapshot::Xid;

/// A published row, ready to be sent.
pub(super) struct Published {
    pub id: i64,
    pub uid: Uid,
    pub target: Target,
    pub protocol: Protocol,
    pub budget: Budget,
    /// By the database's clock.
    pub created_at: SystemTime,
    /// How long before it expires, measured by the database when it was read; negative when it has.
    pub expires_in: Option<i64>,
    /// The PRODUCER span's own context; SQL minted it.
    pub traceparent: TraceParent,
    /// The PRODUCER span's parent, if the publisher continued a trace.
    pub parent: Option<[u8; 8]>,
    /// What others put into the trace state.
    pub tracestate: Option<String>,
    /// The row's headers as JSON; none when they are empty.
    pub headers: Option<String>,
    pub language: Option<String>,
    pub hops: u32,
    /// What goes on the wire.
    pub payload: Bytes,
}

/// What a row turned out to be.
pub(super) enum Read {
    /// It came whole.
    Whole(Box<Published>),
    /// It came without its body, since its lane has no room.
    Bare,
    /// It has a value that the domains of the outbox do not let in; it names the column. Its uid, if that is one.
    Broken(Option<Uid>, &'static str),
}

/// The columns of `read.sql` and `fetch.sql`, by place.
mod column {
    pub const TX: usize = 1;
    pub const ID: usize = 2;
    pub const UID: usize = 3;
    pub const SUBJECT: usize = 4;
    pub const PROTOCOL: usize = 5;
    pub const TIMEOUT: usize = 6;
    pub const CREATED_AT: usize = 7;
    pub const EXPIRES_IN: usize = 8;
    pub const TRACEPARENT: usize = 9;
    pub const TRACESTATE: usize = 10;
    pub const HEADERS: usize = 11;
    pub const BODY: usize = 12;
}

/// A row's place in the order of reading.
pub(super) fn place(row: &Row) -> Result<(Xid, i64), tokio_postgres::Error> {
    Ok((row.try_get(column::TX)?, row.try_get(column::ID)?))
}

/// The lane of a row: `space.service`, the subject up to its second dot.
pub(super) fn lane(row: &Row) -> Result<&str, tokio_postgres::Error> {
    let subject: &str = row.try_get(column::SUBJECT)?;
    let end = subject.match_indices('.').nth(1).map_or(subject.len(), |(end, _)| end);
    Ok(&subject[..end])
}

/// The subject of a row, whatever else is wrong with it.
pub(super) fn subject(row: &Row) -> Option<&str> {
    row.try_get(column::SUBJECT).ok()
}

/// Makes a message of a row.
pub(super) fn read(row: &Row) -> Result<Read, tokio_postgres::Error> {
    let Some(body): Option<&str> = row.try_get(column::BODY)? else { return Ok(Read::Bare) };
    let Ok(uid) = Uid::from_uuid(row.try_get::<_, Uuid>(column::UID)?) else {
        return Ok(Read::Broken(None, "uid"));
    };
    let broken = |column| Ok(Read::Broken(Some(uid), column));
    let Ok(target) = Target::parse(row.try_get(column::SUBJECT)?) else { return broken("service_name") };
    let Ok(protocol) = row.try_get::<_, &str>(column::PROTOCOL)?.parse() else { return broken("protocol") };
    let Ok(budget) = Budget::from_seconds(row.try_get(column::TIMEOUT)?) else { return broken("timeout") };
    let Ok(traceparent) = row.try_get::<_, &str>(column::TRACEPARENT)?.parse() else {
        return broken("traceparent");
    };
    let tracestate: Option<&str> = row.try_get(column::TRACESTATE)?;
    let headers: &str = row.try_get::<_, Option<&str>>(column::HEADERS)?.unwrap_or("{}");
    let known =
        if headers == "{}" { Known::default() } else { serde_json::from_str(headers).unwrap_or_default() };
    let payload = match protocol {
        Protocol::JsonRpc => Bytes::from(envelope::request(&uid, target.method(), body)),
        Protocol::Json => Bytes::copy_from_slice(body.as_bytes()),
    };
    Ok(Read::Whole(Box::new(Published {
        id: row.try_get(column::ID)?,
        uid,
        protocol,
        budget,
        created_at: row.try_get(column::CREATED_AT)?,
        expires_in: row.try_get(column::EXPIRES_IN)?,
        traceparent,
        parent: tracestate.and_then(parent_in_tracestate),
        tracestate: tracestate.and_then(tracestate_without_parent),
        headers: (headers != "{}").then(|| headers.to_owned()),
        language: known.language.filter(|tag| is_language(tag)).map(Cow::into_owned),
        hops: known.hops.unwrap_or(0),
        target,
        payload,
    })))
}

impl Published {
    /// The bytes it counts for while it is in flight.
    pub fn weight(&self) -> usize {
        self.payload.len() + self.headers.as_ref().map_or(0, String::len)
    }

    /// How long the row waited, by the database's clock and ours.
    pub fn queued(&self, now: SystemTime) -> Duration {
        now.duration_since(self.created_at).unwrap_or_default()
    }
}

/// The members of a row's headers that are NATS headers of their own.
#[derive(Default, Deserialize)]
struct Known<'a> {
    #[serde(borrow, default, rename = "content-language")]
    language: Option<Cow<'a, str>>,
    /// Set where a handler publishes, so that a circle of services ends (`Tx::publish`).
    #[serde(default, rename = "tpro-hops")]
    hops: Option<u32>,
}
