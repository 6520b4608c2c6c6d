//! Messages of a high priority go ahead of the others to their service.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use async_nats::{Client, Message as Delivery, Subscriber};
use futures_util::StreamExt as _;
use serde_json::json;
use tpro_testkit::{Nats, Outcome, Sidecar, SidecarProcess, World, eventually, listen};

use crate::rogue::Rogue;

/// Messages in flight to one service at most.
const LANE: usize = 8;

/// A service that answers one message at a time, when it is told to.
struct Slow {
    client: Client,
    messages: Subscriber,
    held: VecDeque<Delivery>,
}

impl Slow {
    async fn start(nats: &Nats) -> Outcome<Slow> {
        let client = nats.client().await?;
        let messages = listen(&client, "tpro.old.thing.ask".to_owned()).await?;
        Ok(Slow { client, messages, held: VecDeque::new() })
    }

    /// Waits for the next message, and tells its priority.
    async fn takes(&mut self) -> Outcome<i64> {
        let message = self.messages.next().await.expect("it is subscribed");
        let body: serde_json::Value = serde_json::from_slice(&message.payload)?;
        self.held.push_back(message);
        Ok(body["priority"].as_i64().expect("it says its priority"))
    }

    /// Answers the one that it has held longest.
    async fn answers(&mut self) -> Outcome {
        let message = self.held.pop_front().expect("it holds one");
        let reply = message.reply.expect("somebody asks");
        self.client.publish(reply, "{}".into()).await?;
        Ok(())
    }

    /// Answers so many, one for each that comes; the priorities of those that came, in their order.
    async fn serves(&mut self, count: usize) -> Outcome<Vec<i64>> {
        let mut came = Vec::new();
        for _ in 0..count {
            self.answers().await?;
            came.push(self.takes().await?);
        }
        Ok(came)
    }
}

/// Publishes messages that say their priority.
async fn publish(world: &World, count: i32, priority: i32) -> Outcome {
    let insert = "INSERT INTO main_service.mq_publish
            (protocol, space_name, service_name, entity, method_name, timeout, body, priority)
        SELECT 'json', 'tpro', 'old', 'thing', 'ask', 3600, jsonb_build_object('priority', $2::int), $2::int
          FROM generate_series(1, $1::int)";
    world.main.execute(insert, &[&count, &priority]).await?;
    Ok(())
}

fn sidecar(world: &World) -> Outcome<Sidecar> {
    // The leader does not repeat the messages that the service holds.
    Ok(world.sidecar("main")?.env("LANE_MAX", LANE).env("ATTEMPT_TIMEOUT_MS", 60_000))
}

async fn world() -> Outcome<World> {
    World::options().services(&["main"]).start().await
}

#[tpro_testkit::test]
async fn a_message_of_high_priority_goes_ahead_of_a_thousand_that_wait() -> Outcome {
    let world = world().await?;
    let mut slow = Slow::start(&world.nats).await?;
    let main = world.start(sidecar(&world)?).await?;
    publish(&world, 1_000, 0).await?;
    for _ in 0..LANE {
        assert_eq!(slow.takes().await?, 0);
    }
    publish(&world, 40, 3).await?;
    eventually("all are read", async || Ok(main.metric("tpro_unsettled").await? == 1_040.0)).await?;
    // Each has its part: seven of eight places, and one.
    let came = slow.serves(32).await?;
    assert_eq!(came[..LANE - 1], [3; LANE - 1], "{came:?}");
    let others = came.iter().filter(|priority| **priority == 0).count();
    assert!((3..=5).contains(&others), "the others do not starve: {came:?}");
    drop(slow);
    main.stop().await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_new_leader_sends_what_waits_by_its_priority() -> Outcome {
    let world = world().await?;
    let mut slow = Slow::start(&world.nats).await?;
    let first = world.start(sidecar(&world)?).await?;
    publish(&world, 500, 0).await?;
    for _ in 0..LANE {
        assert_eq!(slow.takes().await?, 0);
    }
    publish(&world, 5, 2).await?;
    publish(&world, 5, 3).await?;
    eventually("all are read", async || Ok(first.metric("tpro_unsettled").await? == 510.0)).await?;
    // So is its cursor, which says that all of them are pending.
    let noted = "SELECT count(*) FROM main_service.mq_cursor WHERE cardinality(pending) = 510";
    eventually("the cursor says so", async || Ok(world.count(noted).await? == 1)).await?;
    first.kill().await?;
    let second = world.start(sidecar(&world)?).await?;
    let mut came = Vec::new();
    for _ in 0..LANE {
        came.push(slow.takes().await?);
    }
    let high = came.iter().filter(|priority| **priority > 0).count();
    assert!(high >= LANE - 2, "the first that it sends: {came:?}");
    drop(slow);
    second.stop().await?;
    Ok(())
}

/// Publishes requests to a method of the service `rogue`; the id of the last.
async fn publish_to_rogue(
    world: &World,
    method: &str,
    body: &serde_json::Value,
    priority: i32,
    count: i32,
) -> Outcome<i64> {
    let insert = "WITH published AS (
            INSERT INTO main_service.mq_publish (service_name, entity, method_name, timeout, body, priority)
            SELECT 'rogue', split_part($1::text, '.', 1), split_part($1::text, '.', 2), 600, $2::text::jsonb, $3::int
              FROM generate_series(1, $4::int) RETURNING id)
        SELECT max(id) FROM published";
    Ok(world.main.query_one(insert, &[&method, &body.to_string(), &priority, &count]).await?.get(0))
}

/// Waits until so many handlers of a copy are at work.
async fn at_work(copy: &SidecarProcess, handlers: f64) -> Outcome {
    let what = format!("{handlers} handlers are at work");
    eventually(&what, async || Ok(copy.metric("tpro_handlers_at_work").await? == handlers)).await
}

/// Waits until so many handlers of a copy wait for a connection.
async fn waiting_for_a_connection(copy: &SidecarProcess, handlers: i32) -> Outcome {
    let what = format!("{handlers} handlers wait for a connection");
    eventually(&what, async || {
        Ok(copy.metric_of("tpro_pool_connections", r#"reason="waited""#).await? == f64::from(handlers))
    })
    .await
}

#[tpro_testkit::test]
async fn a_message_of_high_priority_passes_those_that_wait_in_a_copy() -> Outcome {
    const OTHERS: i32 = 30;
    let world = Rogue::world().await?;
    let main = world.start(world.sidecar("main")?.env("ATTEMPT_TIMEOUT_MS", 60_000)).await?;
    let rogue = Rogue::copy(&world, 1)?.env("ATTEMPT_TIMEOUT_MS", 60_000).env("DB_POOL_MAX", 1);
    let rogue = world.start(rogue).await?;
    let mut before = 0;
    for method in ["transactional.effect", "default.tx"] {
        let holder = Rogue::hold(&world).await?;
        publish_to_rogue(&world, method, &Rogue::held(), 0, 1).await?;
        Rogue::waiting(&world, 1).await?;
        publish_to_rogue(&world, method, &json!({}), 0, OTHERS).await?;
        at_work(&rogue, f64::from(OTHERS + 1)).await?;
        // The metric is as old as the last look: that of the round before has one more.
        waiting_for_a_connection(&rogue, OTHERS).await?;
        let high = publish_to_rogue(&world, method, &json!({}), 3, 1).await?;
        at_work(&rogue, f64::from(OTHERS + 2)).await?;
        waiting_for_a_connection(&rogue, OTHERS + 1).await?;
        drop(holder);
        world.await_reply(high).await?.ok()?;
        world.recon().await?;
        // Rows that are only inserted lie in the order in which they were.
        let passed_by = "SELECT count(*) FROM public.effect e
                          WHERE e.ctid < (SELECT h.ctid FROM public.effect h JOIN main_service.mq_publish p USING (uid) WHERE p.id = $1)";
        let first: i64 = world.admin.query_one(passed_by, &[&high]).await?.get(0);
        assert_eq!(first - before, 1, "{method}: only the one that held the connection was before it");
        before = Rogue::effects(&world).await?;
    }
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_busy_copy_has_places_for_messages_of_a_higher_priority() -> Outcome {
    const HANDLERS: i32 = 8;
    let world = Rogue::world().await?;
    let main = world.start(world.sidecar("main")?.env("ATTEMPT_TIMEOUT_MS", 60_000)).await?;
    let rogue = world.start(Rogue::copy(&world, 1)?.env("HANDLERS_MAX", HANDLERS)).await?;
    let holder = Rogue::hold(&world).await?;
    publish_to_rogue(&world, "transactional.effect", &Rogue::held(), 0, HANDLERS).await?;
    Rogue::waiting(&world, HANDLERS.into()).await?;
    let low = publish_to_rogue(&world, "transactional.effect", &json!({}), 0, 1).await?;
    eventually("it is refused", async || {
        Ok(rogue.metric_of("tpro_not_run_total", r#"reason="overloaded""#).await? >= 1.0)
    })
    .await?;
    let high = publish_to_rogue(&world, "transactional.effect", &json!({}), 1, 1).await?;
    world.await_reply(high).await?.ok()?;
    assert_eq!(
        world.count(&format!("SELECT count(*) FROM main_service.mq_reply WHERE mq_id = {low}")).await?,
        0
    );
    Rogue::waiting(&world, HANDLERS.into()).await?;
    drop(holder);
    world.await_reply(low).await?.ok()?;
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn the_target_is_told_the_priority_and_so_are_those_that_its_handler_calls() -> Outcome {
    let world = Rogue::world().await?;
    let client = world.nats.client().await?;
    let mut asked = listen(&client, "tpro.old.thing.ask".to_owned()).await?;
    let main = world.start(sidecar(&world)?).await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    let mut told = async || {
        let message = asked.next().await.expect("it is subscribed");
        let priority =
            message.headers.and_then(|headers| headers.get("Tpro-Priority").map(ToString::to_string));
        // Its answer, so that the caller goes on.
        let reply = message.reply.expect("somebody asks");
        let request: serde_json::Value = serde_json::from_slice(&message.payload)?;
        let answer = json!({"jsonrpc": "2.0", "id": request["id"], "result": 1}).to_string();
        client.publish(reply, answer.into()).await?;
        Outcome::Ok(priority)
    };
    publish(&world, 1, 0).await?;
    assert_eq!(told().await?, None);
    publish(&world, 1, 3).await?;
    assert_eq!(told().await?.as_deref(), Some("3"));
    for (priority, expected) in [(0, None), (2, Some("2"))] {
        let call = json!({"target": "old.thing.ask", "body": {}});
        let id = publish_to_rogue(&world, "default.call", &call, priority, 1).await?;
        for _ in 0..2 {
            assert_eq!(told().await?.as_deref(), expected);
        }
        world.await_reply(id).await?.ok()?;
    }
    main.stop().await?;
    rogue.stop().await?;
    Ok(())
}

/// Asks so often, one after the other, and says how long each took and how many effects of others were made meanwhile.
async fn ask_repeatedly(world: &World, count: u32) -> Outcome<(Vec<Duration>, i64)> {
    let others = "SELECT count(*) FROM public.effect";
    let (mut times, mut most) = (Vec::new(), 0);
    for _ in 0..count {
        let before = world.count(others).await?;
        let asked = Instant::now();
        let id = publish_to_rogue(world, "transactional.effect", &json!({"pause": 200}), 3, 1).await?;
        world.await_reply(id).await?.ok()?;
        times.push(asked.elapsed());
        most = most.max(world.count(others).await? - before - 1);
    }
    times.sort();
    Ok((times, most))
}

#[tpro_testkit::test]
#[ignore = "slow: make faults"]
async fn behind_a_hundred_thousand_rows_a_request_of_high_priority_waits_for_few_of_them() -> Outcome {
    const ROWS: i32 = 100_000;
    const CONNECTIONS: i64 = 10;
    let world = Rogue::world().await?;
    let main = world.run("main").await?;
    let rogue = world.start(Rogue::copy(&world, 1)?.env("DB_POOL_MAX", CONNECTIONS)).await?;
    let (alone, _) = ask_repeatedly(&world, 20).await?;
    publish_to_rogue(&world, "transactional.effect", &json!({"pause": 200}), 0, ROWS).await?;
    eventually("all are read", async || Ok(main.metric("tpro_waiting").await? > f64::from(ROWS) * 0.9))
        .await?;
    eventually("the copy is full", async || Ok(rogue.metric("tpro_handlers_at_work").await? > 100.0)).await?;
    let (behind, others) = ask_repeatedly(&world, 20).await?;
    println!(
        "figure: a request of priority 3 to a handler of 200 ms took {:?} alone and {:?} behind {ROWS} rows (medians); \
         at most {others} of these were done meanwhile",
        alone[10], behind[10]
    );
    // Ten rounds of the connections at most, of ten thousand.
    assert!(others <= 10 * CONNECTIONS, "{others} effects of others");
    main.stop().await?;
    rogue.stop().await?;
    Ok(())
}
