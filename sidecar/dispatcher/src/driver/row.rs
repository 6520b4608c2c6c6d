//! Rows of the outbox as they come from PostgreSQL.

use std::{borrow::Cow, sync::Arc};

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio_postgres::Row;
use tpro_wire::{
    budget::Budget,
    envelope,
    headers::is_language,
    limits::ACK_SECONDS,
    priority::Priority,
    protocol::Protocol,
    rules,
    target::Target,
    trace::{parent_in_tracestate, tracestate_without_parent},
    uid::Uid,
};
use uuid::Uuid;

use crate::core::{
    published::{self, Broken, Content, Published},
    snapshot::Xid,
};

/// The columns of `read.sql`, `fetch.sql` and `fetch_range.sql`, by place.
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
    pub const REPLY_TO: usize = 13;
    pub const PRIORITY: usize = 14;
    pub const ORDERING_KEY: usize = 15;
    pub const ON_REPLY: usize = 16;
}

/// A row's place in the order of reading.
pub(crate) fn place(row: &Row) -> Result<(Xid, i64), tokio_postgres::Error> {
    Ok((row.try_get(column::TX)?, row.try_get(column::ID)?))
}

/// The label that a row names for its reply.
fn label(row: &Row) -> Result<Option<&str>, tokio_postgres::Error> {
    row.try_get(column::REPLY_TO)
}

/// True if a row names a label for its reply.
pub(crate) fn forwards(row: &Row) -> Result<bool, tokio_postgres::Error> {
    Ok(label(row)?.is_some())
}

/// Names of lanes that the rows of a page share; each row of a further lane has its own.
const NAMES: usize = 16;

/// Reads the rows of a page, in their order.
pub(crate) fn rows(rows: &[Row]) -> Result<Vec<published::Row>, tokio_postgres::Error> {
    let mut read: Vec<published::Row> = Vec::with_capacity(rows.len());
    let mut lanes: Vec<Arc<str>> = Vec::new();
    let mut last = None;
    for row in rows {
        let (tx, id) = place(row)?;
        let name = lane(row)?;
        let lane = match lanes.iter().find(|lane| &***lane == name) {
            Some(lane) => lane.clone(),
            None => {
                let lane: Arc<str> = name.into();
                if lanes.len() < NAMES {
                    lanes.push(lane.clone());
                }
                lane
            }
        };
        let label = label(row)?;
        let content = content(row, label, &mut last)?;
        let priority = Priority::of(row.try_get::<_, Option<i32>>(column::PRIORITY)?.unwrap_or_default());
        let key = row.try_get(column::ORDERING_KEY)?;
        read.push(published::Row { tx, id, lane, priority, key, forwards: label.is_some(), content });
    }
    Ok(read)
}

/// The lane of a row: `space.service`, the subject up to its second dot.
fn lane(row: &Row) -> Result<&str, tokio_postgres::Error> {
    let subject: &str = row.try_get(column::SUBJECT)?;
    let end = subject.match_indices('.').nth(1).map_or(subject.len(), |(end, _)| end);
    Ok(&subject[..end])
}

/// The target of a row. Mostly it is the one of the row before, `last`, whose text it shares then.
fn target(row: &Row, last: &mut Option<Target>) -> Result<Option<Target>, tokio_postgres::Error> {
    let subject: &str = row.try_get(column::SUBJECT)?;
    if last.as_ref().is_none_or(|last| last.subject() != subject) {
        *last = Target::parse(subject).ok();
    }
    Ok(last.clone())
}

/// Makes a message of a row with this label; `last` is the target of the row before.
fn content(
    row: &Row,
    label: Option<&str>,
    last: &mut Option<Target>,
) -> Result<Content, tokio_postgres::Error> {
    let Some(body): Option<&str> = row.try_get(column::BODY)? else { return Ok(Content::Bare) };
    let target = target(row, last)?;
    let broken = |uid, column| {
        let (target, reply_to) = (target.clone(), label.map(str::to_owned));
        Ok(Content::Broken(Box::new(Broken { column, uid, target, reply_to })))
    };
    let Ok(uid) = Uid::from_uuid(row.try_get::<_, Uuid>(column::UID)?) else { return broken(None, "uid") };
    let Some(target) = &target else { return broken(Some(uid), "service_name") };
    let Ok(protocol) = row.try_get::<_, &str>(column::PROTOCOL)?.parse() else {
        return broken(Some(uid), "protocol");
    };
    let Ok(traceparent) = row.try_get::<_, &str>(column::TRACEPARENT)?.parse() else {
        return broken(Some(uid), "traceparent");
    };
    let tracestate: Option<&str> = row.try_get(column::TRACESTATE)?;
    let headers: &str = row.try_get::<_, Option<&str>>(column::HEADERS)?.unwrap_or("{}");
    let known =
        if headers == "{}" { Known::default() } else { serde_json::from_str(headers).unwrap_or_default() };
    let is_acked = is_acked(known.event);
    let timeout: i32 = row.try_get(column::TIMEOUT)?;
    let seconds = if is_acked && timeout == 0 { ACK_SECONDS } else { timeout };
    let Ok(budget) = Budget::from_seconds(seconds) else { return broken(Some(uid), "timeout") };
    let (payload, requests) = match protocol {
        Protocol::JsonRpc if rules::is_batch(headers) => {
            let Some((batch, requests)) = envelope::batch(&uid, target.method(), body) else {
                return broken(Some(uid), "body");
            };
            (Bytes::from(batch), Some(requests))
        }
        Protocol::JsonRpc => (Bytes::from(envelope::request(&uid, target.method(), body)), None),
        Protocol::Json if rules::is_batch(headers) => return broken(Some(uid), "protocol"),
        Protocol::Json => (Bytes::copy_from_slice(body.as_bytes()), None),
    };
    Ok(Content::Whole(Box::new(Published {
        id: row.try_get(column::ID)?,
        uid,
        target: target.clone(),
        protocol,
        budget,
        is_acked,
        requests,
        created_at: row.try_get(column::CREATED_AT)?,
        expires_in: row.try_get(column::EXPIRES_IN)?,
        traceparent,
        parent: tracestate.and_then(parent_in_tracestate),
        tracestate: tracestate.and_then(tracestate_without_parent),
        headers: (headers != "{}").then(|| headers.to_owned()),
        language: known.language.filter(|tag| is_language(tag)).map(Cow::into_owned),
        hops: known.hops.unwrap_or(0),
        reply_to: label.map(str::to_owned),
        on_reply: row.try_get(column::ON_REPLY)?,
        hold: match rules::holds_key(headers) {
            true => row.try_get(column::ORDERING_KEY)?,
            false => None,
        },
        payload,
    })))
}

/// The members of a row's headers that are NATS headers of their own.
#[derive(Default, Deserialize)]
struct Known<'a> {
    #[serde(borrow, default, rename = "content-language")]
    language: Option<Cow<'a, str>>,
    /// Set where a handler publishes, so that a circle of services ends (`Tx::publish`).
    #[serde(default, rename = "tpro-hops")]
    hops: Option<u32>,
    #[serde(borrow, default)]
    event: Option<&'a RawValue>,
}

/// True if headers say that a stream is to keep the event. An event that is no object is the
/// user's own word.
fn is_acked(event: Option<&RawValue>) -> bool {
    #[derive(Deserialize)]
    struct Event {
        ack: bool,
    }
    event.is_some_and(|event| {
        event.get().starts_with('{')
            && serde_json::from_str::<Event>(event.get()).is_ok_and(|event| event.ack)
    })
}
