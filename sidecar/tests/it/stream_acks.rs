//! Events that a stream of JetStream is to keep: they are settled when it says that it has them.
#![expect(clippy::disallowed_methods, reason = "the API of JetStream is asked as any client asks it")]

use serde_json::{Value, json};
use tpro_testkit::{Message, Nats, Outcome, World, eventually};

use crate::rogue::Rogue;

/// Has the server make a stream.
async fn stream(nats: &Nats, config: Value) -> Outcome {
    let name = config["name"].as_str().unwrap_or_default().to_owned();
    let made = nats
        .client()
        .await?
        .request(format!("$JS.API.STREAM.CREATE.{name}"), config.to_string().into())
        .await?;
    let made: Value = serde_json::from_slice(&made.payload)?;
    assert!(made["error"].is_null(), "{made}");
    Ok(())
}

/// The messages that a stream has.
async fn kept(nats: &Nats, name: &str) -> Outcome<u64> {
    let info = nats.client().await?.request(format!("$JS.API.STREAM.INFO.{name}"), "".into()).await?;
    let info: Value = serde_json::from_slice(&info.payload)?;
    Ok(info["state"]["messages"].as_u64().unwrap_or_default())
}

fn event(target: &str) -> Message {
    Message::to(target).timeout(0).headers(json!({"event": {"ack": true}})).body(json!({"n": 1}))
}

async fn world() -> Outcome<World> {
    World::options().services(&["main"]).nats(Nats::options().jetstream()).start().await
}

#[tpro_testkit::test]
async fn an_event_is_settled_with_the_stream_and_its_place_there() -> Outcome {
    let world = world().await?;
    stream(&world.nats, json!({"name": "NOTES", "subjects": ["tpro.old.thing.>"], "storage": "memory"}))
        .await?;
    let main = world.run("main").await?;
    for seq in 1..=3 {
        let reply = world.ask(&event("old.thing.noted")).await?;
        let result = (&reply.result["stream"], &reply.result["seq"]);
        assert_eq!((reply.status.as_str(), result), ("ok", (&json!("NOTES"), &json!(seq))), "{reply:?}");
    }
    // Without the wish it is settled when the server has it, as ever.
    let reply = world.ask(&Message::to("old.thing.noted").timeout(0)).await?;
    assert_eq!((reply.status.as_str(), &reply.result), ("ok", &Value::Null));
    assert_eq!(kept(&world.nats, "NOTES").await?, 4);
    world.finish(&[&main]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn through_kills_of_the_leader_each_event_is_in_the_stream_once() -> Outcome {
    const EVENTS: i32 = 2_000;
    let world = world().await?;
    stream(&world.nats, json!({"name": "NOTES", "subjects": ["tpro.old.thing.>"], "storage": "file"}))
        .await?;
    let mut main = world.run("main").await?;
    let settled = "SELECT count(*) FROM main_service.mq_reply";
    event("old.thing.noted").publish_many(&world.main, EVENTS).await?;
    for part in [200, 700, 1_200] {
        eventually("some are settled", async || Ok(world.count(settled).await? > part)).await?;
        main.kill().await?;
        main = world.run("main").await?;
    }
    eventually("all are settled", async || Ok(world.count(settled).await? == i64::from(EVENTS))).await?;
    let numbers =
        "SELECT count(DISTINCT (result ->> 'seq')::int8) FROM main_service.mq_reply WHERE status = 'ok'";
    assert_eq!(world.count(numbers).await?, i64::from(EVENTS), "each has a place of its own");
    assert_eq!(kept(&world.nats, "NOTES").await?, u64::try_from(EVENTS)?, "a repeat is known by its uid");
    world.finish(&[&main]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn without_a_stream_or_with_one_that_is_full_it_is_said() -> Outcome {
    let world = world().await?;
    let full = json!({"name": "SMALL", "subjects": ["tpro.small.>"], "storage": "memory", "max_msgs": 1, "discard": "new"});
    stream(&world.nats, full).await?;
    let main = world.run("main").await?;
    assert_eq!(world.ask(&event("small.thing.noted")).await?.status, "ok");
    let reply = world.ask(&event("small.thing.noted")).await?;
    assert_eq!((reply.status.as_str(), reply.code()), ("error", -32012), "{reply:?}");
    // The timeout is the time that the stream has.
    let reply = world.ask(&event("old.thing.noted").timeout(2)).await?;
    assert_eq!((reply.status.as_str(), reply.code()), ("unavailable", -32001), "{reply:?}");
    let words = reply.error["message"].as_str().unwrap_or_default();
    assert_eq!(words, "no stream keeps what is published to tpro.old.thing.noted: NATS found none for 2 s");
    world.finish(&[&main]).await?;
    Ok(())
}

/// A service may hear the event as well. Its answer is not the word of the stream.
#[tpro_testkit::test]
async fn a_service_that_hears_it_too_runs_its_handler_and_settles_nothing() -> Outcome {
    let world =
        World::options().services(&["main", "rogue"]).nats(Nats::options().jetstream()).start().await?;
    world.admin.batch_execute(Rogue::EFFECTS).await?;
    let (main, rogue) = (world.run("main").await?, world.start(Rogue::copy(&world, 1)?).await?);
    stream(&world.nats, json!({"name": "HEARS", "subjects": ["tpro.rogue.default.*"], "storage": "memory"}))
        .await?;
    let reply = world.ask(&event("rogue.default.effect")).await?;
    assert_eq!((reply.status.as_str(), &reply.result["stream"]), ("ok", &json!("HEARS")), "{reply:?}");
    eventually("its handler has run", async || Ok(Rogue::effects(&world).await? == 1)).await?;
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}
