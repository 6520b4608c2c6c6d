//! Messages of a high priority go ahead of the others to their service.

use std::collections::VecDeque;

use async_nats::{Client, Message as Delivery, Subscriber};
use futures_util::StreamExt as _;
use tpro_testkit::{Nats, Outcome, Sidecar, World, eventually, listen};

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
