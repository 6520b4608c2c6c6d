//! The leader's session is dead and does not say so: a network that swallows everything, a backend that stands still, a
//! leader that stands still for long.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use serde_json::json;
use tpro_testkit::proxy::Fault;
use tpro_testkit::{
    Context as _, Message, Outcome, Postgres, Proxy, SidecarProcess, Signal, Times, World, eventually, listen,
};

use crate::answerer::Answerer;
use crate::commits::hold_replies;
use crate::commits::through;
use crate::copies::leader;
use crate::rogue::Rogue;

#[tpro_testkit::test]
async fn a_leader_behind_a_black_hole_gives_way_to_another_copy() -> Outcome {
    let world = World::new().await?;
    let _answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    let proxy = Proxy::start(world.database.cluster().port()).await?;
    let first = world.start(through(&world, &proxy)?).await?;
    assert_eq!(leader(&world).await?, 1);
    let second = world.start(world.sidecar("main")?.copy(2)).await?;
    let request = Message::to("old.thing.ask").protocol("json").timeout(60);
    world.ask(&request).await?.ok()?;

    let mut times = Times::of("from a black hole towards PostgreSQL to the next reply");
    let begun = Instant::now();
    proxy.set(Fault::BlackHole);
    let id = world.publish(&request).await?;
    world.await_reply(id).await?.ok()?;
    times.add(begun.elapsed());
    times.report();
    assert_eq!(leader(&world).await?, 2);
    eventually("the cut off copy says so", async || {
        let ready = first.get("/readyz").await?;
        Ok(ready.status == 503 && ready.body.contains("dispatcher"))
    })
    .await?;
    assert_eq!(first.metric("tpro_leading").await?, 0.0);

    // What came through the hole is lost; the connections begin anew.
    proxy.set(Fault::Reset);
    eventually("the connections are gone", async || Ok(proxy.open() == 0)).await?;
    proxy.set(Fault::None);
    first.ready().await?;
    world.ask(&request).await?.ok()?;
    assert_eq!(leader(&world).await?, 2, "it follows");
    world.finish(&[&first, &second]).await?;
    Ok(())
}

/// The backend of the leader of `main` is stopped, at rest or at work.
async fn stopped_backend(at_work: bool) -> Outcome {
    let cluster = Postgres::own().start().await?;
    let world = World::options().services(&["main"]).cluster(cluster.clone()).start().await?;
    let _answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    let copies =
        [world.start(world.sidecar("main")?).await?, world.start(world.sidecar("main")?.copy(2)).await?];
    let request = Message::to("old.thing.ask").protocol("json").timeout(120);
    world.ask(&request).await?.ok()?;
    let backend = "SELECT leader_pid FROM tpro.services WHERE name = 'main'";
    let backend: i32 = world.admin.query_one(backend, &[]).await?.get(0);
    let state = format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {backend} AND state = ");
    if at_work {
        // It is stopped in the middle of a statement.
        let hold = hold_replies(&world).await?;
        assert_eq!(world.publish(&request).await?, 2);
        let waits = format!("{state} 'active' AND wait_event = 'PgSleep'");
        eventually("it is at work", async || Ok(world.count(&waits).await? == 1)).await?;
        cluster.signal_backend(backend, Signal::STOP)?;
        drop(hold);
    } else {
        cluster.signal_backend(backend, Signal::STOP)?;
    }
    let id = world.publish(&request).await?;
    for copy in &copies {
        let name = copy.process().name();
        eventually(&format!("{name} says that the leader's backend is frozen"), async || {
            let ready = copy.get("/readyz").await?;
            Ok(ready.status == 503 && ready.body.contains("frozen"))
        })
        .await?;
        assert_eq!(copy.get("/healthz").await?.status, 200);
        assert_eq!(copy.metric("tpro_leading").await?, 0.0);
    }
    let unsettled = "SELECT count(*) FROM main_service.mq_reply";
    assert_eq!(world.count(unsettled).await?, 1, "nobody can lead");

    let mut times = Times::of("from SIGCONT of the leader's backend to the next reply");
    let begun = Instant::now();
    cluster.signal_backend(backend, Signal::CONT)?;
    world.await_reply(id).await?.ok()?;
    times.add(begun.elapsed());
    times.report();
    // A trigger that is not of tpro keeps a copy from being ready.
    world.drop_trigger("held", "main_service.mq_reply").await?;
    for copy in &copies {
        copy.ready().await?;
    }
    world.finish(&[&copies[0], &copies[1]]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn followers_say_that_the_leaders_backend_stands_still_and_go_on_with_it() -> Outcome {
    stopped_backend(false).await
}

#[tpro_testkit::test]
async fn a_backend_that_stands_still_in_a_statement_is_seen_too() -> Outcome {
    stopped_backend(true).await
}

/// How long a leader stands still, and a budget that ends sooner: but not so soon if it begins again with the next leader,
/// some 12 seconds later.
const STILL: Duration = Duration::from_secs(30);
const BUDGET: i32 = 26;

/// Waits until a copy has deposed another.
async fn has_deposed(copy: &Arc<SidecarProcess>) -> Outcome {
    eventually("the frozen leader is deposed", async || Ok(copy.metric("tpro_deposed_total").await? >= 1.0))
        .await
}

#[tpro_testkit::test]
#[ignore = "slow: make faults"]
async fn a_leader_that_stood_still_for_long_writes_nothing_when_it_wakes_up() -> Outcome {
    let world = Rogue::world().await?;
    let silent = world.nats.client().await?;
    let mut requests = listen(&silent, "tpro.old.thing.ask").await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    let first = world.start(world.sidecar("main")?).await?;
    assert_eq!(leader(&world).await?, 1);
    let second = world.start(world.sidecar("main")?.copy(2)).await?;
    let request = Rogue::request("transactional.effect", Rogue::held()).timeout(120);
    // It stands still with messages under way, and more of them to read.
    let hold = Rogue::hold(&world).await?;
    request.publish_many(&world.main, 5).await?;
    Rogue::waiting(&world, 5).await?;
    // One is not answered for so long that its budget is over for the one that will wake up, and not for its successor,
    // which gives it a fresh one when it takes over.
    let open = world.publish(&Message::to("old.thing.ask").protocol("json").timeout(BUDGET)).await?;
    requests.next().await.context("it was sent")?;
    first.signal(Signal::STOP)?;
    let begun = Instant::now();
    Rogue::request("transactional.effect", json!({})).timeout(120).publish_many(&world.main, 200).await?;
    has_deposed(&second).await?;
    drop(hold);
    eventually("all but one are settled", async || Ok(world.replies("main").await?.len() == 205)).await?;
    let settled = world.replies("main").await?;
    assert!(settled.iter().all(|reply| reply.status == "ok"));
    // The rest of the half minute: the fault itself, not a wait for something.
    tokio::time::sleep(STILL.saturating_sub(begun.elapsed())).await;

    first.signal(Signal::CONT)?;
    eventually("it has seen that it leads no more", async || Ok(first.metric("tpro_leading").await? == 0.0))
        .await?;
    first.ready().await?;
    assert_eq!(world.replies("main").await?.len(), settled.len(), "it has written what is not its to write");
    // Its successor still waits for the answer.
    let answers = tokio::spawn(async move {
        while let Some(request) = requests.next().await {
            if let Some(reply) = request.reply {
                silent.publish(reply, "{}".into()).await?;
            }
        }
        Outcome::Ok(())
    });
    assert_eq!(world.await_reply(open).await?.status, "ok");
    answers.abort();
    assert_eq!(Rogue::effects(&world).await?, 205);
    assert_eq!(leader(&world).await?, 2, "it follows");
    second.stop().await?;
    world.ask(&Rogue::request("transactional.effect", json!({}))).await?.ok()?;
    assert_eq!(leader(&world).await?, 1, "and leads again, without having been started again");
    world.finish(&[&first, &rogue]).await?;
    Ok(())
}
