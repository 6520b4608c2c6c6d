//! Sessions that are terminated, five a second, under load.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio_postgres::Client;
use tpro_testkit::{Outcome, Times, World};

use crate::rogue::Rogue;

/// How long it lasts.
const STORM: Duration = Duration::from_secs(30);
/// Between two terminations.
const PAUSE: Duration = Duration::from_millis(200);
/// Publishing sessions.
const PUBLISHERS: usize = 4;

const TERMINATE: &str = "SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity
    WHERE datname = current_database() AND application_name LIKE $1 ORDER BY random() LIMIT 1) one";

/// Publishes until it is told to stop, about a hundred a second; how many there were.
async fn publish(session: Client, over: Arc<AtomicBool>) -> Outcome<i64> {
    let request = Rogue::request("transactional.effect", json!({})).timeout(120);
    let mut published = 0;
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    while !over.load(Ordering::SeqCst) {
        ticks.tick().await;
        request.publish(&session).await?;
        published += 1;
    }
    Ok(published)
}

/// How long a message takes, two hundred times.
async fn round_trips(world: &World, what: &str) -> Outcome {
    let mut times = Times::of(format!("a round trip {what} sessions are terminated"));
    for _ in 0..200 {
        let begun = Instant::now();
        world.ask(&Rogue::request("transactional.effect", json!({})).timeout(120)).await?.ok()?;
        times.add(begun.elapsed());
    }
    times.report();
    Ok(())
}

#[tpro_testkit::test]
#[ignore = "slow: make faults"]
async fn five_terminations_a_second_lose_nothing() -> Outcome {
    let world = Rogue::world().await?;
    let mut copies = Vec::new();
    for number in 1..=2 {
        let main = world.sidecar("main")?.copy(number).env("ATTEMPT_TIMEOUT_MS", 500);
        copies.push(world.start(main).await?);
        copies.push(world.start(Rogue::copy(&world, number)?).await?);
    }
    round_trips(&world, "before").await?;

    let over = Arc::new(AtomicBool::new(false));
    let mut publishers = Vec::new();
    for _ in 0..PUBLISHERS {
        publishers.push(tokio::spawn(publish(world.database.connect_as("main").await?, over.clone())));
    }
    let begun = Instant::now();
    let mut terminated = 0;
    let mut ticks = tokio::time::interval(PAUSE);
    while begun.elapsed() < STORM {
        ticks.tick().await;
        // Of the many sessions few lead; those have their share.
        let whose = if terminated % 3 == 0 { "tpro/%/leader" } else { "tpro/%" };
        terminated += world.admin.query_one(TERMINATE, &[&whose]).await?.get::<_, i64>(0);
    }
    over.store(true, Ordering::SeqCst);
    let mut published = 200;
    for publisher in publishers {
        published += publisher.await??;
    }
    let drained = Instant::now();
    world.recon().await?;
    println!(
        "figure: {published} messages while {terminated} sessions were terminated; settled {:.1} s after the last",
        drained.elapsed().as_secs_f64()
    );
    assert!(terminated >= 100, "{terminated}");
    let mut takeovers = 0.0;
    for copy in &copies {
        takeovers += copy.metric("tpro_takeovers_total").await?;
    }
    assert!(takeovers > 10.0, "the leaders were among them: {takeovers}");
    let other = "SELECT count(*) FROM main_service.mq_reply WHERE status <> 'ok'";
    assert_eq!(world.count(other).await?, 0);

    for copy in &copies {
        copy.ready().await?;
    }
    round_trips(&world, "after").await?;
    assert_eq!(Rogue::effects(&world).await?, published + 200);
    world.finish(&copies.iter().collect::<Vec<_>>()).await?;
    Ok(())
}
