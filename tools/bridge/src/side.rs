//! The connection to one of the two servers.

use std::time::Duration;

use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event};
use tpro_runtime::{
    backoff::{Backoff, jittered},
    health::Health,
};

use crate::settings::{Login, Server, Settings};

/// A dead connection is noticed after about three of these.
const PING_INTERVAL: Duration = Duration::from_secs(2);
/// The longest time that a server may take to let us in.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// The longest pause between attempts to connect.
const PAUSE_MOST: Duration = Duration::from_secs(2);

/// Connects, for as long as it takes. A login that is refused is an error.
pub async fn connect(server: &Server, settings: &Settings, health: &Health) -> Result<Client, String> {
    let mut backoff = Backoff::new(Duration::from_millis(100), PAUSE_MOST);
    health.hold(server.check, "not connected yet");
    loop {
        let options = options(server, settings, health);
        match options.connect(server.urls.clone()).await {
            Ok(client) => {
                health.ok(server.check);
                tracing::info!("connected to {}", server.key("NATS_URL"));
                return Ok(client);
            }
            Err(error) if is_refused(error.kind()) => {
                return Err(format!(
                    "{} refuses the login; correct {}",
                    server.key("NATS_URL"),
                    server.keys()
                ));
            }
            Err(error) => health.fail(server.check, format!("{}: {error}", server.key("NATS_URL"))),
        }
        tokio::time::sleep(backoff.next_pause()).await;
    }
}

fn is_refused(kind: ConnectErrorKind) -> bool {
    matches!(kind, ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication)
}

fn options(server: &Server, settings: &Settings, health: &Health) -> ConnectOptions {
    let (check, key, health) = (server.check, server.key("NATS_URL"), health.clone());
    let mut options = ConnectOptions::new()
        .name(format!("tpro-bridge/{}", settings.copy))
        .ping_interval(PING_INTERVAL)
        .connection_timeout(CONNECT_TIMEOUT)
        .reconnect_delay_callback(|attempt| {
            let doublings = u32::try_from(attempt).unwrap_or(u32::MAX).min(10);
            jittered(Duration::from_millis(20).saturating_mul(1 << doublings).min(PAUSE_MOST))
        })
        .event_callback(move |event| {
            match &event {
                Event::Connected => health.ok(check),
                Event::Disconnected => health.fail(check, format!("the connection to {key} is lost")),
                Event::SlowConsumer(_) => tracing::warn!("{key}: a message was dropped before it was read"),
                Event::ServerError(error) => tracing::error!("{key}: the server says: {error}"),
                _ => {}
            }
            std::future::ready(())
        });
    if let Some(ca) = &server.ca {
        options = options.add_root_certificates(ca.clone()).require_tls(true);
    }
    if let Some((certificate, key)) = &server.certificate {
        options = options.add_client_certificate(certificate.clone(), key.clone());
    }
    match &server.login {
        Login::None => options,
        Login::Token(token) => options.token(token.clone()),
        Login::User(user, password) => options.user_and_password(user.clone(), password.clone()),
    }
}
