//! Replies that services of tpro publish to labels. A subscriber on the Go system's server hears
//! them as before.

use std::sync::Arc;

use crate::{
    bridge::Bridge,
    counts,
    intake::{self, InHand},
};

/// The queue group of the bridge's copies.
const QUEUE: &str = "bridge";

/// Carries them over.
pub async fn serve(bridge: &Arc<Bridge>) -> Result<(), String> {
    let subject = format!("{}>", bridge.settings.reply_to_prefix);
    intake::take(bridge, &bridge.new, subject, QUEUE.to_owned(), carry).await?;
    bridge.new.echo().await;
    Ok(())
}

/// Publishes a reply as it is. The headers stay behind: a server of before 2.2 carries none.
async fn carry(bridge: Arc<Bridge>, in_hand: InHand) {
    let message = &in_hand.message;
    match bridge.old.client.publish(message.subject.clone(), message.payload.clone()).await {
        Ok(()) => bridge.counts.carried(counts::LABELS),
        Err(error) => {
            bridge.counts.dropped("label");
            tracing::warn!("a reply to a label could not be handed to the NATS of the Go system: {error}");
        }
    }
}
