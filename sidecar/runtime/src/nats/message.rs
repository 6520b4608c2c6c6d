//! A message that has come.

use std::{fmt, ops::Range};

use bytes::Bytes;
use memchr::memchr;

use super::block::Block;

/// A message that has come. It is one piece of the bytes that were read, and a copy of it costs a
/// count.
#[derive(Clone)]
pub struct Message {
    bytes: Bytes,
    subject: Part,
    /// A message that wants no reply has an empty one.
    reply: Part,
    /// Lines of `name:value`, in UTF-8, each with its end.
    headers: Part,
    payload: Part,
    /// A message of a client has none, which is 0 here.
    status: u16,
}

/// A part of the bytes.
#[derive(Clone, Copy, Default)]
struct Part {
    from: u32,
    to: u32,
}

/// The places of the parts of a message.
#[derive(Default)]
pub(super) struct Places {
    pub subject: Range<usize>,
    pub reply: Range<usize>,
    pub headers: Range<usize>,
    pub payload: Range<usize>,
}

/// The headers of a message, in their order.
pub struct Headers<'m>(&'m str);

impl Message {
    /// A message within these bytes. Subjects and headers are UTF-8, and all places are within.
    pub(super) fn within(bytes: Bytes, places: Places, status: u16) -> Self {
        let Places { subject, reply, headers, payload } = places;
        let [subject, reply, headers, payload] = [subject, reply, headers, payload].map(Part::of);
        Self { bytes, subject, reply, headers, payload, status }
    }

    /// A message of these parts.
    pub(super) fn of_parts(subject: &str, reply: &str, status: u16, lines: &[u8], payload: &[u8]) -> Self {
        let parts = [subject.as_bytes(), reply.as_bytes(), lines, payload];
        let mut end = 0;
        let [subject, reply, headers, payload] = parts.map(|part| {
            let from = end;
            end += part.len();
            from..end
        });
        Self::within(parts.concat().into(), Places { subject, reply, headers, payload }, status)
    }

    /// A message as it would come, for those who test what reads it.
    pub fn new(subject: &str, reply: Option<&str>, headers: &Block, payload: &[u8]) -> Self {
        Self::of_parts(subject, reply.unwrap_or_default(), 0, headers.lines(), payload)
    }

    /// This message on another subject.
    #[must_use]
    pub fn on(&self, subject: &str) -> Self {
        let reply = self.reply().unwrap_or_default();
        Self::of_parts(subject, reply, self.status, self.part(self.headers), self.payload())
    }

    /// The subject that it was published to.
    pub fn subject(&self) -> &str {
        self.text(self.subject)
    }

    /// The subject that its sender wants an answer on.
    pub fn reply(&self) -> Option<&str> {
        Some(self.text(self.reply)).filter(|reply| !reply.is_empty())
    }

    /// The status by which the server itself speaks.
    pub fn status(&self) -> Option<u16> {
        Some(self.status).filter(|status| *status > 0)
    }

    /// Its headers. A name may come more than once; the first value counts.
    pub fn headers(&self) -> Headers<'_> {
        Headers(self.text(self.headers))
    }

    /// The first value of a header. Names are told apart by capitals.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers().find(|(header, _)| *header == name).map(|(_, value)| value)
    }

    /// True if it has headers.
    pub fn has_headers(&self) -> bool {
        self.headers.from < self.headers.to
    }

    /// Its body.
    pub fn payload(&self) -> &[u8] {
        self.part(self.payload)
    }

    /// Its body, to be kept.
    pub fn payload_bytes(&self) -> Bytes {
        self.bytes.slice_ref(self.payload())
    }

    fn part(&self, part: Part) -> &[u8] {
        self.bytes.get(part.from as usize..part.to as usize).unwrap_or_default()
    }

    fn text(&self, part: Part) -> &str {
        str::from_utf8(self.part(part)).unwrap_or_default()
    }
}

impl Part {
    /// A message is far smaller than 4 GiB: see `MESSAGE_MAX`.
    fn of(range: Range<usize>) -> Self {
        let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Self { from: place(range.start), to: place(range.end) }
    }
}

impl<'m> Iterator for Headers<'m> {
    type Item = (&'m str, &'m str);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let end = memchr(b'\n', self.0.as_bytes())?;
            let (line, rest) = self.0.split_at(end + 1);
            self.0 = rest;
            if let Some(colon) = memchr(b':', line.as_bytes()) {
                return Some((&line[..colon], line[colon + 1..].trim()));
            }
        }
    }
}

impl fmt::Debug for Message {
    // Neither headers nor body: both may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("subject", &self.subject())
            .field("reply", &self.reply())
            .field("status", &self.status())
            .field("payload", &self.payload().len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_by_its_parts() {
        let headers = Block::of([("Tpro-Hops", "1"), ("A", ""), ("Tpro-Hops", "2"), ("B", " b : c ")]);
        let message = Message::new("tpro.a.b.c", Some("_INBOX.x"), &headers, b"{}");
        assert_eq!((message.subject(), message.reply()), ("tpro.a.b.c", Some("_INBOX.x")));
        assert_eq!(message.header("Tpro-Hops"), Some("1"), "the first counts");
        assert_eq!((message.header("A"), message.header("B")), (Some(""), Some("b : c")));
        assert_eq!((message.header("tpro-hops"), message.payload()), (None, &b"{}"[..]));
        let other = message.on("tpro.d");
        assert_eq!((other.subject(), other.reply()), ("tpro.d", Some("_INBOX.x")));
        assert!(other.headers().eq(message.headers()) && other.payload() == message.payload());
        let plain = Message::new("a", None, &Block::default(), b"");
        assert!(plain.reply().is_none() && plain.status().is_none() && !plain.has_headers());
    }
}
