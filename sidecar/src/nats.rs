//! The connection to NATS.

use std::{sync::Arc, time::Duration};

use async_nats::{Client, ConnectError, ConnectErrorKind, ConnectOptions, Event, connection::State};
use futures_util::StreamExt as _;

use crate::{
    backoff::{Backoff, jittered},
    config::{Config, NatsLogin},
    health::Health,
    metrics::Metrics,
    random,
    shutdown::Stop,
};

/// The readiness check of the connection.
const CHECK: &str = "nats";
/// The readiness check of what the server lets through.
const PAYLOAD_CHECK: &str = "nats-payload";

/// A dead connection is noticed after two pings without an answer, so after about three intervals (the default interval
/// is a minute).
const PING_INTERVAL: Duration = Duration::from_secs(2);
/// How long one server may take to let us in.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// The longest pause between attempts to reconnect.
const RECONNECT_MOST: Duration = Duration::from_secs(2);
/// Commands that wait for the connection's task. While disconnected they stay and are sent afterwards, as ghosts of
/// requests that may be settled by then: few enough that a full channel, which makes the sender wait, comes soon. The
/// dispatcher asks [`is_connected`] first.
const COMMANDS: usize = 1024;
/// Messages of one subscription that wait to be read; what does not fit is dropped without a word on the wire. Twice
/// what may be in flight by default (`IN_FLIGHT_MAX`), since every request in flight may get a reply and a "working".
const MESSAGES: usize = 8192;
/// What envelope and headers may add to a body: 8 KiB of row headers, names of up to 200 bytes, trace and the rest.
pub(crate) const ENVELOPE: usize = 16 * 1024;
/// How long a message to ourselves may take.
const ECHO_TIMEOUT: Duration = Duration::from_secs(2);

/// What no retry can mend.
#[derive(Debug, thiserror::Error)]
pub enum NatsError {
    /// The server knows us not.
    #[error("NATS refuses the login; correct {keys}")]
    Refused {
        /// The settings it was made with.
        keys: &'static str,
    },
    /// The server takes nobody without TLS.
    #[error("NATS at {0} wants TLS, which is to come; correct NATS_URL, or run nats-server without tls")]
    Tls(String),
}

/// Connects, waiting as long as it takes. `None` when the process is told to stop meanwhile.
///
/// The first connection is made by a loop of ours and not by `retry_on_initial_connect`, which would try a refused
/// login again for ever.
pub(crate) async fn connect(
    config: &Config,
    health: &Health,
    metrics: &Arc<Metrics>,
    stop: &Stop,
) -> Result<Option<Client>, NatsError> {
    let mut backoff = Backoff::new(Duration::from_millis(100), RECONNECT_MOST);
    loop {
        let attempt = async {
            let client = options(config, health, metrics).connect(config.nats_urls.clone()).await?;
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
                Err::<_, ConnectError>(error) => match error.kind() {
                    ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => {
                        return Err(NatsError::Refused { keys: config.nats_login.keys() });
                    }
                    ConnectErrorKind::Tls => return Err(NatsError::Tls(config.nats_urls.join(","))),
                    // A certificate that nobody trusts comes as this.
                    ConnectErrorKind::Io if is_no_nats(&error) => {
                        return Err(NatsError::Tls(config.nats_urls.join(",")));
                    }
                    _ => format!("{} not reachable: {error}", config.nats_urls.join(",")),
                },
            },
        };
        health.fail(CHECK, reason);
        tokio::select! {
            () = stop.soft.cancelled() => return Ok(None),
            () = tokio::time::sleep(backoff.next_pause()) => {}
        }
    }
}

/// Whether what the server said could not be understood; waiting does not change what it says.
fn is_no_nats(error: &ConnectError) -> bool {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<std::io::Error>());
    cause.is_some_and(|cause| cause.kind() == std::io::ErrorKind::InvalidData)
}

/// Whether a message handed to the client now would go out now, and not as a ghost after a reconnect.
pub fn is_connected(client: &Client) -> bool {
    client.connection_state() == State::Connected
}

/// Watches the connection until the process ends, and whether the server lets the largest body through.
///
/// Besides the client's events, since these come through a small channel and are dropped when it is full.
pub(crate) async fn watch(client: Client, max_body: usize, health: Health, stop: Stop) {
    let mut ticks = tokio::time::interval(Duration::from_millis(250));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.soft.cancelled() => return,
            _ = ticks.tick() => {}
        }
        if !is_connected(&client) {
            health.fail(CHECK, DISCONNECTED);
            continue;
        }
        health.ok(CHECK);
        let (allowed, wanted) = (client.max_payload(), max_body + ENVELOPE);
        if allowed < wanted {
            let reason = format!(
                "the server takes messages up to {allowed} bytes, and tpro.max_body = {max_body} needs {wanted}: \
                 raise max_payload of nats-server, or lower tpro.max_body"
            );
            health.fail(PAYLOAD_CHECK, reason);
        } else {
            health.ok(PAYLOAD_CHECK);
        }
    }
}

const DISCONNECTED: &str = "disconnected; trying again";

fn options(config: &Config, health: &Health, metrics: &Arc<Metrics>) -> ConnectOptions {
    let (health, metrics) = (health.clone(), metrics.clone());
    let options = ConnectOptions::new()
        .name(format!("tpro/{}/{}", config.service, config.copy))
        .ping_interval(PING_INTERVAL)
        .connection_timeout(CONNECT_TIMEOUT)
        .client_capacity(COMMANDS)
        .subscription_capacity(MESSAGES)
        .reconnect_delay_callback(reconnect_pause)
        .event_callback(move |event| {
            heed(&event, &health, &metrics);
            std::future::ready(())
        });
    match &config.nats_login {
        NatsLogin::None => options,
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

fn heed(event: &Event, health: &Health, metrics: &Metrics) {
    match event {
        Event::Connected => health.ok(CHECK),
        Event::Disconnected => {
            metrics.nats_disconnects.inc();
            health.fail(CHECK, DISCONNECTED);
        }
        Event::SlowConsumer(subscription) => {
            metrics.nats_slow_consumer.inc();
            tracing::warn!(nats.subscription = subscription, "a message was dropped before it could be read");
        }
        Event::LameDuckMode => {
            tracing::warn!("the NATS server is about to stop; the client moves to another")
        }
        Event::Draining | Event::Closed => tracing::info!("the connection to NATS is {event}"),
        // While reconnecting one comes for every attempt; the check has the fact, this is the cause.
        Event::ServerError(error) => tracing::warn!("the NATS server says: {error}"),
        Event::ClientError(error) => tracing::debug!("the NATS client says: {error}"),
    }
}

/// Publishes to ourselves and waits for it: the way out and the way in both work.
///
/// The subject has a token less than those of replies, so that no reply subscription takes it, and lies in our own
/// inbox prefix, which is what a server with permissions lets us have.
async fn echo(client: &Client, config: &Config) -> Result<(), String> {
    let subject = format!("_INBOX.tpro.{}.health.{:016x}", config.service, random::next_u64());
    let there_and_back = async {
        let mut subscription = client.subscribe(subject.clone()).await.map_err(|error| error.to_string())?;
        client.publish(subject.clone(), "".into()).await.map_err(|error| error.to_string())?;
        client.flush().await.map_err(|error| error.to_string())?;
        subscription.next().await.map(|_| ()).ok_or_else(|| "the subscription ended".to_owned())
    };
    match tokio::time::timeout(ECHO_TIMEOUT, there_and_back).await {
        Ok(result) => result.map_err(|error| format!("a message to ourselves failed: {error}")),
        Err(_) => Err(format!("a message to ourselves did not come within {} s", ECHO_TIMEOUT.as_secs())),
    }
}
