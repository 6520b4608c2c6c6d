//! The responder of the floor: a bare NATS client in a process of its own.

use async_nats::{Client, ConnectOptions};
use futures_util::StreamExt as _;
use tpro_testkit::{Context as _, Outcome, listen};

use crate::args::Nats;

/// The subject that the minimal dispatcher asks on.
pub const SUBJECT: &str = "floor.bench.echo";
/// The word of a responder when it is asked from now on.
pub const READY: &str = "ready";

/// Answers every request with its own payload, until it is killed.
pub async fn run(nats: Nats) -> Outcome {
    let client = connect(&nats).await?;
    let mut requests = listen(&client, SUBJECT).await?;
    println!("{READY}");
    while let Some(request) = requests.next().await {
        if let Some(reply) = request.reply {
            client.publish(reply, request.payload).await.context("answering")?;
        }
    }
    Ok(())
}

/// A connection to NATS.
pub async fn connect(nats: &Nats) -> Outcome<Client> {
    let options = ConnectOptions::with_token(nats.nats_token.clone()).subscription_capacity(64 * 1024);
    options.connect(&nats.nats_url).await.context("connecting to NATS")
}
