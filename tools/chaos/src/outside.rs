//! A NATS service that knows nothing of tpro: it answers each message with its own body.

use futures_util::StreamExt as _;
use tokio::task::JoinHandle;
use tpro_testkit::{Nats, Outcome, listen};

/// Answers until it is dropped.
pub struct Outside(JoinHandle<()>);

impl Outside {
    /// Starts it. Its client finds a restarted server again by itself.
    pub async fn start(nats: &Nats) -> Outcome<Self> {
        let client = nats.client().await?;
        let mut messages = listen(&client, "tpro.outside.thing.echo").await?;
        Ok(Self(tokio::spawn(async move {
            while let Some(message) = messages.next().await {
                if let Some(reply) = message.reply {
                    // Lost with the connection: it will be asked again.
                    let _ = client.publish(reply, message.payload).await;
                }
            }
        })))
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        self.0.abort();
    }
}
