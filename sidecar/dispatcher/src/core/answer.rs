//! A message that came back on a reply subject, in the words of the dispatcher.

use std::time::Duration;

use tpro_wire::{
    error::{RpcError, code},
    protocol::Protocol,
    reply::{self, Noise, Reply as Said},
    uid::Uid,
};

use super::{incoming::Incoming, message::Refusal, outcome::Outcome};

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

/// Understands a reply to the message with this uid. What it says is read by [`tpro_wire::reply`].
pub fn read(uid: &Uid, protocol: Protocol, message: &Incoming<'_>) -> Reply {
    let header = |name: &str| message.header(name);
    let by = || reply::responder(header).map(str::to_owned);
    match reply::read(uid, protocol, message.status, header, message.payload) {
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
