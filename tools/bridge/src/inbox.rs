//! The replies to the bridge's own requests on one server.
//!
//! A request here may get several replies (`working` comes before an answer), and its subject is
//! the same for all its attempts. So the bridge has an inbox of its own and does not use the
//! requests of the client library, which take one reply.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use async_nats::{Client, Message};
use futures_util::StreamExt as _;
use tokio::sync::mpsc;
use tpro_runtime::random;

use crate::go;

/// The beginning of the reply subjects of all bridges.
const PREFIX: &str = "_INBOX.tpro-bridge-";
/// The status by which a NATS server says that nobody subscribes to a subject.
const NO_RESPONDERS: u16 = 503;
/// Replies to one request that wait to be read.
const REPLIES: usize = 16;

/// True if a request with this reply subject comes from a bridge.
pub fn is_of_a_bridge(reply: &str) -> bool {
    reply.starts_with(PREFIX)
}

/// True if a reply of the Go system's side says that nobody has taken the request: nobody
/// subscribes to the subject, or another bridge has got it.
pub fn is_refusal(reply: &Message) -> bool {
    reply.status.is_some_and(|status| status.as_u16() == NO_RESPONDERS) || go::is_busy(&reply.payload)
}

/// A connection, with the subscription of its replies.
pub struct Inbox {
    /// The connection.
    pub client: Client,
    prefix: String,
    number: AtomicU64,
    waiting: Mutex<HashMap<u64, mpsc::Sender<Message>>>,
}

/// A request that awaits replies.
pub struct Asked {
    inbox: Arc<Inbox>,
    number: u64,
    replies: mpsc::Receiver<Message>,
}

impl Inbox {
    /// Subscribes to the replies. The server has the subscription when this returns.
    pub async fn open(client: Client) -> Result<Arc<Self>, String> {
        let prefix = format!("{PREFIX}{:016x}.", random::next_u64());
        let inbox = Arc::new(Self { client, prefix, number: AtomicU64::new(0), waiting: Mutex::default() });
        let replies = inbox.client.subscribe(format!("{}*", inbox.prefix)).await;
        let mut replies = replies.map_err(|error| format!("subscribing to replies: {error}"))?;
        let reader = inbox.clone();
        tokio::spawn(async move {
            while let Some(reply) = replies.next().await {
                reader.hand_on(reply);
            }
        });
        inbox.echo().await;
        Ok(inbox)
    }

    fn hand_on(&self, reply: Message) {
        let number = reply.subject.strip_prefix(&self.prefix).and_then(|number| number.parse().ok());
        let Some(number) = number else { return };
        if let Some(waiting) = self.lock().get(&number) {
            // A request that is flooded with replies reads the first ones.
            let _ = waiting.try_send(reply);
        }
    }

    /// A place for the replies to a new request.
    pub fn ask(self: &Arc<Self>) -> Asked {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let (sender, replies) = mpsc::channel(REPLIES);
        self.lock().insert(number, sender);
        Asked { inbox: self.clone(), number, replies }
    }

    /// True if this connection's own request has this reply subject.
    pub fn is_own(&self, reply: &str) -> bool {
        reply.starts_with(&self.prefix)
    }

    /// True if a message that is published now goes out now.
    pub fn is_connected(&self) -> bool {
        self.client.connection_state() == async_nats::connection::State::Connected
    }

    /// Waits until the server has all that was said before, on one connection: a message to
    /// ourselves has come back. It waits for as long as there is no connection.
    pub async fn echo(self: &Arc<Self>) {
        let mut asked = self.ask();
        // A client that is closed has nothing more to say.
        if self.client.publish(asked.subject(), "".into()).await.is_ok() {
            asked.next().await;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, mpsc::Sender<Message>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Asked {
    /// The subject for the replies.
    pub fn subject(&self) -> String {
        format!("{}{}", self.inbox.prefix, self.number)
    }

    /// The next reply. None only if the connection is closed for good.
    pub async fn next(&mut self) -> Option<Message> {
        self.replies.recv().await
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.inbox.lock().remove(&self.number);
    }
}
