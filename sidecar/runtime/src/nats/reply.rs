//! The reply that a message is.

use tpro_wire::{Protocol, Reply, Uid, reply};

use super::Message;

/// Reads a reply to the message with this uid.
pub fn read_reply(uid: &Uid, protocol: Protocol, message: &Message) -> Reply {
    reply::read(uid, protocol, message.status(), |name| message.header(name), message.payload())
}

/// The copy that has sent a reply.
pub fn responder(message: &Message) -> Option<&str> {
    reply::responder(|name| message.header(name))
}
