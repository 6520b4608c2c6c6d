//! Rows of the simulated database as the product has them, and back.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use bytes::Bytes;
use tpro_dispatcher::core::{
    Forward, Settled, Unreplied,
    cursor::Cursor,
    holds::Hold,
    published::{Content, Published, Row},
    snapshot::{Snapshot, Xid},
};
use tpro_wire::{Budget, Priority, Protocol, Target, TraceParent, Uid, envelope, rules};
use uuid::Uuid;

use super::{clock::wall, names::LABEL};
use crate::{postgres, time::Time};

/// A snapshot of the database as the core has it.
pub fn snapshot(from: &postgres::Snapshot) -> Snapshot {
    Snapshot::new(from.xmin().0, from.xmax().0, from.open().iter().map(|xid| xid.0).collect())
}

/// A snapshot of the core as the database has it.
pub fn to_snapshot(from: &Snapshot) -> postgres::Snapshot {
    let open = from.open().iter().copied().map(postgres::Xid).collect();
    postgres::Snapshot::new(postgres::Xid(from.xmin()), postgres::Xid(from.xmax()), open)
}

/// The durable cursor as the core has it.
pub fn cursor(from: &postgres::Cursor) -> Cursor {
    let postgres::Cursor { snapshot: at, pending, clean } = from;
    Cursor { snapshot: snapshot(at), pending: pending.clone(), clean: *clean }
}

/// The durable cursor as the database has it.
pub fn to_cursor(from: &Cursor) -> postgres::Cursor {
    let Cursor { snapshot, pending, clean } = from;
    postgres::Cursor { snapshot: to_snapshot(snapshot), pending: pending.clone(), clean: *clean }
}

/// The uid of a number.
pub fn uid(number: u128) -> Uid {
    Uid::from_uuid(Uuid::from_u128(number)).expect("uids of a run are of version 7")
}

/// The number of a uid.
pub fn number(uid: &Uid) -> u128 {
    uid.uuid().as_u128()
}

/// A message of the outbox that was read at this moment; `whole` if it came with its body.
pub fn row(message: &postgres::Message, whole: bool, at: Time) -> Row {
    let content = if whole { Content::Whole(Box::new(published(message, at))) } else { Content::Bare };
    let (lane, forwards) = (message.lane.clone(), message.reply_to);
    let (priority, key) = (Priority::of(message.priority), message.key.as_deref().map(Box::from));
    Row { tx: Xid(message.tx.0), id: message.id, lane, priority, key, forwards, content }
}

fn published(message: &postgres::Message, at: Time) -> Published {
    let target = Target::parse(&format!("{}.{}", message.lane, message.method)).expect("is a target");
    let uid = uid(message.uid);
    let payload = envelope::request(&uid, target.method(), &message.body);
    Published {
        id: message.id,
        uid,
        target,
        protocol: Protocol::JsonRpc,
        budget: Budget::from_seconds(message.timeout).expect("is a budget"),
        is_acked: false,
        requests: None,
        created_at: wall(message.created_at),
        expires_in: message.expires_at.map(|expires| left(expires, at)),
        traceparent: TraceParent::root([1; 24], false),
        parent: None,
        tracestate: None,
        headers: None,
        language: None,
        hops: 0,
        reply_to: message.reply_to.then(|| LABEL.to_owned()),
        on_reply: None,
        hold: message.key.as_deref().filter(|_| rules::holds_key(&message.headers)).map(Box::from),
        payload: Bytes::from(payload),
    }
}

/// Milliseconds until a moment; below zero if it is over.
fn left(expires: Time, at: Time) -> i64 {
    let ms = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    if expires >= at { ms(expires - at) } else { -ms(at - expires) }
}

/// A row without a reply.
pub fn unreplied(row: &postgres::Unsettled) -> Unreplied {
    let (priority, key) = (Priority::of(row.priority), row.key.as_deref().map(Box::from));
    Unreplied { id: row.id, lane: row.lane.clone(), priority, key }
}

/// A row without a reply that was looked back at.
pub fn looked_back(row: postgres::LookedBack) -> Unreplied {
    let postgres::LookedBack { id, lane, priority, key, .. } = row;
    unreplied(&postgres::Unsettled { id, lane, priority, key })
}

/// A reply for the subscribers of a label.
pub fn forward((id, number, status): &(i64, u128, Arc<str>)) -> Forward {
    let status = status.parse().expect("is a status");
    Forward { id: *id, uid: uid(*number), label: LABEL.to_owned(), status, payload: b"null".to_vec() }
}

/// A reply as the database has it.
pub fn reply(settled: &Settled) -> postgres::Reply {
    let of = &settled.settlement;
    postgres::Reply {
        mq_id: of.id,
        uid: number(&of.uid),
        status: of.status.as_str().into(),
        result: of.result.as_deref().map(Arc::from),
        error: of.error.as_deref().map(Arc::from),
        attempts: of.attempts,
    }
}

/// The hold that an outcome leaves when it is not ok, if its message asks for that.
pub fn hold(settled: &Settled) -> Option<postgres::Hold> {
    let of = &settled.settlement;
    let lane = format!("{}.{}", of.target.space(), of.target.service()).into();
    of.hold.as_deref().map(|key| postgres::Hold { id: of.id, lane, key: key.into(), gone: false })
}

/// Ordering keys that are held, as the core has them.
pub fn holds(rows: Vec<postgres::Hold>) -> Vec<Hold> {
    rows.into_iter().map(|row| Hold { id: row.id, lane: row.lane, key: (&*row.key).into() }).collect()
}

/// The uids of rows.
pub fn uids(rows: &[postgres::Row]) -> BTreeSet<u128> {
    use postgres::Row;
    let uid = |row: &Row| match row {
        Row::Publish(message) => Some(message.uid),
        Row::Later(later) => Some(later.message.uid),
        Row::Reply(reply) => Some(reply.uid),
        Row::Receive(receive) => Some(receive.uid),
        Row::Outcome(outcome) => Some(outcome.uid),
        Row::Effect(uid) => Some(*uid),
        Row::Cursor(_) | Row::Backlog(_) | Row::Callbacks(_) | Row::Hold(_) => None,
    };
    rows.iter().filter_map(uid).collect()
}
