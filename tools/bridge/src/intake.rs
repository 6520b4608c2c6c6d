//! Subscriptions in the queue group of a service, and the messages that come there.

use std::{sync::Arc, time::Duration};

use async_nats::{Message, Subscriber};
use futures_util::StreamExt as _;
use tokio::{sync::OwnedSemaphorePermit, time::timeout};

use crate::{
    bridge::Bridge,
    counts::Held,
    inbox::{Inbox, is_of_a_bridge},
};

/// More messages than any subscription will get, and more digits than a NATS server reads.
const NEVER: u64 = 10_000_000_000;
/// The longest time for the server to say that it has heard us.
const ROUND_TRIP: Duration = Duration::from_secs(2);

/// A message that is in hand, for as long as this lives.
pub struct InHand {
    /// The message.
    pub message: Message,
    _place: OwnedSemaphorePermit,
    _room: Option<OwnedSemaphorePermit>,
    _held: Held,
}

/// Subscribes in a queue group, and has each message carried by a task of its own. When the bridge
/// stops, the subscription ends, and what the server has sent before is carried still.
pub async fn take<F>(
    bridge: &Arc<Bridge>,
    inbox: &Arc<Inbox>,
    subject: String,
    queue: String,
    carry: impl Fn(Arc<Bridge>, InHand) -> F + Copy + Send + 'static,
) -> Result<(), String>
where
    F: Future<Output = ()> + Send + 'static,
{
    let subscribed = inbox.client.queue_subscribe(subject.clone(), queue).await;
    let mut messages = subscribed.map_err(|error| format!("subscribing to {subject}: {error}"))?;
    let (bridge, inbox) = (bridge.clone(), inbox.clone());
    let tasks = bridge.stop.tasks.clone();
    tasks.spawn(async move {
        loop {
            let message = tokio::select! {
                message = messages.next() => message,
                () = bridge.stop.soft.cancelled() => break,
            };
            let Some(message) = message else { return };
            begin(&bridge, message, carry).await;
        }
        leave(&inbox, &mut messages).await;
        while let Some(message) = messages.next().await {
            begin(&bridge, message, carry).await;
        }
    });
    Ok(())
}

/// A message of another bridge needs no room: it is answered at once. Where held requests have
/// taken all room, each of them awaits that answer before it is tried again.
async fn begin<F>(
    bridge: &Arc<Bridge>,
    message: Message,
    carry: impl Fn(Arc<Bridge>, InHand) -> F + Copy + Send + 'static,
) where
    F: Future<Output = ()> + Send + 'static,
{
    // Neither of the two is ever closed.
    let Ok(place) = bridge.waiting.clone().acquire_owned().await else { return };
    let tasks = bridge.stop.tasks.clone();
    let bridge = bridge.clone();
    tasks.spawn(async move {
        let needs_room = !message.reply.as_deref().is_some_and(is_of_a_bridge);
        let room = if needs_room { bridge.room.clone().acquire_owned().await.ok() } else { None };
        let held = bridge.counts.hold();
        carry(bridge, InHand { message, _place: place, _room: room, _held: held }).await;
    });
}

/// Has the server send no more, and waits until all that it has sent is here.
///
/// The drain of the client library alone forgets the subscription too early: see the intake of
/// `tpro-service`, where this was measured. On a limit with so many digits the server ends the
/// subscription at once, and the client goes on delivering.
async fn leave(inbox: &Arc<Inbox>, messages: &mut Subscriber) {
    if messages.unsubscribe_after(NEVER).await.is_ok() {
        // Without an answer the connection is gone, and with it the messages on their way.
        let _ = timeout(ROUND_TRIP, inbox.echo()).await;
    }
    let _ = messages.drain().await;
}
