//! What is left in a process when its messages are over: nothing.

use futures_util::StreamExt;
use serde_json::json;
use tpro_testkit::{Message, Outcome, SidecarProcess, World, eventually, listen};

use crate::rogue::Rogue;

const REQUESTS: i32 = 10_000;
/// What a copy says it has in hand.
const GAUGES: [&str; 5] =
    ["tpro_in_flight", "tpro_waiting", "tpro_unsettled", "tpro_handlers_at_work", "tpro_calls_waiting"];

#[ignore = "slow: make faults"]
#[tpro_testkit::test]
async fn ten_thousand_timed_out_requests_leave_every_map_empty() -> Outcome {
    let world = World::new().await?;
    // Somebody who takes everything and answers nothing.
    let silent = world.nats.client().await?;
    let mut taken = listen(&silent, "tpro.old.thing.ask").await?;
    let taking = tokio::spawn(async move { while taken.next().await.is_some() {} });
    let main = world.start(world.sidecar("main")?.env("LANE_MAX", 5_000).env("IN_FLIGHT_MAX", 5_000)).await?;
    let tasks = settled_tasks(&main).await?;

    Message::to("old.thing.ask").timeout(1).publish_many(&world.main, REQUESTS).await?;
    eventually("they are in flight", async || Ok(main.metric("tpro_in_flight").await? > 0.0)).await?;
    let recon = world.recon().await?;
    assert_eq!(recon.settled, i64::from(REQUESTS));
    assert!(world.replies("main").await?.iter().all(|reply| reply.status == "unavailable"));

    for gauge in GAUGES {
        eventually(&format!("{gauge} is 0"), async || Ok(main.metric(gauge).await? == 0.0)).await?;
    }
    eventually("there are no more tasks than before", async || Ok(main.metric("tpro_tasks").await? <= tasks))
        .await?;
    taking.abort();
    world.finish(&[&main]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn timed_out_calls_of_handlers_leave_every_map_empty() -> Outcome {
    let world = Rogue::world().await?;
    let silent = world.nats.client().await?;
    let mut taken = listen(&silent, "tpro.old.thing.ask").await?;
    let taking = tokio::spawn(async move { while taken.next().await.is_some() {} });
    let main = world.run("main").await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    let tasks = settled_tasks(&rogue).await?;

    let call = json!({"target": "old.thing.ask", "body": {}});
    Rogue::request("default.call", call).timeout(2).publish_many(&world.main, 500).await?;
    eventually("calls wait", async || Ok(rogue.metric("tpro_calls_waiting").await? > 0.0)).await?;
    world.recon().await?;
    let calls = "SELECT count(*) FROM rogue_service.mq_reply WHERE status IN ('timeout', 'unavailable')";
    eventually("the calls are on record", async || Ok(world.count(calls).await? > 0)).await?;
    for copy in [&main, &rogue] {
        for gauge in GAUGES {
            eventually(&format!("{gauge} is 0"), async || Ok(copy.metric(gauge).await? == 0.0)).await?;
        }
    }
    eventually(
        "there are no more tasks than before",
        async || Ok(rogue.metric("tpro_tasks").await? <= tasks),
    )
    .await?;
    taking.abort();
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}

/// The tasks of a copy that has nothing to do.
async fn settled_tasks(copy: &SidecarProcess) -> Outcome<f64> {
    eventually("it leads", async || Ok(copy.metric("tpro_leading").await? == 1.0)).await?;
    copy.metric("tpro_tasks").await
}
