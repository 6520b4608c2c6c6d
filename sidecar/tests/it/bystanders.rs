//! Somebody on NATS subscribes to everything, so that the server has a subscriber for whatever is sent.

use futures_util::StreamExt;
use serde_json::json;
use tokio::task::JoinHandle;
use tpro_testkit::{Message, Outcome, World, eventually, listen};

use crate::answerer::Answerer;
use crate::rogue::Rogue;

#[tpro_testkit::test]
async fn a_service_that_nobody_runs_is_unavailable_though_a_bystander_takes_its_messages() -> Outcome {
    let world = Rogue::world().await?;
    let bystander = bystander(&world).await?;
    let main = world.run("main").await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    for seconds in [1, 3] {
        let reply = world.ask(&Message::to("nobody.at.home").timeout(seconds)).await?;
        assert_eq!((reply.status.as_str(), reply.code()), ("unavailable", -32001), "{reply:?}");
        let text = reply.error["message"].as_str().unwrap_or_default();
        assert!(text.contains("nobody runs service nobody") && text.contains('>'), "{text}");
    }
    // A handler that calls it is told the same.
    let call = json!({"target": "nobody.at.work", "body": {}});
    world.ask(&Rogue::request("default.call", call).timeout(3)).await?;
    let recorded = "SELECT count(*) FROM rogue_service.mq_reply WHERE status = 'unavailable'";
    eventually("the call is on record", async || Ok(world.count(recorded).await? >= 1)).await?;

    // What knows nothing of tpro is asked nothing, and so nothing is known of it.
    let reply = world.ask(&Message::to("old.thing.ask").protocol("json").timeout(1)).await?;
    assert_eq!(reply.status, "timeout", "{reply:?}");
    assert!(
        reply.error["message"].as_str().is_some_and(|text| text.contains("nothing has come")),
        "{reply:?}"
    );
    bystander.abort();
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_service_that_is_there_and_slow_ends_as_a_timeout_though_it_has_never_answered() -> Outcome {
    let world = Rogue::world().await?;
    let bystander = bystander(&world).await?;
    let main = world.run("main").await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    let hold = Rogue::hold(&world).await?;
    for method in ["default.effect", "transactional.effect", "stateless.effect"] {
        let reply = world.ask(&Rogue::request(method, Rogue::held()).timeout(1)).await?;
        let over = reply.status == "timeout" || (reply.status == "error" && reply.code() == -32002);
        assert!(over, "{method}: {reply:?}");
    }
    drop(hold);
    // One that has answered before and is silent now is no absent one either.
    let answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    world.ask(&Message::to("old.thing.ask").timeout(5)).await?;
    drop(answerer);
    let reply = world.ask(&Message::to("old.thing.ask").timeout(1)).await?;
    assert_eq!(reply.status, "timeout", "{reply:?}");
    bystander.abort();
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn what_a_leader_before_has_sent_is_never_called_untaken() -> Outcome {
    let world = Rogue::world().await?;
    let bystander = bystander(&world).await?;
    let main = world.run("main").await?;
    let id = world.publish(&Message::to("nobody.at.home").timeout(5)).await?;
    eventually("it is sent", async || Ok(main.metric("tpro_sent_total").await? >= 1.0)).await?;
    main.kill().await?;
    let next = world.start(world.sidecar("main")?.copy(2)).await?;
    let reply = world.await_reply(id).await?;
    assert_eq!(reply.status, "timeout", "{reply:?}");
    bystander.abort();
    world.finish(&[&next]).await?;
    Ok(())
}

/// Takes everything and says nothing.
async fn bystander(world: &World) -> Outcome<JoinHandle<()>> {
    let client = world.nats.client().await?;
    let mut everything = listen(&client, ">").await?;
    Ok(tokio::spawn(async move {
        while everything.next().await.is_some() {}
        drop(client);
    }))
}
