//! The connection to NATS.

pub mod again;
mod block;
mod client;
mod connection;
mod counts;
mod dial;
mod ended;
mod frame;
mod hello;
mod info;
pub mod inquiry;
mod message;
mod out;
pub mod reply;
mod roster;
mod said;
mod subscriber;
mod subscriptions;
mod way;

use std::time::Duration;

use futures_util::StreamExt as _;
use tpro_wire::ServiceName;

use self::{again::Again, connection::Observers, said::Said};
pub use self::{
    block::Block,
    client::{Client, Publication, PublishError},
    counts::NatsCounts,
    message::{Headers, Message},
    subscriber::Subscriber,
};
use crate::{backoff::Backoff, config::Config, health::Health, random, shutdown::Stop};

/// The readiness check of the connection.
pub const CHECK: &str = "nats";

/// The longest pause between attempts to reconnect.
const RECONNECT_MOST: Duration = Duration::from_secs(2);
/// Bytes that envelope and headers may add to a body: 8 KiB of row headers, names of up to 200
/// bytes, trace and the rest.
pub const ENVELOPE: usize = 16 * 1024;
/// The interval at which a wait for the server looks if the connection is lost.
const CONNECTION_CHECK: Duration = Duration::from_millis(50);
/// The longest time for a message to ourselves.
const ECHO_TIMEOUT: Duration = Duration::from_secs(2);

/// An error that no retry can mend.
#[derive(Debug, thiserror::Error)]
pub enum NatsError {
    /// The server does not know the login.
    #[error("NATS refuses the login; correct {keys}")]
    Refused {
        /// The settings that the login is from.
        keys: &'static str,
    },
    /// TLS or a login cannot be made with any server.
    #[error("no way to NATS: {0}")]
    NoWay(String),
}

/// The news of the connection. All clones share them.
#[derive(Clone, Default)]
pub struct Link {
    /// The words of the server.
    pub said: Said,
    /// The order to send again what is under way.
    pub again: Again,
}

/// A client that is never connected: for tests without a server.
pub fn unconnected(config: &Config, link: &Link) -> Client {
    Client::new(config, link.said.clone(), NatsCounts::new(&mut crate::metrics::registry()))
}

/// Connects, for as long as it takes. `None` when the process is told to stop meanwhile.
///
/// A refused login is tried once. After the first connection it is tried again for ever: the server
/// may have lost its users for a moment.
pub async fn connect(
    config: &Config,
    link: &Link,
    counts: &NatsCounts,
    health: &Health,
    stop: &Stop,
) -> Result<Option<Client>, NatsError> {
    let client = Client::new(config, link.said.clone(), counts.clone());
    let keys = config.nats_login.keys();
    let mut backoff = Backoff::new(Duration::from_millis(100), RECONNECT_MOST);
    let mut is_kept = false;
    loop {
        let attempt = async {
            if !is_kept {
                let Some(dialed) = client.dial().await else { return Some(link.said.why_away(keys)) };
                let observers = Observers { health: health.clone(), again: link.again.clone(), keys };
                tokio::spawn(connection::keep(client.clone(), dialed, observers));
                is_kept = true;
            }
            echo(&client, config).await.err()
        };
        let reason = tokio::select! {
            () = stop.soft.cancelled() => return Ok(None),
            reason = attempt => reason,
        };
        match (reason, link.said.why_no_way()) {
            (None, _) => {
                tracing::info!("NATS health-check OK");
                health.ok(CHECK);
                return Ok(Some(client));
            }
            (Some(_), Some(why)) if !is_kept => return Err(NatsError::NoWay(why)),
            (Some(_), _) if !is_kept && link.said.is_refused() => return Err(NatsError::Refused { keys }),
            (Some(reason), _) => {
                let refusals = link.said.refusals(&config.nats_login.user());
                health.fail(CHECK, refusals.unwrap_or(reason));
            }
        }
        tokio::select! {
            () = stop.soft.cancelled() => return Ok(None),
            () = tokio::time::sleep(backoff.next_pause()) => {}
        }
    }
}

/// Publishes to ourselves and waits for it: the way out and the way in both work.
///
/// The subject has a token less than those of replies, so that no reply subscription takes it. It
/// lies in our own inbox prefix, which a server with permissions allows.
async fn echo(client: &Client, config: &Config) -> Result<(), String> {
    match tokio::time::timeout(ECHO_TIMEOUT, there_and_back(client, &config.service)).await {
        Ok(result) => result.map_err(|error| format!("a message to ourselves failed: {error}")),
        Err(_) => Err(format!("a message to ourselves did not come within {} s", ECHO_TIMEOUT.as_secs())),
    }
}

async fn there_and_back(client: &Client, service: &ServiceName) -> Result<(), String> {
    let subject = format!("_INBOX.tpro.{service}.health.{:016x}", random::next_u64());
    let mut subscription = client.subscribe(subject.clone());
    let echo = Publication { subject: &subject, ..Publication::default() };
    client.publish(echo).await.map_err(|error| error.to_string())?;
    subscription.next().await.map(|_| ()).ok_or_else(|| "the subscription ended".to_owned())
}

/// Waits until the server has all that was handed to the client before, or the connection is lost.
/// A message to ourselves that is back says that the server has read all before it.
pub async fn delivered(client: &Client, service: &ServiceName) {
    let lost = disconnected(client);
    tokio::select! {
        _ = there_and_back(client, service) => {}
        () = lost => {}
    }
}

/// Waits until the connection of the moment of this call is gone. Another one may be there by then.
pub fn disconnected(client: &Client) -> impl Future<Output = ()> {
    let number = client.connection();
    async move {
        while client.is_connected() && client.connection() == number {
            tokio::time::sleep(CONNECTION_CHECK).await;
        }
    }
}
