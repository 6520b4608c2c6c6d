//! The way out of a leader: its NATS client, and the messages that are to be sent, in order.

use std::{collections::VecDeque, future::poll_fn, sync::atomic::Ordering, time::Instant};

use async_nats::{Client, HeaderMap, PublishErrorKind, Subject, connection::State, message::OutboundMessage};
use bytes::Bytes;
use futures_util::{FutureExt as _, SinkExt as _};
use tpro_runtime::failpoint;
use tpro_wire::reply_subject::ReplyPrefix;

use super::Fall;
use crate::{
    core::{in_flight::Key, message::Message, outcome::Outcome},
    driver::sender::Sender,
};

/// The way out.
pub(super) struct Sending {
    nats: Client,
    sender: Sender,
    /// The messages to be sent. Keys of messages that were settled meanwhile are passed over.
    queue: VecDeque<Key>,
}

impl Sending {
    pub fn new(nats: Client, sender: Sender) -> Self {
        Self { nats, sender, queue: VecDeque::new() }
    }

    /// The subjects that replies come to.
    pub fn replies(&self) -> &ReplyPrefix {
        self.sender.replies()
    }

    pub fn is_connected(&self) -> bool {
        self.nats.connection_state() == State::Connected
    }

    /// The number of the connection; it changes with each reconnect.
    pub fn connection(&self) -> u64 {
        self.nats.statistics().connects.load(Ordering::Relaxed)
    }

    /// True if nothing is to be sent.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Has a message sent after the others.
    pub fn push(&mut self, key: Key) {
        self.queue.push_back(key);
    }

    /// The next message to be sent.
    pub fn next(&mut self) -> Option<Key> {
        self.queue.pop_front()
    }

    /// Waits until the client takes a message.
    pub async fn room(&mut self) -> Result<(), Fall> {
        poll_fn(|cx| self.nats.poll_ready_unpin(cx)).await.map_err(|_| Fall::Nats)
    }

    /// True if the client takes another message without waiting.
    pub fn has_room(&mut self) -> Result<bool, Fall> {
        self.room().now_or_never().transpose().map(|room| room.is_some())
    }

    /// Hands the next attempt of a message to the client, which has room. The outcome if the message is larger than the server
    /// takes.
    pub fn send(&mut self, message: &Message, now: Instant) -> Result<Option<Outcome>, Fall> {
        let composed = self.sender.compose(message, now);
        let size = composed.payload.len();
        failpoint::pass("dispatcher.before_send");
        match self.nats.start_send_unpin(composed) {
            Ok(()) => {
                failpoint::pass("dispatcher.sent");
                Ok(None)
            }
            Err(error) if error.kind() == PublishErrorKind::MaxPayloadExceeded => {
                Ok(Some(Outcome::too_large(size, self.nats.max_payload())))
            }
            Err(_) => Err(Fall::Nats),
        }
    }

    /// Publishes a message without a body, if the client has room for it just now. Returns whether it had.
    pub fn ask(&self, subject: String, reply: Option<String>, headers: Option<HeaderMap>) -> bool {
        let question = OutboundMessage {
            subject: Subject::from(subject),
            reply: reply.map(Subject::from),
            payload: Bytes::new(),
            headers,
        };
        let nats = self.nats.clone();
        let sent = async_nats::client::traits::Publisher::publish_message(&nats, question);
        // Unconstrained, since the sends before it may have used up this task's turn, and the channel to the client would say
        // "later" though it has room.
        matches!(tokio::task::unconstrained(sent).now_or_never(), Some(Ok(())))
    }
}
