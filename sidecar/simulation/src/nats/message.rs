//! What goes over the lines between a client and the server.

use std::sync::Arc;

/// A message.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Message {
    /// Its subject.
    pub subject: Arc<str>,
    /// The subject for replies.
    pub reply: Option<Arc<str>>,
    /// Its headers.
    pub headers: Vec<(Arc<str>, Arc<str>)>,
    /// 503: nobody listens to the subject of a request.
    pub status: Option<u16>,
    /// Its payload.
    pub payload: Arc<[u8]>,
}

impl Message {
    /// The size that is held against `max_payload`: headers, as they are written, and payload.
    pub fn size(&self) -> usize {
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
        // "NATS/1.0", and an end of line behind it and behind all headers.
        let head = if self.headers.is_empty() && self.status.is_none() { 0 } else { 12 };
        head + headers + self.payload.len()
    }
}

/// Something that a client sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// SUB.
    Subscribe {
        /// The number of the subscription within its connection.
        sid: u64,
        /// The subject, with wildcards.
        subject: Arc<str>,
        /// The queue group.
        queue: Option<Arc<str>>,
    },
    /// UNSUB: at once, or after so many messages in all.
    Unsubscribe {
        /// The subscription.
        sid: u64,
        /// Messages that it gets in all.
        after: Option<u64>,
    },
    /// PUB and HPUB.
    Publish(Message),
    /// PING.
    Ping,
}

/// Something that the server sends.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Delivery {
    /// A message for a subscription.
    Message {
        /// The subscription.
        sid: u64,
        /// The message.
        message: Message,
    },
    /// PONG.
    Pong,
    /// INFO after the start: what the server allows now.
    Info {
        /// The largest message.
        max_payload: usize,
    },
    /// An error.
    Refused(Refusal),
}

/// A refusal of the server.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// The message is larger than `max_payload`. The connection ends.
    MaxPayload,
    /// The user may not publish to this subject.
    Publish(Arc<str>),
    /// The user may not subscribe to this subject.
    Subscribe(Arc<str>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_count_as_they_are_written() {
        let mut message = Message { payload: Arc::from(*b"12345"), ..Message::default() };
        assert_eq!(message.size(), 5);
        message.headers.push(("a".into(), "bc".into()));
        assert_eq!(message.size(), "NATS/1.0\r\na: bc\r\n\r\n12345".len());
    }
}
