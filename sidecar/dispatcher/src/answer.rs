//! What came back on a reply subject, in the words of the dispatcher.

use tpro_runtime::nats::headers::{read_reply, responder};
use tpro_wire::{
    error::{RpcError, code},
    protocol::Protocol,
    reply::{Noise, Reply as Said},
    uid::Uid,
};

use super::{message::Refusal, outcome::Outcome};

/// A reply, understood.
#[derive(Debug)]
pub(super) enum Reply {
    /// The end.
    Answer(Outcome),
    /// Nobody took the attempt.
    Refused(Refusal),
    /// The target has it and works on it.
    Working,
    /// The target cannot tell it from a repeat.
    Stale,
    /// Nothing that settles a message: dropped and counted.
    Noise(Noise),
}

/// Understands a reply to the message with this uid. What it says is read by [`tpro_wire::reply`].
pub(super) fn read(uid: &Uid, protocol: Protocol, message: &async_nats::Message) -> Reply {
    let by = || responder(message).map(str::to_owned);
    match read_reply(uid, protocol, message) {
        Said::Result(result) => Reply::Answer(Outcome::ok(Box::<str>::from(result).into(), by())),
        Said::Error(error) => Reply::Answer(Outcome::error(&error, by())),
        Said::Unreadable(what) => {
            Reply::Answer(Outcome::error(&RpcError::new(code::BAD_REPLY, what.to_string()), by()))
        }
        Said::Refused(refusal) => Reply::Refused(refusal.into()),
        Said::Working => Reply::Working,
        Said::Stale => Reply::Stale,
        Said::Noise(noise) => Reply::Noise(noise),
    }
}
