//! A process that stands still: not dead, and no longer there.

use tpro_testkit::{Message, Outcome, Signal, World, eventually};

use crate::answerer::Answerer;
use crate::copies::leader;
use crate::probe::Probe;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_leader_is_deposed_and_follows_when_it_wakes_up() -> Outcome {
    let world = World::new().await?;
    let _answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    let first = world.run("main").await?;
    assert_eq!(leader(&world).await?, 1);
    let second = world.start(world.sidecar("main")?.copy(2)).await?;
    let request = Message::to("old.thing.ask").protocol("json");
    world.ask(&request).await?.ok()?;

    first.signal(Signal::STOP)?;
    let id = world.publish(&request.timeout(60)).await?;
    world.await_reply(id).await?.ok()?;
    assert_eq!(leader(&world).await?, 2);

    first.signal(Signal::CONT)?;
    first.ready().await?;
    world.ask(&Message::to("old.thing.ask").protocol("json")).await?.ok()?;
    assert_eq!(leader(&world).await?, 2, "it follows");
    second.stop().await?;
    eventually("it leads again", async || Ok(leader(&world).await? == 1)).await?;
    world.ask(&Message::to("old.thing.ask").protocol("json")).await?.ok()?;
    world.finish(&[&first]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_frozen_copy_has_taken_is_done_by_another_and_once() -> Outcome {
    let world = Probe::world().await?;
    let main = world.start(world.sidecar("main")?.env("ATTEMPT_TIMEOUT_MS", 500)).await?;
    let first = world.start(Probe::copy(&world, 1)?).await?;
    let second = world.start(Probe::copy(&world, 2)?).await?;
    first.signal(Signal::STOP)?;
    for method in ["transactional.effect", "default.effect"] {
        Probe::request(method, serde_json::json!({})).publish_many(&world.main, 100).await?;
    }
    world.recon().await?;
    let (silent, again) = (main.metric("tpro_silent_total").await?, main.metric("tpro_resent_total").await?);
    assert!(silent > 0.0 && again >= silent, "{silent} attempts were not answered, {again} sent again");
    println!("figure: {silent} attempts went to the frozen copy of two, for 200 messages");
    first.signal(Signal::CONT)?;
    first.ready().await?;
    // What it has taken by now is done already.
    eventually("its inbox has told it so", async || {
        let received = first.metric("tpro_received_total").await?;
        Ok(received > 0.0 && first.metric("tpro_not_run_total").await? == received)
    })
    .await?;
    assert!(world.replies("main").await?.iter().all(|reply| reply.status == "ok"));
    eventually("its late work is over", async || {
        let open = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND xact_start IS NOT NULL
                      AND application_name LIKE 'tpro/probe/%'";
        Ok(world.count(open).await? == 0)
    })
    .await?;
    assert_eq!(Probe::effects(&world).await?, 200);
    world.finish(&[&main, &first, &second]).await?;
    Ok(())
}
