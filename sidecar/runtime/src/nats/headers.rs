//! NATS headers, set and read without panics and with few allocations, and the reply that they are
//! part of.

use async_nats::{HeaderMap, HeaderName, HeaderValue, Message};
use tpro_wire::{Protocol, Reply, Uid, reply};

/// Headers from names and values. A value that NATS cannot carry (a line break) is left out: the
/// client's own conversion panics.
pub fn header_map(pairs: impl IntoIterator<Item = (&'static str, String)>) -> HeaderMap {
    pairs
        .into_iter()
        .filter_map(|(name, value)| Some((HeaderName::from_static(name), value.parse::<HeaderValue>().ok()?)))
        .collect()
}

/// The first value of a header.
pub fn header<'m>(message: &'m Message, name: &str) -> Option<&'m str> {
    find(message.headers.as_ref()?, name)
}

/// The first value of a header. A walk over the few headers: a look-up by name would allocate one.
pub fn find<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let (_, values) = headers.iter().find(|(header, _)| AsRef::<str>::as_ref(*header) == name)?;
    values.first().map(HeaderValue::as_str)
}

/// The names and first values of all headers.
pub fn pairs(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    headers.iter().filter_map(|(name, values)| Some((name.as_ref(), values.first()?.as_str())))
}

/// Reads a reply to the message with this uid.
pub fn read_reply(uid: &Uid, protocol: Protocol, message: &Message) -> Reply {
    let status = message.status.map(|status| status.as_u16());
    reply::read(uid, protocol, status, |name| header(message, name), &message.payload)
}

/// The copy that has sent a reply.
pub fn responder(message: &Message) -> Option<&str> {
    reply::responder(|name| header(message, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_with_a_line_break_is_left_out() {
        let headers = header_map([("Tpro-Hops", "1".to_owned()), ("Tpro-Source", "a\r\nb".to_owned())]);
        assert_eq!(find(&headers, "Tpro-Hops"), Some("1"));
        assert_eq!(find(&headers, "Tpro-Source"), None);
        assert_eq!(find(&headers, "tpro-hops"), None);
    }
}
