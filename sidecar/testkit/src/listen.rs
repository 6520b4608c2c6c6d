//! Subscriptions that the server knows for sure.

use async_nats::subject::ToSubject;
use async_nats::{Client, Subscriber};
use futures_util::StreamExt;
use tokio::time::timeout;

use crate::eventually::DEADLINE;
use crate::failure::{Context, Outcome};

/// Subscribes. The server knows the subscription when this returns: every message that anybody
/// publishes from then on comes.
pub async fn listen(client: &Client, subject: impl ToSubject) -> Outcome<Subscriber> {
    let subscriber = client.subscribe(subject).await.context("subscribing")?;
    heard(client).await?;
    Ok(subscriber)
}

/// Waits until the server has taken all that this client has said before.
///
/// A flush of the client only says that the client has written it. The server takes what comes on
/// one connection in order, so a message of the client to itself that is back says that the server
/// has taken all before it. The message goes to the client's own inbox; a subscription of all
/// subjects hears it, too.
pub async fn heard(client: &Client) -> Outcome {
    let inbox = client.new_inbox();
    let mut echo = client.subscribe(inbox.clone()).await.context("subscribing")?;
    client.publish(inbox, Default::default()).await.context("publishing")?;
    let back = timeout(DEADLINE, echo.next()).await.context("waiting for a message to oneself")?;
    back.context("the connection to nats-server is closed")?;
    Ok(())
}
