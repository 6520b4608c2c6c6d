//! A process that stands still: not dead, and no longer there.

use std::sync::Arc;

use tpro_testkit::{Message, Outcome, SidecarProcess, Signal, World, eventually};

use crate::answerer::Answerer;
use crate::copies::leader;
use crate::rogue::Rogue;

#[tpro_testkit::test]
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

#[tpro_testkit::test]
async fn what_a_frozen_copy_has_taken_is_done_by_another_and_once() -> Outcome {
    let world = Rogue::world().await?;
    let main = world.start(world.sidecar("main")?.env("ATTEMPT_TIMEOUT_MS", 500)).await?;
    let first = world.start(Rogue::copy(&world, 1)?).await?;
    let second = world.start(Rogue::copy(&world, 2)?).await?;
    first.signal(Signal::STOP)?;
    for method in ["transactional.effect", "default.effect"] {
        Rogue::request(method, serde_json::json!({})).publish_many(&world.main, 100).await?;
    }
    world.recon().await?;
    let (silent, again) = (main.metric("tpro_silent_total").await?, main.metric("tpro_resent_total").await?);
    assert!(silent > 0.0 && again > 0.0, "{silent} attempts were not answered, {again} sent again");
    println!("figure: {silent} attempts went to the frozen copy of two, for 200 messages");
    first.signal(Signal::CONT)?;
    first.ready().await?;
    // What it has taken by now is done already. All that was sent has come to one of the two, so that nothing is on its
    // way any more when this holds.
    let mut seen = String::new();
    let told = eventually("its inbox has told it so", async || {
        let (sent, received) =
            (main.metric("tpro_sent_total").await?, first.metric("tpro_received_total").await?);
        let elsewhere = second.metric("tpro_received_total").await?;
        let not_run = first.metric("tpro_not_run_total").await?;
        seen = format!("{sent} sent, {received} and {elsewhere} received, {not_run} not run");
        // A question whether the service is there is received, and is no attempt.
        Ok(received > 0.0 && received + elsewhere >= sent && not_run == received)
    });
    told.await.map_err(|failure| failure.during(&seen))?;
    assert!(world.replies("main").await?.iter().all(|reply| reply.status == "ok"));
    eventually("its late work is over", async || {
        let open = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND xact_start IS NOT NULL
                      AND application_name LIKE 'tpro/rogue/%'";
        Ok(world.count(open).await? == 0)
    })
    .await?;
    assert_eq!(Rogue::effects(&world).await?, 200);
    world.finish(&[&main, &first, &second]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_copy_that_is_frozen_in_its_transaction_finishes_it_when_it_wakes_up() -> Outcome {
    let world = Rogue::world().await?;
    let main = world.start(world.sidecar("main")?.env("ATTEMPT_TIMEOUT_MS", 300)).await?;
    let (id, first, second) = frozen_in_its_transaction(&world, 60).await?;
    // What it holds is its own as long as its session lives: the other copy does not do it a second time.
    at_work_elsewhere(&second).await?;
    assert_eq!(Rogue::effects(&world).await?, 0, "nothing is committed");
    first.signal(Signal::CONT)?;
    let reply = world.await_reply(id).await?;
    assert!(reply.attempts > 1, "{reply:?}");
    assert_eq!(reply.ok()?["pid"].as_u64(), Some(first.process().pid().into()), "the frozen copy did it");
    idle(&first).await?;
    assert_eq!(Rogue::effects(&world).await?, 1);
    world.finish(&[&main, &first, &second]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn the_late_work_of_a_copy_that_was_frozen_in_its_transaction_is_stopped_by_the_inbox() -> Outcome {
    let world = Rogue::world().await?;
    let main = world.start(world.sidecar("main")?.env("ATTEMPT_TIMEOUT_MS", 300)).await?;
    let (id, first, second) = frozen_in_its_transaction(&world, 60).await?;
    at_work_elsewhere(&second).await?;
    // The database gives it up, so that the other copy does it.
    let terminate = format!("SELECT count(pg_terminate_backend(pid)) FROM ({OPEN}) AS open");
    assert_eq!(world.count(&terminate).await?, 1);
    let reply = world.await_reply(id).await?;
    assert_eq!(reply.copy(), "2", "{reply:?}");
    assert_eq!(reply.ok()?["pid"].as_u64(), Some(second.process().pid().into()));
    first.signal(Signal::CONT)?;
    eventually("it has tried again, and the inbox has told it so", async || {
        Ok(first.metric_of("tpro_not_run_total", r#"reason="repeat""#).await? >= 1.0)
    })
    .await?;
    idle(&first).await?;
    assert_eq!(Rogue::effects(&world).await?, 1, "its own effect went with its session");
    world.finish(&[&main, &first, &second]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn what_a_frozen_copy_holds_is_let_go_when_the_budget_is_spent() -> Outcome {
    let world = Rogue::world().await?;
    let main = world.start(world.sidecar("main")?.env("ATTEMPT_TIMEOUT_MS", 300)).await?;
    let (id, first, second) = frozen_in_its_transaction(&world, 15).await?;
    at_work_elsewhere(&second).await?;
    // Who asked is gone for as long as the budget lasts, and asks with a fresh one afterwards.
    main.kill().await?;
    eventually("the server has ended its session", async || {
        Ok(world.count(&format!("SELECT count(*) FROM ({OPEN}) AS open")).await? == 0)
    })
    .await?;
    assert_eq!(Rogue::effects(&world).await?, 0, "what it had done is undone");
    let main = world.start(main.sidecar()).await?;
    let reply = world.await_reply(id).await?;
    assert_eq!(reply.copy(), "2", "{reply:?}");
    assert_eq!(reply.ok()?["pid"].as_u64(), Some(second.process().pid().into()));
    first.signal(Signal::CONT)?;
    first.ready().await?;
    idle(&first).await?;
    assert_eq!(Rogue::effects(&world).await?, 1, "its late work came to nothing");
    world.finish(&[&main, &first, &second]).await?;
    Ok(())
}

/// The session of the first copy that has the transaction of the held handler open. A repeat of the message may have been at the
/// inbox when the copy was frozen: that session is another.
const OPEN: &str =
    "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND xact_start IS NOT NULL
    AND application_name LIKE 'tpro/rogue/1/%' AND query LIKE '/* hold */%'";

/// A message whose handler has had its effect and waits for its next statement, in a copy that stands still; its id, that
/// copy, and another one that can work.
async fn frozen_in_its_transaction(
    world: &World,
    budget: i32,
) -> Outcome<(i64, Arc<SidecarProcess>, Arc<SidecarProcess>)> {
    // Its run is cut off where nobody sees it, and so is no SERVER span of one that counts.
    let first = Rogue::copy(world, 1)?.without("OTEL_EXPORTER_OTLP_ENDPOINT");
    let first = world.start(first).await?;
    let hold = Rogue::hold(world).await?;
    let request = Rogue::request("transactional.effect", Rogue::held()).timeout(budget);
    let id = world.publish(&request).await?;
    Rogue::waiting(world, 1).await?;
    first.signal(Signal::STOP)?;
    drop(hold);
    eventually("its session is idle in its transaction", async || {
        let idle = format!(
            "SELECT count(*) FROM ({OPEN}) AS open JOIN pg_stat_activity USING (pid) WHERE state = 'idle in transaction'"
        );
        Ok(world.count(&idle).await? == 1)
    })
    .await?;
    let second = world.start(Rogue::copy(world, 2)?).await?;
    Ok((id, first, second))
}

/// Waits until a copy has had the message, and has seen that another one is at work on it.
async fn at_work_elsewhere(copy: &SidecarProcess) -> Outcome {
    eventually("the other copy says that it is at work", async || {
        Ok(copy.metric_of("tpro_not_run_total", r#"reason="working""#).await? > 0.0)
    })
    .await
}

/// Waits until a copy has no handler at work.
async fn idle(copy: &SidecarProcess) -> Outcome {
    eventually("its late work is over", async || Ok(copy.metric("tpro_handlers_at_work").await? == 0.0)).await
}
