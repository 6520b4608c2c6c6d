//! More than a copy can take.

use serde_json::json;
use tpro_testkit::{Outcome, SidecarProcess, eventually};

use crate::probe::Probe;

/// What a copy may hold in memory, in kB, while it is flooded.
const MOST_KB: u64 = 512 << 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_slow_copy_refuses_is_sent_again_and_counted_on_both_sides() -> Outcome {
    let world = Probe::world().await?;
    let main = world.start(world.sidecar("main")?.env("ATTEMPT_TIMEOUT_MS", 60_000)).await?;
    let probe = world.start(Probe::copy(&world, 1)?.env("HANDLERS_MAX", 2)).await?;
    let hold = Probe::hold(&world).await?;
    // Two that hold all there is, and then more than comes through.
    Probe::request("default.effect", Probe::held()).timeout(60).publish_many(&world.main, 2).await?;
    Probe::waiting(&world, 2).await?;
    Probe::request("default.effect", json!({})).timeout(60).publish_many(&world.main, 300).await?;
    eventually("it has refused some", async || {
        Ok(probe.metric_of("tpro_not_run_total", r#"reason="overloaded""#).await? > 0.0)
    })
    .await?;
    drop(hold);
    world.recon().await?;
    for reply in world.replies("main").await? {
        assert_eq!(reply.status, "ok", "{reply:?}");
    }
    assert_eq!(Probe::effects(&world).await?, 302);
    let refused = probe.metric_of("tpro_not_run_total", r#"reason="overloaded""#).await?;
    assert_eq!(main.metric_of("tpro_refused_total", r#"reason="overloaded""#).await?, refused);
    assert_eq!(
        main.metric("tpro_resent_total").await?,
        refused,
        "what was refused was sent again, and nothing else"
    );
    world.finish(&[&main, &probe]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "slow: make faults"]
async fn what_a_copy_drops_before_it_can_read_it_is_sent_again() -> Outcome {
    const MESSAGES: i32 = 12_000;
    let world = Probe::world().await?;
    let main = world.sidecar("main")?.env("LANE_MAX", 20_000).env("IN_FLIGHT_MAX", 20_000);
    let main = world.start(main.env("ATTEMPT_TIMEOUT_MS", 20_000)).await?;
    // With so many answers the dispatcher has learnt to have that many in flight. Then it takes nothing for a while, so
    // that its client has to drop what does not fit.
    let stall = format!("subscriber.stall_ms={MESSAGES}*off->1*return(15000)");
    let probe = Probe::copy(&world, 1)?.env("FAILPOINTS", stall).env("HANDLERS_MAX", 20_000);
    let probe = world.start(probe).await?;
    Probe::request("stateless.echo", json!({})).timeout(120).publish_many(&world.main, MESSAGES).await?;
    world.recon().await?;
    assert_eq!(probe.metric("tpro_received_total").await?, f64::from(MESSAGES));
    Probe::request("stateless.echo", json!({})).timeout(120).publish_many(&world.main, MESSAGES).await?;
    world.recon().await?;
    assert!(world.replies("main").await?.iter().all(|reply| reply.status == "ok"));

    let sent = main.metric("tpro_sent_total").await?;
    let dropped = sent - probe.metric("tpro_received_total").await?;
    let counted = probe.metric("tpro_nats_slow_consumer_total").await?;
    let overloaded = probe.metric_of("tpro_not_run_total", r#"reason="overloaded""#).await?;
    println!(
        "figure: of {MESSAGES} messages {dropped} were dropped, {counted} drops were heard of, {overloaded} refused"
    );
    assert!(dropped > 0.0 && counted > 0.0 && counted <= dropped, "{dropped} dropped, {counted} counted");
    assert_eq!(sent - f64::from(2 * MESSAGES), main.metric("tpro_resent_total").await?);
    assert_eq!(main.metric("tpro_silent_total").await?, dropped, "what was dropped was sent again");
    assert_eq!(main.metric("tpro_refused_total").await?, overloaded);
    for copy in [&main, &probe] {
        let most = peak_kb(copy)?;
        println!(
            "figure: {} had at most {most} kB of memory in a flood of {MESSAGES}",
            copy.process().name()
        );
        assert!(most < MOST_KB, "{most} kB");
    }
    world.finish(&[&main, &probe]).await?;
    Ok(())
}

/// The most memory the process had so far.
fn peak_kb(copy: &SidecarProcess) -> Outcome<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", copy.process().pid()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}
