//! The order to send requests under way again at once.
//!
//! Requests and replies in the sockets of a lost connection are lost. A requester would wait until
//! its patience with that attempt is over. So after a reconnect of ours all that is under way is
//! sent again. After a reconnect of a copy that serves, all that is under way to its service is
//! sent again: the copy says so on `_TPRO.back.<space>.<service>`. Inboxes make both safe.
//!
//! Anybody who may publish there can say so. The worst result is an early repeat, once a second for
//! a service.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures_util::StreamExt as _;
use tokio::{
    sync::broadcast::{self, error::RecvError},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tpro_wire::ServiceName;

use super::{Client, Publication};

/// The subject on which a copy says that it is back, before space and service.
const BACK: &str = "_TPRO.back.";
/// Between two repeats for the same service.
const PAUSE: Duration = Duration::from_secs(1);
/// Services that are told apart.
const NAMES: usize = 1024;

/// The requests to be sent again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    /// All that is under way.
    All,
    /// All that is under way to this service, `<space>.<service>`.
    To(Arc<str>),
}

/// Tells those who wait for replies. All clones are the same.
#[derive(Clone)]
pub struct Again(broadcast::Sender<Whose>);

/// The orders from the moment at which this was made.
pub struct AgainReceiver(broadcast::Receiver<Whose>);

impl Default for Again {
    fn default() -> Self {
        Self(broadcast::Sender::new(64))
    }
}

impl Again {
    /// Listens from now on.
    pub fn listen(&self) -> AgainReceiver {
        AgainReceiver(self.0.subscribe())
    }

    /// Tells.
    pub fn tell(&self, whose: Whose) {
        // It may be that nobody waits for a reply.
        let _ = self.0.send(whose);
    }
}

impl AgainReceiver {
    /// The next order.
    pub async fn next(&mut self) -> Whose {
        match self.0.recv().await {
            Ok(whose) => whose,
            Err(RecvError::Lagged(_)) => Whose::All,
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

/// Tells requesters that this copy serves over a new connection.
pub async fn say_back(client: &Client, space: &str, service: &ServiceName) {
    let subject = format!("{BACK}{space}.{service}");
    // Behind the subscriptions, which the client has made again by now: a requester that asks at
    // once is heard.
    let _ = client.publish(Publication { subject: &subject, ..Publication::default() }).await;
}

/// Hears copies that are back, until the process is told to stop.
pub async fn hear(client: Client, again: Again, stop: CancellationToken) {
    let mut messages = client.subscribe(format!("{BACK}>"));
    let mut names: HashMap<Arc<str>, Name> = HashMap::new();
    loop {
        let due = names.values().filter(|name| name.asked).map(|name| name.last + PAUSE).min();
        tokio::select! {
            () = stop.cancelled() => return,
            message = messages.next() => {
                let Some(message) = message else { return };
                let Some(name) = message.subject().strip_prefix(BACK) else { continue };
                let now = Instant::now();
                if names.len() >= NAMES && !names.contains_key(name) {
                    names.retain(|_, name| name.asked || now < name.last + PAUSE);
                    if names.len() >= NAMES {
                        continue;
                    }
                }
                let new = || Name { last: now.checked_sub(2 * PAUSE).unwrap_or(now), asked: false };
                names.entry(name.into()).or_insert_with(new).asked = true;
            }
            () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
        }
        let now = Instant::now();
        for (name, state) in names.iter_mut().filter(|(_, state)| state.asked && now >= state.last + PAUSE) {
            *state = Name { last: now, asked: false };
            again.tell(Whose::To(name.clone()));
        }
    }
}

/// A service that says that it is back.
struct Name {
    /// When it was heeded last.
    last: Instant,
    /// It has said so since then.
    asked: bool,
}
