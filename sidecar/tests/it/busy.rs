//! Copies whose handlers wait for one of few connections.

use std::time::Duration;

use async_nats::{HeaderMap, Message};
use futures_util::StreamExt;
use serde_json::json;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinSet;
use tpro_testkit::{Message as Row, Outcome, World, listen};

use crate::rogue::Rogue;

/// Publishes so many requests of so many milliseconds, which hold a connection all the time, and says how many attempts there were
/// for each.
async fn attempts_for_each(world: &World, method: &str, count: i32, pause_ms: u32) -> Outcome<f64> {
    let sent = "SELECT coalesce(sum(attempts), 0) FROM main_service.mq_reply";
    let before = world.count(sent).await?;
    let settled = world.replies("main").await?.len();
    let request: Row = Rogue::request(method, json!({"pause": pause_ms})).timeout(600);
    request.publish_many(&world.main, count).await?;
    world.recon().await?;
    let replies = world.replies("main").await?;
    assert!(replies.iter().all(|reply| reply.status == "ok"));
    assert_eq!(replies.len() - settled, usize::try_from(count)?);
    let attempts = world.count(sent).await? - before;
    println!("figure: {count} messages of {pause_ms} ms to {method} were sent {attempts} times");
    Ok(attempts as f64 / f64::from(count))
}

#[tpro_testkit::test]
async fn what_waits_in_a_copy_for_a_connection_is_not_sent_again() -> Outcome {
    let world = Rogue::world().await?;
    // The last of those that a copy takes waits for four times as long as a requester has patience.
    let main = world.start(world.sidecar("main")?.env("ATTEMPT_TIMEOUT_MS", 1_000)).await?;
    let rogue = Rogue::copy(&world, 1)?.env("ATTEMPT_TIMEOUT_MS", 1_000).env("DB_POOL_MAX", 2);
    let rogue = world.start(rogue.env("HANDLERS_MAX", 64)).await?;
    for method in ["transactional.effect", "default.tx"] {
        let each = attempts_for_each(&world, method, 100, 120).await?;
        // What is more than it takes is refused until it is known what it takes.
        assert!(each <= 2.0, "{method}: {each} attempts for each message");
    }
    let silent = main.metric("tpro_silent_total").await?;
    assert!(silent <= 20.0, "{silent} attempts were given up");
    assert_eq!(Rogue::effects(&world).await?, 200);
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}

#[tpro_testkit::test]
#[ignore = "slow: make faults"]
async fn with_the_defaults_messages_of_a_fifth_of_a_second_are_sent_hardly_more_than_once() -> Outcome {
    let world = Rogue::world().await?;
    let main = world.run("main").await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    for method in ["transactional.effect", "default.tx"] {
        let each = attempts_for_each(&world, method, 1_500, 200).await?;
        assert!(each <= 1.3, "{method}: {each} attempts for each message");
    }
    assert_eq!(Rogue::effects(&world).await?, 3_000);
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}

/// A copy that has room for one kind of message and none for the other. It says what is left of the budgets of those it refuses.
async fn picky(world: &World) -> Outcome<(JoinSet<()>, UnboundedReceiver<u64>)> {
    let client = world.nats.client().await?;
    let mut taken = listen(&client, "tpro.picky.thing.answer").await?;
    let mut refused = listen(&client, "tpro.picky.thing.refuse").await?;
    let (sees, seen) = unbounded_channel();
    let mut tasks = JoinSet::new();
    let headers = HeaderMap::from_iter([("Tpro-Responder".parse()?, "picky/1/1".parse()?)]);
    let (answers, back) = (client.clone(), headers.clone());
    tasks.spawn(async move {
        while let Some(Message { reply: Some(reply), headers: Some(asked), .. }) = taken.next().await {
            let id = asked.get("Nats-Msg-Id").map(ToString::to_string);
            let answer = json!({"jsonrpc": "2.0", "id": id, "result": 1}).to_string();
            let _ = answers.publish_with_headers(reply, back.clone(), answer.into()).await;
            // Its answers last longer than the budgets of the others.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    let mut back = headers;
    back.insert("Tpro-State", "overloaded");
    tasks.spawn(async move {
        while let Some(Message { reply: Some(reply), headers: Some(asked), .. }) = refused.next().await {
            let left = asked.get("Tpro-Budget-Ms").and_then(|left| left.as_str().parse().ok());
            // The test may be over.
            let _ = sees.send(left.unwrap_or_default());
            let _ = client.publish_with_headers(reply, back.clone(), "".into()).await;
        }
    });
    Ok((tasks, seen))
}

#[tpro_testkit::test]
async fn what_nobody_has_taken_is_not_sent_in_the_last_moment_of_its_budget() -> Outcome {
    // Each answer lets one of those that are refused try again, so that they try all the time.
    const ANSWERS: i32 = 1_500;
    const REFUSED: i32 = 4;
    let world = World::new().await?;
    let main = world.run("main").await?;
    let (_copy, mut seen) = picky(&world).await?;
    let (mut late, mut just_before) = (0, 0);
    let mut rounds = 0;
    while just_before < 40 {
        rounds += 1;
        assert!(rounds < 20, "{just_before} attempts just before the last moment");
        Row::to("picky.thing.refuse").timeout(1).publish_many(&world.main, REFUSED).await?;
        Row::to("picky.thing.answer").timeout(120).publish_many(&world.main, ANSWERS).await?;
        world.recon().await?;
        while let Ok(left) = seen.try_recv() {
            match left {
                // The moment is 50 ms; between the decision and the message the machine may do something else.
                0..25 => late += 1,
                50..150 => just_before += 1,
                _ => {}
            }
        }
    }
    println!("figure: {just_before} attempts just before, {late} in the last 25 ms");
    assert!(10 * late < just_before, "{late} attempts in the last 25 ms, {just_before} before");
    world.finish(&[&main]).await?;
    Ok(())
}
