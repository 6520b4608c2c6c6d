//! Looks all the time if NATS is there, if its server allows our subjects, and if it lets the
//! largest body through.

use std::{sync::atomic::Ordering, time::Duration};

use crate::{
    app::App,
    nats::{CHECK, ENVELOPE, again},
};

/// The pause between two looks. A connection that goes or comes and what a server refuses are seen
/// without it.
const INTERVAL: Duration = Duration::from_secs(1);
/// The readiness check of the largest message.
const PAYLOAD_CHECK: &str = "nats-payload";
/// The readiness check of the permissions.
const PERMISSIONS_CHECK: &str = "nats-permissions";

/// Watches the connection until the process ends: if it is there, if the server allows our
/// subjects, and if it lets the largest body through.
pub(super) async fn watch(app: App) {
    let (client, config, health, link) = (&app.nats, &app.config, &app.health, &app.link);
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut known = client.connection();
    let mut again = link.again.listen();
    loop {
        tokio::select! {
            () = app.stop.soft.cancelled() => return,
            _ = ticks.tick() => {}
            _ = again.next() => {}
            () = link.said.refusal() => {}
        }
        if !client.is_connected() {
            health.fail(CHECK, link.said.why_away(config.nats_login.keys()));
            continue;
        }
        health.ok(CHECK);
        let now = client.connection();
        if now != known {
            known = now;
            if app.serves.load(Ordering::Relaxed) {
                again::say_back(client, &config.space, &app.source.service).await;
            }
        }
        match link.said.refusals(&config.nats_login.user()) {
            Some(refusals) => health.fail(PERMISSIONS_CHECK, refusals),
            None => health.ok(PERMISSIONS_CHECK),
        }
        let (allowed, max_body) = (client.max_payload(), app.max_body.load(Ordering::Relaxed));
        let wanted = max_body + ENVELOPE;
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
