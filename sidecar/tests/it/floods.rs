//! More than a copy can take.

use std::time::{Duration, Instant};

use serde_json::json;
use tpro_testkit::times::Times;
use tpro_testkit::{Message, Outcome, SidecarProcess, World, eventually, paths};

use crate::answerer::Answerer;
use crate::rogue::Rogue;

/// What a copy may hold in memory, in kB, while it is flooded: three times what an idle one has.
const MOST_KB: u64 = 128 << 10;

#[tpro_testkit::test]
async fn what_a_slow_copy_refuses_is_sent_again_and_counted_on_both_sides() -> Outcome {
    let world = Rogue::world().await?;
    let main = world.start(world.sidecar("main")?.env("ATTEMPT_TIMEOUT_MS", 60_000)).await?;
    let rogue = world.start(Rogue::copy(&world, 1)?.env("HANDLERS_MAX", 2)).await?;
    let hold = Rogue::hold(&world).await?;
    // Two that hold all there is, and then more than comes through.
    Rogue::request("default.effect", Rogue::held()).timeout(60).publish_many(&world.main, 2).await?;
    Rogue::waiting(&world, 2).await?;
    Rogue::request("default.effect", json!({})).timeout(60).publish_many(&world.main, 300).await?;
    eventually("it has refused some", async || {
        Ok(rogue.metric_of("tpro_not_run_total", r#"reason="overloaded""#).await? > 0.0)
    })
    .await?;
    drop(hold);
    world.recon().await?;
    for reply in world.replies("main").await? {
        assert_eq!(reply.status, "ok", "{reply:?}");
    }
    assert_eq!(Rogue::effects(&world).await?, 302);
    let refused = rogue.metric_of("tpro_not_run_total", r#"reason="overloaded""#).await?;
    assert_eq!(main.metric_of("tpro_refused_total", r#"reason="overloaded""#).await?, refused);
    assert_eq!(
        main.metric("tpro_resent_total").await?,
        refused,
        "what was refused was sent again, and nothing else"
    );
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn large_bodies_for_a_service_that_nobody_runs_hold_up_no_other() -> Outcome {
    // Less than three pages, and more bytes than may be held.
    const MESSAGES: i32 = 1_400;
    let world = World::options().services(&["main"]).start().await?;
    let answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    let main = world.start(world.sidecar("main")?.env("IN_FLIGHT_MAX_MB", 1)).await?;
    let dead = Message::to("dead.thing.ask").protocol("json").timeout(3_600);
    dead.clone().body(json!({"ballast": "x".repeat(2_000)})).publish_many(&world.main, MESSAGES).await?;
    let waiting = format!("{MESSAGES} rows are known, and most of them wait");
    eventually(&waiting, async || {
        let unsettled = main.metric("tpro_unsettled").await?;
        Ok(unsettled == f64::from(MESSAGES) && main.metric("tpro_waiting").await? > unsettled / 2.0)
    })
    .await?;
    let reads = main.metric_of("tpro_reads_total", r#"reason="fetch""#).await?;
    for _ in 0..20 {
        world.ask(&Message::to("old.thing.ask").protocol("json")).await?.ok()?;
    }
    assert_eq!(answerer.taken(), 20);
    let fetched = main.metric_of("tpro_reads_total", r#"reason="fetch""#).await? - reads;
    assert!(main.metric("tpro_reads_total").await? >= 3.0, "reads are counted");
    assert!(fetched <= 20.0, "what there is no room for is not read again and again: {fetched} times");

    let _risen = Answerer::echo(&world.nats, "tpro.dead.thing.ask").await?;
    world.finish(&[&main]).await?;
    Ok(())
}

#[tpro_testkit::test]
#[ignore = "slow: make faults"]
async fn a_flood_of_large_bodies_is_never_in_memory_at_once() -> Outcome {
    const MESSAGES: i32 = 5_000;
    const BYTES: usize = 40_000;
    let world = Rogue::world().await?;
    let main = world.start(world.sidecar("main")?.env("ATTEMPT_TIMEOUT_MS", 60_000)).await?;
    let rogue = world.start(Rogue::copy(&world, 1)?.env("HANDLERS_MAX", 8)).await?;
    let hold = Rogue::hold(&world).await?;
    Rogue::request("default.effect", Rogue::held()).timeout(600).publish_many(&world.main, 8).await?;
    Rogue::waiting(&world, 8).await?;
    let large = json!({"ballast": "x".repeat(BYTES)});
    Rogue::request("default.effect", large).timeout(600).publish_many(&world.main, MESSAGES).await?;
    let refused = async || rogue.metric_of("tpro_not_run_total", r#"reason="overloaded""#).await;
    eventually("it refuses them again and again", async || Ok(refused().await? >= 100.0)).await?;
    drop(hold);
    world.recon().await?;
    assert_eq!(Rogue::effects(&world).await?, i64::from(MESSAGES) + 8);
    for copy in [&main, &rogue] {
        let (name, most) = (copy.process().name(), peak_kb(copy)?);
        println!(
            "figure: {name} had at most {most} kB of memory in a flood of {MESSAGES} bodies of {BYTES} bytes"
        );
        assert!(most < MOST_KB, "{name} had {most} kB");
    }
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}

#[tpro_testkit::test]
#[ignore = "slow: make faults"]
async fn what_a_copy_drops_before_it_can_read_it_is_sent_again() -> Outcome {
    const MESSAGES: i32 = 12_000;
    const FIRST: i32 = 20_000;
    let world = Rogue::world().await?;
    let main = world.sidecar("main")?.env("LANE_MAX", 20_000).env("IN_FLIGHT_MAX", 20_000);
    let main = world.start(main.env("ATTEMPT_TIMEOUT_MS", 20_000)).await?;
    // It takes its time and any number at once, from which the dispatcher learns to have that many in flight. Then it takes nothing
    // for a while, so that its client has to drop what does not fit.
    let stall = format!("subscriber.stall_ms={FIRST}*off->1*return(15000)");
    let rogue = Rogue::copy(&world, 1)?.env("FAILPOINTS", stall).env("HANDLERS_MAX", 20_000);
    let rogue = world.start(rogue).await?;
    Rogue::request("stateless.pause", json!({"pause": 700}))
        .timeout(120)
        .publish_many(&world.main, FIRST)
        .await?;
    world.recon().await?;
    assert_eq!(rogue.metric("tpro_received_total").await?, f64::from(FIRST));
    Rogue::request("stateless.echo", json!({})).timeout(120).publish_many(&world.main, MESSAGES).await?;
    world.recon().await?;
    assert!(world.replies("main").await?.iter().all(|reply| reply.status == "ok"));

    let sent = main.metric("tpro_sent_total").await?;
    let dropped = sent - rogue.metric("tpro_received_total").await?;
    let counted = rogue.metric("tpro_nats_slow_consumer_total").await?;
    let overloaded = rogue.metric_of("tpro_not_run_total", r#"reason="overloaded""#).await?;
    println!(
        "figure: of {MESSAGES} messages {dropped} were dropped, {counted} drops were heard of, {overloaded} refused"
    );
    assert!(dropped > 0.0 && counted > 0.0 && counted <= dropped, "{dropped} dropped, {counted} counted");
    assert_eq!(sent - f64::from(FIRST + MESSAGES), main.metric("tpro_resent_total").await?);
    assert_eq!(main.metric("tpro_silent_total").await?, dropped, "what was dropped was sent again");
    assert_eq!(main.metric("tpro_refused_total").await?, overloaded);
    for copy in [&main, &rogue] {
        let most = peak_kb(copy)?;
        println!(
            "figure: {} had at most {most} kB of memory in a flood of {MESSAGES}",
            copy.process().name()
        );
        assert!(most < MOST_KB, "{most} kB");
    }
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}

#[tpro_testkit::test]
#[ignore = "slow: make faults"]
async fn a_flood_of_one_service_is_felt_by_no_other() -> Outcome {
    const FLOOD: Duration = Duration::from_secs(60);
    let world = World::options().services(&["main", "rogue", "echo"]).start().await?;
    world.admin.batch_execute(Rogue::EFFECTS).await?;
    let main = world.run("main").await?;
    // One that can do no more than its one connection, and one that nobody floods.
    let flooded = Rogue::copy(&world, 1)?.env("HANDLERS_MAX", 8).env("DB_POOL_MAX", 1);
    let flooded = world.start(flooded).await?;
    let other = world.start(world.sidecar_of("echo", paths::rogue()?)).await?;
    let session = world.database.connect_as("main").await?;
    let ask = Message::to("echo.default.echo");
    let mut quiet = Times::of("one request to a service that nobody floods, before");
    times(&world, &ask, &mut quiet, 10).await?;

    let flooding = tokio::spawn(async move {
        // Ten of these a second are all it can do: each takes the one connection for a tenth of a second.
        let slow = Rogue::request("transactional.effect", json!({"pause": 100})).timeout(3);
        let begun = Instant::now();
        let mut published = 0;
        while begun.elapsed() < FLOOD {
            slow.publish_many(&session, 25).await?;
            published += 25;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok::<i64, tpro_testkit::Failure>(published)
    });
    let mut loud = Times::of("one request to a service that nobody floods, while another is flooded");
    times(&world, &ask, &mut loud, FLOOD.as_secs()).await?;
    let published = flooding.await??;
    quiet.report();
    loud.report();
    let refused = flooded.metric_of("tpro_not_run_total", r#"reason="overloaded""#).await?;
    let done = Rogue::effects(&world).await?;
    println!(
        "figure: in a flood of {published} messages in 60 s {done} were done, {refused} attempts were refused"
    );
    assert!(
        refused > 0.0 && done > 0 && published >= 10 * done,
        "{published} came, {done} were done: that is no flood"
    );
    // What waits goes as fast as its service works, for which the flooded copy would need long.
    flooded.stop().await?;
    let strong = Rogue::copy(&world, 2)?.env("HANDLERS_MAX", 40).env("DB_POOL_MAX", 40);
    let strong = world.start(strong).await?;
    world.recon().await?;
    let spoiled =
        "SELECT count(*) FROM main_service.mq_reply r JOIN main_service.mq_publish p ON p.id = r.mq_id
        WHERE p.service_name = 'echo' AND (r.status <> 'ok' OR r.attempts > 1)";
    assert_eq!(world.count(spoiled).await?, 0);
    world.finish(&[&main, &strong, &other]).await?;
    Ok(())
}

/// Asks one request after the other for so many seconds.
async fn times(world: &World, ask: &Message, times: &mut Times, seconds: u64) -> Outcome {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(seconds) {
        let asked = Instant::now();
        world.ask(ask).await?.ok()?;
        times.add(asked.elapsed());
    }
    Ok(())
}

/// The most memory the process had so far.
fn peak_kb(copy: &SidecarProcess) -> Outcome<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", copy.process().pid()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}
