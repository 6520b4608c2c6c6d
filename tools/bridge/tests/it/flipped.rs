//! A service moves while two bridges do not agree where it is.

use std::sync::Arc;

use serde_json::json;
use tpro_testkit::{GoAnswer, GoCopy, GoRequester, Message, Outcome};

use crate::bridged::{Bridged, PATIENCE};

#[tpro_testkit::test]
async fn no_request_goes_round_between_bridges_of_which_one_says_moved_and_one_says_not() -> Outcome {
    let bridged = Bridged::new().await?;
    let world = &bridged.world;
    let main = world.run("main").await?;
    let before = bridged.run(1, "co", "main").await?;
    let after = bridged.run(2, "main", "co").await?;
    let go = Arc::new(GoRequester::new(&bridged.old, "analytic").await?);
    let ask = |number| {
        let go = go.clone();
        let method = "co.example.request_with_parallel_queries";
        tokio::spawn(async move { go.ask(number, method, json!({}), PATIENCE).await?.ok() })
    };
    let message = Message::to("co.example.request_with_parallel_queries").timeout(80);
    // With a Go copy only.
    let answer = json!({"exampleRequestWithParallelQueries": 1});
    let old = GoCopy::start(&bridged.old, "co", move |_| GoAnswer::Result(answer.clone())).await?;
    let mut ids = Vec::new();
    let mut asking = Vec::new();
    for number in 0..10 {
        ids.push(world.publish(&message).await?);
        asking.push(ask(number));
    }
    for id in ids.drain(..) {
        world.await_reply(id).await?.ok()?;
    }
    assert!(old.runs().len() >= 10 && old.panicked().is_none());
    // With copies of both, and then with those of tpro only.
    let new = world.run("co").await?;
    for number in 10..20 {
        ids.push(world.publish(&message).await?);
        asking.push(ask(number));
    }
    old.stop().await?;
    for number in 20..30 {
        ids.push(world.publish(&message).await?);
        asking.push(ask(number));
    }
    for id in ids {
        world.await_reply(id).await?.ok()?;
    }
    for asked in asking {
        asked.await??;
    }
    before.stop().await?;
    after.stop().await?;
    bridged.world.finish(&[&main, &new]).await?;
    Ok(())
}
