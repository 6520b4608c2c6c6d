//! Replies to labels: a monolith that listens on the Go system's server hears them as before.

use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tpro_testkit::{Context, Message, Outcome, listen};

use crate::bridged::Bridged;

#[tpro_testkit::test]
async fn a_reply_to_a_label_is_heard_once_on_the_other_server() -> Outcome {
    let bridged = Bridged::new().await?;
    let world = &bridged.world;
    let (main, analytic) = (world.run("main").await?, world.run("analytic").await?);
    for copy in [1, 2] {
        bridged.run(copy, "co", "main,analytic").await?;
    }
    let monolith = bridged.old.client().await?;
    let mut replies = listen(&monolith, "$$.nats-pwl-reply.orders").await?;
    let body = json!({"ip": "172.19.0.8", "login": "login342", "password": "phnd26w"});
    let message = Message::to("analytic.example.simple").body(body).reply_to("orders");
    let mut results = Vec::new();
    for _ in 0..3 {
        let settled = world.ask(&message).await?.ok()?;
        let heard = replies.next().await.context("the subscription lives")?;
        assert_eq!(serde_json::from_slice::<Value>(&heard.payload)?, settled, "the bare result");
        assert!(heard.headers.is_none());
        results.push(settled);
    }
    bridged.world.finish(&[&main, &analytic]).await?;
    Ok(())
}
