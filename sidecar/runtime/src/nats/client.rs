//! The client of NATS: what is published goes out, and what was subscribed to comes in.
//!
//! The client is our own. It looks at each message once, on its way in, and copies a message once,
//! on its way out. A message that breaks the rules of NATS costs nobody else anything. The server
//! looks at no header, and only at a part of a subject, so messages like this come. A client that
//! ends its connection at one loses the requests and replies of others with it.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
};

use tokio::sync::watch;

use super::{
    block::{Block, Digits},
    counts::NatsCounts,
    ended::Ended,
    hello::Hello,
    out::Out,
    roster::Roster,
    said::Said,
    subscriber::Subscriber,
    subscriptions::Subscriptions,
    way::{Opened, Way},
};
use crate::config::Config;

/// The most bytes of a message's subjects. The server ends a connection at a line of more than 4096
/// bytes (`max_control_line`), and there are three numbers and a verb in it, too.
const SUBJECTS_MAX: usize = 4096 - 64;

/// The client. All clones are the same, and it lives until it is closed.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    servers: Roster,
    way: Way,
    hello: Hello,
    said: Said,
    counts: NatsCounts,
    out: Arc<Out>,
    subscriptions: Arc<Subscriptions>,
    is_connected: AtomicBool,
    connects: AtomicU64,
    max_payload: AtomicUsize,
    /// Counts the orders to end the open connection.
    cuts: watch::Sender<u64>,
    /// The last byte is written, and nothing comes any more.
    over: watch::Sender<bool>,
}

/// A message to be published.
#[derive(Clone, Copy, Default)]
pub struct Publication<'p> {
    /// The subject to publish to.
    pub subject: &'p str,
    /// The subject for an answer. Without one none is asked for.
    pub reply: Option<&'p str>,
    /// Its headers, if it has any.
    pub headers: Option<&'p Block>,
    /// Its body.
    pub payload: &'p [u8],
}

/// The reason why a message cannot be published.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PublishError {
    /// The server takes no message of this size.
    #[error("it has {size} bytes with its headers, and the server takes {most}")]
    TooLarge {
        /// Bytes of its headers and its body.
        size: usize,
        /// The most that the server takes.
        most: usize,
    },
    /// The subject, or that for an answer, is empty or too long, or has a space or a control
    /// character in it.
    #[error("its subject cannot be written")]
    Subject,
    /// There is no connection, and enough waits for the next one.
    #[error("there is no connection to NATS")]
    Away,
    /// The client is closed.
    #[error("the connection to NATS is closed")]
    Closed,
}

impl Client {
    /// A client without a connection.
    pub(super) fn new(config: &Config, said: Said, counts: NatsCounts) -> Self {
        let out = Arc::new(Out::default());
        Self(Arc::new(Inner {
            servers: Roster::new(&config.nats_urls),
            way: Way::of(config),
            hello: Hello::of(config),
            said,
            counts,
            subscriptions: Arc::new(Subscriptions::new(out.clone())),
            out,
            is_connected: AtomicBool::new(false),
            connects: AtomicU64::new(0),
            max_payload: AtomicUsize::new(0),
            cuts: watch::Sender::new(0),
            over: watch::Sender::new(false),
        }))
    }

    /// Subscribes, also over each connection to come.
    pub fn subscribe(&self, subject: impl Into<String>) -> Subscriber {
        let queue = self.0.subscriptions.add(subject.into(), None);
        Subscriber::new(self.0.subscriptions.clone(), queue)
    }

    /// Subscribes as a member of a queue group: each message comes to one of its members.
    pub fn queue_subscribe(&self, subject: impl Into<String>, group: impl Into<String>) -> Subscriber {
        let queue = self.0.subscriptions.add(subject.into(), Some(group.into()));
        Subscriber::new(self.0.subscriptions.clone(), queue)
    }

    /// Publishes, when there is room. Without a connection there is room for a few messages, which
    /// go out with the next one.
    pub async fn publish(&self, message: Publication<'_>) -> Result<(), PublishError> {
        if !self.0.out.room_for_one().await {
            return Err(PublishError::Away);
        }
        self.publish_now(message)
    }

    /// Publishes at once, also where there is no room. Ask [`Self::has_room`] before.
    pub fn publish_now(&self, message: Publication<'_>) -> Result<(), PublishError> {
        let Publication { subject, reply, headers, payload } = message;
        if self.0.out.is_closed() {
            return Err(PublishError::Closed);
        }
        let fits = subject.len() + reply.map_or(0, str::len) <= SUBJECTS_MAX;
        if !fits || !is_writable(subject) || reply.is_some_and(|reply| !is_writable(reply)) {
            return Err(PublishError::Subject);
        }
        let of_headers = headers.map_or(0, Block::wire_len);
        let (size, most) = (of_headers + payload.len(), self.max_payload());
        if size > most {
            return Err(PublishError::TooLarge { size, most });
        }
        self.0.out.put(|out| {
            out.reserve(subject.len() + reply.map_or(0, str::len) + size + 64);
            out.extend_from_slice(if of_headers > 0 { b"HPUB " } else { b"PUB " });
            out.extend_from_slice(subject.as_bytes());
            out.push(b' ');
            if let Some(reply) = reply {
                out.extend_from_slice(reply.as_bytes());
                out.push(b' ');
            }
            if of_headers > 0 {
                out.extend_from_slice(Digits::of(of_headers as u64).as_bytes());
                out.push(b' ');
            }
            out.extend_from_slice(Digits::of(size as u64).as_bytes());
            out.extend_from_slice(b"\r\n");
            if let Some(headers) = headers.filter(|_| of_headers > 0) {
                headers.write(out);
            }
            out.extend_from_slice(payload);
            out.extend_from_slice(b"\r\n");
        });
        Ok(())
    }

    /// True if another message need not wait.
    pub fn has_room(&self) -> bool {
        self.0.out.has_room()
    }

    /// Waits until another message need not wait.
    pub async fn room(&self) -> Result<(), PublishError> {
        self.0.out.room().await;
        if self.0.out.is_closed() { Err(PublishError::Closed) } else { Ok(()) }
    }

    /// True if there is a connection.
    pub fn is_connected(&self) -> bool {
        self.0.is_connected.load(Ordering::Acquire)
    }

    /// The number of the connection; it changes with each new one.
    pub fn connection(&self) -> u64 {
        self.0.connects.load(Ordering::Acquire)
    }

    /// The most bytes of headers and body that the server takes.
    pub fn max_payload(&self) -> usize {
        self.0.max_payload.load(Ordering::Relaxed)
    }

    /// Ends the connection. Another one is made, and requests under way are sent again.
    pub fn cut(&self, why: &str) {
        tracing::info!("reconnecting to NATS: {why}");
        self.0.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Publishes no more, and waits until the server has got the last byte. Without a connection
    /// there is nobody to get it.
    pub async fn close(&self) {
        self.0.out.close();
        let _ = self.0.over.subscribe().wait_for(|over| *over).await;
    }

    /// The server that the connection leads to.
    pub(super) fn server(&self) -> Option<String> {
        self.0.servers.current()
    }

    /// Another connection to a server.
    pub(super) async fn open(&self, address: &str) -> Result<Opened, Ended> {
        self.0.way.open(address, &self.0.servers.name(address)).await
    }

    pub(super) fn hello(&self) -> &Hello {
        &self.0.hello
    }

    pub(super) fn servers(&self) -> &Roster {
        &self.0.servers
    }

    pub(super) fn said(&self) -> &Said {
        &self.0.said
    }

    pub(super) fn counts(&self) -> &NatsCounts {
        &self.0.counts
    }

    pub(super) fn out(&self) -> &Out {
        &self.0.out
    }

    pub(super) fn subscriptions(&self) -> &Subscriptions {
        &self.0.subscriptions
    }

    /// Orders to end the connection, from now on.
    pub(super) fn cuts(&self) -> watch::Receiver<u64> {
        self.0.cuts.subscribe()
    }

    /// The server takes messages of this size.
    pub(super) fn takes(&self, max_payload: usize) {
        self.0.max_payload.store(max_payload, Ordering::Relaxed);
    }

    /// There is a new connection, which begins with these bytes.
    pub(super) fn joined(&self) -> Vec<u8> {
        self.0.connects.fetch_add(1, Ordering::Release);
        let subscriptions = self.0.subscriptions.join();
        self.0.out.arrive();
        self.0.is_connected.store(true, Ordering::Release);
        subscriptions
    }

    /// The connection is gone, and with it all that was on its way.
    pub(super) fn parted(&self) {
        self.0.is_connected.store(false, Ordering::Release);
        self.0.subscriptions.part();
        self.0.out.leave();
    }

    /// Nothing comes and nothing goes any more.
    pub(super) fn over(&self) {
        self.0.is_connected.store(false, Ordering::Release);
        self.0.out.close();
        self.0.subscriptions.close();
        self.0.over.send_replace(true);
    }
}

/// True if a subject can be written into a line of the protocol.
fn is_writable(subject: &str) -> bool {
    // Without an early end, so that many bytes are looked at in one step.
    !subject.is_empty() && subject.bytes().fold(true, |good, byte| good & (byte > b' ') & (byte != 0x7F))
}
