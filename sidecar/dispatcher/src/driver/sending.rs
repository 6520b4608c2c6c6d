//! The way out of a leader: its NATS client.

use std::{future::poll_fn, sync::atomic::Ordering};

use async_nats::{Client, HeaderMap, PublishErrorKind, Subject, connection::State, message::OutboundMessage};
use bytes::Bytes;
use futures_util::{FutureExt as _, SinkExt as _};
use tpro_runtime::failpoint;

use super::{fall::Fall, forward, sender::Sender};
use crate::core::{Forward, Outgoing};

/// The way out.
pub(crate) struct Sending {
    nats: Client,
    sender: Sender,
    /// It makes a subject of the label of a row.
    prefix: String,
}

/// A message is larger than NATS takes.
pub(crate) struct TooLarge {
    pub(crate) size: usize,
    pub(crate) most: usize,
}

impl Sending {
    pub(crate) fn new(nats: Client, sender: Sender, prefix: &str) -> Self {
        Self { nats, sender, prefix: prefix.to_owned() }
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.nats.connection_state() == State::Connected
    }

    /// The number of the connection; it changes with each reconnect.
    pub(crate) fn connection(&self) -> u64 {
        self.nats.statistics().connects.load(Ordering::Relaxed)
    }

    /// Waits until the client takes a message.
    pub(crate) async fn room(&mut self) -> Result<(), Fall> {
        poll_fn(|cx| self.nats.poll_ready_unpin(cx)).await.map_err(|_| Fall::Nats)
    }

    /// True if the client takes another message without waiting.
    pub(crate) fn has_room(&mut self) -> Result<bool, Fall> {
        self.room().now_or_never().transpose().map(|room| room.is_some())
    }

    /// Hands an attempt of a message to the client, which has room.
    pub(crate) fn send(&mut self, message: &Outgoing<'_>) -> Result<Result<(), TooLarge>, Fall> {
        let composed = self.sender.compose(message);
        let size = composed.payload.len();
        failpoint::pass("dispatcher.before_send");
        match self.nats.start_send_unpin(composed) {
            Ok(()) => {
                failpoint::pass("dispatcher.sent");
                Ok(Ok(()))
            }
            Err(error) if error.kind() == PublishErrorKind::MaxPayloadExceeded => {
                Ok(Err(TooLarge { size, most: self.nats.max_payload() }))
            }
            Err(_) => Err(Fall::Nats),
        }
    }

    /// Hands a reply for the subscribers of a label to the client, which has room. One that is
    /// larger than NATS takes is in the table only.
    pub(crate) fn forward(&mut self, reply: Forward) -> Result<(), Fall> {
        let (id, uid) = (reply.id, reply.uid);
        let composed = forward::compose(&self.prefix, reply);
        let size = composed.payload.len();
        match self.nats.start_send_unpin(composed) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == PublishErrorKind::MaxPayloadExceeded => {
                let most = self.nats.max_payload();
                tracing::warn!(
                    row.id = id, message.id = %uid, size, most,
                    "a reply is larger than NATS takes, and is not published to the label in reply_to; it is in mq_reply"
                );
                Ok(())
            }
            Err(_) => Err(Fall::Nats),
        }
    }

    /// Publishes a message without a body, if the client has room for it just now. Returns true if
    /// it had.
    pub(crate) fn ask(&self, subject: String, reply: Option<String>, headers: Option<HeaderMap>) -> bool {
        let question = OutboundMessage {
            subject: Subject::from(subject),
            reply: reply.map(Subject::from),
            payload: Bytes::new(),
            headers,
        };
        let nats = self.nats.clone();
        let sent = async_nats::client::traits::Publisher::publish_message(&nats, question);
        // Unconstrained, since the sends before it may have used up this task's turn, and the
        // channel to the client would say "later" though it has room.
        matches!(tokio::task::unconstrained(sent).now_or_never(), Some(Ok(())))
    }
}
