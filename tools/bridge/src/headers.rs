//! Headers of messages of the NATS client, and the reply that a message is.

use async_nats::{HeaderMap, HeaderName, HeaderValue, Message};
use tpro_wire::{Protocol, Reply, Uid, reply};

/// Headers from names and values. A value that NATS cannot carry (a line break) is left out: the
/// client's own conversion panics.
pub fn header_map(pairs: impl IntoIterator<Item = (&'static str, String)>) -> HeaderMap {
    let pairs = pairs.into_iter().filter_map(|(name, value)| {
        Some((HeaderName::from_static(name), value.parse::<HeaderValue>().ok()?))
    });
    pairs.collect()
}

/// The names and first values of all headers.
pub fn pairs(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    headers.iter().filter_map(|(name, values)| Some((name.as_ref(), values.first()?.as_str())))
}

/// Reads a reply to the message with this uid.
pub fn read_reply(uid: &Uid, message: &Message) -> Reply {
    let status = message.status.map(|status| status.as_u16());
    let header = |name: &str| {
        let headers = message.headers.as_ref()?;
        pairs(headers).find(|(header, _)| *header == name).map(|(_, value)| value)
    };
    reply::read(uid, Protocol::JsonRpc, status, header, &message.payload)
}
