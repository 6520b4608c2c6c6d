//! Copies whose handlers wait for one of few connections.

use futures_util::StreamExt;
use serde_json::json;
use tpro_testkit::{Context, Message, Outcome, World, eventually};

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
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_has_taken_is_not_sent_in_the_last_moment_of_its_budget() -> Outcome {
    // What an attempt says of its budget is as exact as the machine is quick; half of the 50 ms is for that.
    const LEAST_MS: u64 = 25;
    let world = Probe::world().await?;
    let main = world.run("main").await?;
    let probe = world.start(Probe::copy(&world, 1)?.env("HANDLERS_MAX", 1)).await?;
    // Somebody else hears each attempt, and what is left of the budget by then.
    let listener = world.nats.client().await?;
    let mut attempts = listener.subscribe("tpro.probe.>").await?;
    listener.flush().await?;
    let hold = Probe::hold(&world).await?;
    world.publish(&Probe::request("default.effect", Probe::held()).timeout(600)).await?;
    Probe::waiting(&world, 1).await?;
    Probe::request("default.effect", json!({})).timeout(1).publish_many(&world.main, 40).await?;
    let ended = "SELECT count(*) FROM main_service.mq_reply WHERE status = 'unavailable'";
    eventually("nobody has taken them", async || Ok(world.count(ended).await? == 40)).await?;
    drop(hold);
    world.recon().await?;
    listener.publish("tpro.probe.end.of_this", "".into()).await?;
    let mut refused = 0;
    while let Some(attempt) = attempts.next().await {
        if attempt.subject.as_str() == "tpro.probe.end.of_this" {
            break;
        }
        let headers = attempt.headers.unwrap_or_default();
        let left: u64 = headers.get("Tpro-Budget-Ms").context("it has a budget")?.as_str().parse()?;
        assert!(left >= LEAST_MS, "an attempt was made {left} ms before the end");
        refused += 1;
    }
    assert!(refused > 41, "they were tried again");
    world.finish(&[&main, &probe]).await?;
    Ok(())
}
