//! The connection to NATS: the client library, behind a [`guard`] of our own.

pub mod again;
mod counts;
mod ended;
mod filter;
mod guard;
pub mod headers;
mod info;
pub mod inquiry;
mod peer;
mod roster;
mod said;
mod way;

use std::{sync::atomic::Ordering, time::Duration};

use async_nats::{Client, ConnectError, ConnectErrorKind, ConnectOptions, Event, connection::State};
use futures_util::StreamExt as _;
use tpro_wire::ServiceName;

pub use self::counts::NatsCounts;
use self::{
    again::{Again, Whose},
    guard::Guard,
    said::Said,
    way::Way,
};
use crate::{
    backoff::{Backoff, jittered},
    config::{Config, NatsLogin},
    failpoint,
    health::Health,
    random,
    shutdown::Stop,
};

/// The readiness check of the connection.
pub const CHECK: &str = "nats";

/// A dead connection is noticed after two pings without an answer, so after about three intervals
/// (the default interval is a minute).
const PING_INTERVAL: Duration = Duration::from_secs(2);
/// The longest time that one server may take to let us in.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// The longest pause between attempts to reconnect.
const RECONNECT_MOST: Duration = Duration::from_secs(2);
/// Commands that wait for the connection's task. While disconnected they stay and are sent
/// afterwards, as ghosts of requests that may be settled by then. So there are few: a full channel
/// comes soon, and makes the sender wait. The dispatcher asks [`is_connected`] first.
const COMMANDS: usize = 1024;
/// Messages of one subscription that wait to be read; a message that does not fit is dropped
/// without a word on the wire. Twice the default of `IN_FLIGHT_MAX`, since every request in flight
/// may get a reply and a "working".
const MESSAGES: usize = 8192;
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
    /// The client library cannot be given a port.
    #[error("the way to NATS cannot be opened on loopback: {0}")]
    Guard(#[source] std::io::Error),
}

/// The parts of the connection besides the client library. All clones share them.
#[derive(Clone)]
pub struct Link {
    /// The way to the server.
    pub guard: Guard,
    /// The words of the server.
    pub said: Said,
    /// The order to send again what is under way.
    pub again: Again,
    /// The events of the connection.
    counts: NatsCounts,
}

impl Link {
    /// Opens the way to the servers, and connects to none.
    pub async fn open(config: &Config, counts: &NatsCounts) -> Result<Self, NatsError> {
        let said = Said::default();
        let guard = Guard::start(&config.nats_urls, Way::of(config), said.clone(), counts.unreadable.clone());
        Ok(Self {
            guard: guard.await.map_err(NatsError::Guard)?,
            said,
            again: Again::default(),
            counts: counts.clone(),
        })
    }
}

/// Connects, for as long as it takes. `None` when the process is told to stop meanwhile.
///
/// The first connection is made by a loop of ours. `retry_on_initial_connect` would try a refused
/// login again for ever.
pub async fn connect(
    config: &Config,
    link: &Link,
    health: &Health,
    stop: &Stop,
) -> Result<Option<Client>, NatsError> {
    let mut backoff = Backoff::new(Duration::from_millis(100), RECONNECT_MOST);
    loop {
        let attempt = async {
            let client = options(config, link, health).connect(link.guard.url()).await?;
            let echoed = echo(&client, config).await;
            Ok((client, echoed))
        };
        let reason = tokio::select! {
            () = stop.soft.cancelled() => return Ok(None),
            attempt = attempt => match attempt {
                Ok((client, echoed)) => match echoed {
                    Ok(()) => {
                        tracing::info!("NATS health-check OK");
                        health.ok(CHECK);
                        return Ok(Some(client));
                    }
                    Err(reason) => reason,
                },
                Err::<_, ConnectError>(error) => match (link.said.why_no_way(), error.kind()) {
                    (Some(why), _) => return Err(NatsError::NoWay(why)),
                    (None, ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication) => {
                        return Err(NatsError::Refused { keys: config.nats_login.keys() });
                    }
                    (None, _) => link.said.why_away(config.nats_login.keys()),
                },
            },
        };
        let refusals = link.said.refusals(&config.nats_login.user());
        health.fail(CHECK, refusals.unwrap_or(reason));
        tokio::select! {
            () = stop.soft.cancelled() => return Ok(None),
            () = tokio::time::sleep(backoff.next_pause()) => {}
        }
    }
}

/// True if a message that is handed to the client now goes out now, and not as a ghost after a
/// reconnect.
pub fn is_connected(client: &Client) -> bool {
    client.connection_state() == State::Connected
}

/// The number of the connection; it changes with each reconnect.
pub fn connection(client: &Client) -> u64 {
    client.statistics().connects.load(Ordering::Relaxed)
}

fn ping_interval() -> Duration {
    // A test with a slow line makes it longer: pings stand behind the answers there.
    let ms = failpoint::number("nats.ping_ms").map(|ms| Duration::from_millis(ms.unsigned_abs()));
    ms.unwrap_or(PING_INTERVAL)
}

fn options(config: &Config, link: &Link, health: &Health) -> ConnectOptions {
    let (link, health) = (link.clone(), health.clone());
    let keys = config.nats_login.keys();
    let options = ConnectOptions::new()
        .name(format!("tpro/{}/{}", config.service, config.copy))
        .ping_interval(ping_interval())
        .connection_timeout(CONNECT_TIMEOUT)
        .client_capacity(COMMANDS)
        .subscription_capacity(MESSAGES)
        .reconnect_delay_callback(reconnect_pause)
        // The guard decides which server is taken.
        .ignore_discovered_servers()
        // A server with permissions allows this prefix.
        .custom_inbox_prefix(format!("_INBOX.tpro.{}", config.service))
        .event_callback(move |event| {
            heed(&event, &link, keys, &health);
            std::future::ready(())
        });
    match &config.nats_login {
        // The guard signs.
        NatsLogin::None | NatsLogin::Credentials(_) | NatsLogin::Nkey(_) => options,
        NatsLogin::Token(token) => options.token(token.expose().to_owned()),
        NatsLogin::User(user, password) => {
            options.user_and_password(user.clone(), password.expose().to_owned())
        }
    }
}

/// The pause before the n-th attempt in a row.
fn reconnect_pause(attempt: usize) -> Duration {
    let doublings = u32::try_from(attempt).unwrap_or(u32::MAX).min(10);
    jittered(Duration::from_millis(20).saturating_mul(1 << doublings).min(RECONNECT_MOST))
}

fn heed(event: &Event, link: &Link, keys: &str, health: &Health) {
    match event {
        Event::Connected => {
            health.ok(CHECK);
            link.again.tell(Whose::All);
        }
        Event::Disconnected => {
            link.counts.disconnects.inc();
            health.fail(CHECK, link.said.why_away(keys));
        }
        Event::SlowConsumer(subscription) => {
            link.counts.slow_consumer.inc();
            tracing::warn!(nats.subscription = subscription, "a message was dropped before it could be read");
        }
        Event::Draining | Event::Closed => tracing::info!("the connection to NATS is {event}"),
        // The guard has heard it before.
        Event::LameDuckMode | Event::ServerError(_) => {}
        // While reconnecting one comes for every attempt; the check has the fact, this is the
        // cause.
        Event::ClientError(error) => tracing::debug!("the NATS client says: {error}"),
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
    let mut subscription = client.subscribe(subject.clone()).await.map_err(|error| error.to_string())?;
    client.publish(subject, "".into()).await.map_err(|error| error.to_string())?;
    #[expect(clippy::disallowed_methods, reason = "an error of the connection ends the wait at once")]
    let written = client.flush();
    written.await.map_err(|error| error.to_string())?;
    subscription.next().await.map(|_| ()).ok_or_else(|| "the subscription ended".to_owned())
}

/// Waits until the server has all that was handed to the client before, or the connection is lost.
/// A flush only says that the client has written it. A message to ourselves that is back says that
/// the server has read all before it.
pub async fn delivered(client: &Client, service: &ServiceName) {
    tokio::select! {
        _ = there_and_back(client, service) => {}
        () = disconnected(client) => {}
    }
}

/// Waits until there is no connection.
pub async fn disconnected(client: &Client) {
    while is_connected(client) {
        tokio::time::sleep(CONNECTION_CHECK).await;
    }
}
