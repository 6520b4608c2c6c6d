//! The other copies of the bridge. A repeat that comes to another copy than its message is asked
//! for here, so that the Go system does not get it twice.

use std::{sync::Arc, time::Duration};

use async_nats::Subject;
use futures_util::StreamExt as _;
use tokio::time::timeout;
use tpro_wire::Uid;

use crate::{bridge::Bridge, flights::Proof, requester};

/// The time for the others to say that they have a message. A message that was lost with its copy
/// waits for so long.
const PATIENCE: Duration = Duration::from_secs(2);

fn subject(bridge: &Bridge) -> String {
    format!("_TPRO.bridge.{}", bridge.settings.space)
}

/// Answers the questions of the other copies, until the process ends.
pub async fn answer(bridge: &Arc<Bridge>) -> Result<(), String> {
    let subscribed = bridge.new.client.subscribe(subject(bridge)).await;
    let mut questions = subscribed.map_err(|error| format!("subscribing to {}: {error}", subject(bridge)))?;
    bridge.new.echo().await;
    let bridge = bridge.clone();
    tokio::spawn(async move {
        while let Some(question) = questions.next().await {
            let Some(asker) = question.reply.filter(|asker| !bridge.new.is_own(asker)) else { continue };
            let Some((uid, reply, proof)) = read(&question.payload) else { continue };
            let Some(found) = bridge.flights.find(&uid, &proof, reply.as_ref()) else { continue };
            // The asker waits for this word; the requester gets its own from here.
            let _ = bridge.new.client.publish(asker, "known".into()).await;
            let service = proof.text().split('.').nth(1).unwrap_or_default().to_owned();
            requester::repeat(&bridge, &uid, found, &service, reply).await;
        }
    });
    Ok(())
}

fn read(payload: &[u8]) -> Option<(Uid, Option<Subject>, Proof)> {
    let mut lines = str::from_utf8(payload).ok()?.splitn(3, '\n');
    let uid = lines.next()?.parse().ok()?;
    let reply = lines.next().filter(|reply| !reply.is_empty()).map(Subject::from);
    Some((uid, reply, Proof::from_text(lines.next()?)))
}

/// True if another copy knows this message. That copy tells the requester what is known.
pub async fn know(bridge: &Arc<Bridge>, uid: &Uid, proof: &Proof, reply: Option<&Subject>) -> bool {
    let mut asked = bridge.new.ask();
    let question = format!("{uid}\n{}\n{}", reply.map_or("", |reply| reply.as_str()), proof.text());
    let client = &bridge.new.client;
    if client.publish_with_reply(subject(bridge), asked.subject(), question.into()).await.is_err() {
        return false;
    }
    matches!(timeout(PATIENCE, asked.next()).await, Ok(Some(word)) if word.payload == "known")
}
