//! Copies whose handlers wait for one of few connections.

use serde_json::json;
use tpro_testkit::{Message, Outcome, World};

use crate::probe::Probe;

/// Publishes so many requests of so many milliseconds, which hold a connection all the time, and says how many attempts there were
/// for each.
async fn attempts_for_each(world: &World, method: &str, count: i32, pause_ms: u32) -> Outcome<f64> {
    let sent = "SELECT coalesce(sum(attempts), 0) FROM main_service.mq_reply";
    let before = world.count(sent).await?;
    let settled = world.replies("main").await?.len();
    let request: Message = Probe::request(method, json!({"pause": pause_ms})).timeout(600);
    request.publish_many(&world.main, count).await?;
    world.recon().await?;
    let replies = world.replies("main").await?;
    assert!(replies.iter().all(|reply| reply.status == "ok"));
    assert_eq!(replies.len() - settled, usize::try_from(count)?);
    let attempts = world.count(sent).await? - before;
    println!("figure: {count} messages of {pause_ms} ms to {method} were sent {attempts} times");
    Ok(attempts as f64 / f64::from(count))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_in_a_copy_for_a_connection_is_not_sent_again() -> Outcome {
    let world = Probe::world().await?;
    // The last of those that a copy takes waits for four times as long as a requester has patience.
    let main = world.start(world.sidecar("main")?.env("ATTEMPT_TIMEOUT_MS", 1_000)).await?;
    let probe = Probe::copy(&world, 1)?.env("ATTEMPT_TIMEOUT_MS", 1_000).env("DB_POOL_MAX", 2);
    let probe = world.start(probe.env("HANDLERS_MAX", 64)).await?;
    for method in ["transactional.effect", "default.tx"] {
        let each = attempts_for_each(&world, method, 100, 120).await?;
        // What is more than it takes is refused until it is known what it takes.
        assert!(each <= 2.0, "{method}: {each} attempts for each message");
    }
    let silent = main.metric("tpro_silent_total").await?;
    assert!(silent <= 20.0, "{silent} attempts were given up");
    assert_eq!(Probe::effects(&world).await?, 200);
    world.finish(&[&main, &probe]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "slow: make faults"]
async fn with_the_defaults_messages_of_a_fifth_of_a_second_are_sent_hardly_more_than_once() -> Outcome {
    let world = Probe::world().await?;
    let main = world.run("main").await?;
    let probe = world.start(Probe::copy(&world, 1)?).await?;
    for method in ["transactional.effect", "default.tx"] {
        let each = attempts_for_each(&world, method, 1_500, 200).await?;
        assert!(each <= 1.3, "{method}: {each} attempts for each message");
    }
    assert_eq!(Probe::effects(&world).await?, 3_000);
    world.finish(&[&main, &probe]).await?;
    Ok(())
}
