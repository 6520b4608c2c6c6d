//! The way out of a leader: its NATS client.

use tpro_runtime::{
    failpoint,
    nats::{Client, Publication, PublishError},
};

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
        self.nats.is_connected()
    }

    /// The number of the connection; it changes with each reconnect.
    pub(crate) fn connection(&self) -> u64 {
        self.nats.connection()
    }

    /// Waits until the client takes a message.
    pub(crate) async fn room(&self) -> Result<(), Fall> {
        self.nats.room().await.map_err(|_| Fall::Nats)
    }

    /// True if the client takes another message without waiting.
    pub(crate) fn has_room(&self) -> bool {
        self.nats.has_room()
    }

    /// Hands an attempt of a message to the client, which has room.
    pub(crate) fn send(&mut self, message: &Outgoing<'_>) -> Result<Result<(), TooLarge>, Fall> {
        failpoint::pass("dispatcher.before_send");
        match self.sender.send(&self.nats, message) {
            Ok(()) => {
                failpoint::pass("dispatcher.sent");
                Ok(Ok(()))
            }
            Err(PublishError::TooLarge { most, .. }) => {
                Ok(Err(TooLarge { size: message.row.payload.len(), most }))
            }
            Err(_) => Err(Fall::Nats),
        }
    }

    /// Hands a reply for the subscribers of a label to the client, which has room. One that is
    /// larger than NATS takes is in the table only.
    pub(crate) fn forward(&mut self, reply: &Forward) -> Result<(), Fall> {
        match forward::publish(&self.nats, &self.prefix, reply) {
            Ok(()) => Ok(()),
            Err(PublishError::TooLarge { most, .. }) => {
                let size = reply.payload.len();
                tracing::warn!(
                    row.id = reply.id, message.id = %reply.uid, size, most,
                    "a reply is larger than NATS takes, and is not published to the label in reply_to; it is in mq_reply"
                );
                Ok(())
            }
            Err(_) => Err(Fall::Nats),
        }
    }

    /// Publishes a question, if the client has room for it just now. Returns true if it had.
    pub(crate) fn ask(&self, question: Publication<'_>) -> bool {
        self.nats.has_room() && self.nats.publish_now(question).is_ok()
    }
}
