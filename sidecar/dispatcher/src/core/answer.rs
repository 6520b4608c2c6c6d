//! A message that came back on a reply subject, in the words of the dispatcher.

use std::time::Duration;

use tpro_wire::{
    error::{RpcError, code},
    reply::{self, Noise, Reply as Said},
};

use super::{incoming::Incoming, message::Refusal, outcome::Outcome, published::Published};

/// A reply, understood.
#[derive(Debug)]
pub enum Reply {
    /// The end.
    Answer(Outcome),
    /// Nobody took the attempt.
    Refused(Refusal),
    /// The target has it and works on it.
    Working,
    /// The target cannot tell it from a repeat.
    Stale,
    /// Its handler is to be asked again after this time. The error is the end if its budget does
    /// not suffice.
    Later { after: Duration, error: RpcError, responder: Option<String> },
    /// Nothing that settles a message: dropped and counted.
    Noise(Noise),
}

/// Understands a reply to this message. What it says is read by [`tpro_wire::reply`].
pub fn read(row: &Published, message: &Incoming<'_>) -> Reply {
    let header = |name: &str| message.header(name);
    let by = || reply::responder(header).map(str::to_owned);
    let (uid, status, payload) = (&row.uid, message.status, message.payload);
    let said = match row.requests {
        _ if row.is_acked => reply::read_ack(status, payload),
        Some(requests) => reply::read_batch(uid, requests, status, header, payload),
        None => reply::read(uid, row.protocol, status, header, payload),
    };
    match said {
        Said::Result(result) => Reply::Answer(Outcome::ok(Box::<str>::from(result).into(), by())),
        Said::Error(error) => Reply::Answer(Outcome::error(&error, by())),
        Said::Unreadable(what) => {
            Reply::Answer(Outcome::error(&RpcError::new(code::BAD_REPLY, what.to_string()), by()))
        }
        Said::Refused(refusal) => Reply::Refused(refusal.into()),
        Said::Working => Reply::Working,
        Said::Stale => Reply::Stale,
        Said::Later { after, error } => Reply::Later { after, error, responder: by() },
        Said::Noise(noise) => Reply::Noise(noise),
    }
}
