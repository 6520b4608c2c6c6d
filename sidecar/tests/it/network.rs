//! The network between a copy and NATS: gone, or silent.

use std::time::Instant;

use serde_json::json;
use tpro_testkit::proxy::Fault;
use tpro_testkit::{Message, Outcome, Proxy, Sidecar, SidecarProcess, World, eventually};

use crate::answerer::Answerer;
use crate::rogue::Rogue;

#[tpro_testkit::test]
async fn while_nats_is_down_rows_wait_and_no_attempt_is_burnt() -> Outcome {
    let world = Rogue::world().await?;
    let line = Proxy::start(world.nats.port()).await?;
    let main = world.start(through(&line, world.sidecar("main")?)).await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    world.ask(&Rogue::request("default.echo", json!({}))).await?.ok()?;

    world.nats.kill().await?;
    for copy in [&main, &rogue] {
        not_ready(copy).await?;
        assert_eq!(copy.get("/healthz").await?.status, 200);
        eventually("the disconnect is counted", async || {
            Ok(copy.metric("tpro_nats_disconnects_total").await? > 0.0)
        })
        .await?;
    }
    let sent = main.metric("tpro_sent_total").await?;
    Rogue::request("transactional.effect", json!({})).timeout(60).publish_many(&world.main, 300).await?;

    // Who serves comes back first: who sends would find nobody, which costs an attempt.
    line.set(Fault::Reset);
    world.nats.start().await?;
    rogue.ready().await?;
    assert_eq!(main.metric("tpro_sent_total").await?, sent, "nothing is sent into nothing");
    line.set(Fault::None);
    main.ready().await?;

    world.recon().await?;
    for reply in world.replies("main").await? {
        assert_eq!((reply.status.as_str(), reply.attempts), ("ok", 1), "{reply:?}");
    }
    assert_eq!(Rogue::effects(&world).await?, 300);
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_black_hole_towards_nats_is_noticed_and_the_dispatcher_stops_sending() -> Outcome {
    let world = World::new().await?;
    let answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    let line = Proxy::start(world.nats.port()).await?;
    let main = world.start(through(&line, world.sidecar("main")?.env("ATTEMPT_TIMEOUT_MS", 5_000))).await?;
    let request = Message::to("old.thing.ask").protocol("json").timeout(120);
    world.ask(&request).await?.ok()?;

    line.set(Fault::BlackHole);
    let begun = Instant::now();
    // These are sent before anybody can know.
    request.publish_many(&world.main, 10).await?;
    not_ready(&main).await?;
    println!(
        "figure: a black hole towards NATS was noticed after {} ms (3 ping intervals are 6,000 ms)",
        begun.elapsed().as_millis()
    );
    assert_eq!(main.get("/healthz").await?.status, 200);
    assert_eq!(answerer.taken(), 1, "the hole is one");

    let sent = main.metric("tpro_sent_total").await?;
    assert!(sent > 1.0, "the first ten were sent");
    request.publish_many(&world.main, 200).await?;
    // Long after it would have sent them: without NATS for ten seconds it leads no more.
    eventually("it lets another copy lead", async || Ok(main.metric("tpro_leading").await? == 0.0)).await?;
    assert_eq!(main.metric("tpro_sent_total").await?, sent, "rows wait");
    assert_eq!(world.count("SELECT count(*) FROM main_service.mq_reply").await?, 1);

    heal(&line);
    main.ready().await?;
    world.recon().await?;
    let replies = world.replies("main").await?;
    assert!(replies.iter().all(|reply| reply.status == "ok"), "{replies:?}");
    assert!(
        replies[11..].iter().all(|reply| reply.attempts == 1),
        "what waited burnt no attempt: {replies:?}"
    );
    assert_eq!(main.metric("tpro_nats_disconnects_total").await?, 1.0);
    world.finish(&[&main]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn what_is_sent_to_a_copy_behind_a_black_hole_is_done_by_another() -> Outcome {
    let world = Rogue::world().await?;
    let line = Proxy::start(world.nats.port()).await?;
    let main = world.start(world.sidecar("main")?.env("ATTEMPT_TIMEOUT_MS", 500)).await?;
    let lost = world.start(through(&line, Rogue::copy(&world, 1)?)).await?;
    let other = world.start(Rogue::copy(&world, 2)?).await?;

    line.set(Fault::BlackHole);
    let begun = Instant::now();
    Rogue::request("transactional.effect", json!({})).timeout(60).publish_many(&world.main, 200).await?;
    world.recon().await?;
    let replies = world.replies("main").await?;
    assert!(replies.iter().all(|reply| reply.status == "ok" && reply.copy() == "2"), "{replies:?}");
    let again = replies.iter().filter(|reply| reply.attempts > 1).count();
    assert!(again > 0, "some went into the hole first");
    assert!(main.metric("tpro_silent_total").await? >= again as f64, "nobody answered there");
    assert_eq!(lost.metric("tpro_received_total").await?, 0.0, "and nobody heard them");
    println!(
        "figure: {again} of 200 messages went into the black hole first; all were done after {} ms",
        begun.elapsed().as_millis()
    );
    not_ready(&lost).await?;
    assert_eq!(lost.get("/healthz").await?.status, 200);

    heal(&line);
    lost.ready().await?;
    assert_eq!(Rogue::effects(&world).await?, 200);
    world.finish(&[&main, &lost, &other]).await?;
    Ok(())
}

/// A copy whose way to NATS leads over this line.
pub fn through(line: &Proxy, sidecar: Sidecar) -> Sidecar {
    sidecar.env("NATS_URL", format!("nats://127.0.0.1:{}", line.port()))
}

/// Ends a black hole. What was swallowed is missing in the middle of the streams, so that no connection is worth keeping.
fn heal(line: &Proxy) {
    line.set(Fault::Reset);
    line.set(Fault::None);
}

/// Waits until the copy says that NATS is missing, for far less than the three minutes that the NATS client takes by itself.
async fn not_ready(copy: &SidecarProcess) -> Outcome {
    eventually("it says that NATS is missing", async || {
        let Ok(ready) = copy.get("/readyz").await else { return Ok(false) };
        Ok(ready.status == 503 && ready.body.contains("nats"))
    })
    .await
}
