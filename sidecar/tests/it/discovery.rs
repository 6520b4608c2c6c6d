//! The tools of NATS ask which services there are.

use std::collections::BTreeSet;

use async_nats::Client;
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tpro_testkit::{Context as _, Nats, Outcome, World, eventually};

use crate::{rogue::Rogue, sql_handlers};

/// The answers of so many copies to a question.
async fn ask(client: &Client, subject: &str, copies: usize) -> Outcome<Vec<Value>> {
    let inbox = client.new_inbox();
    let answers = client.subscribe(inbox.clone()).await?;
    client.publish_with_reply(subject.to_owned(), inbox, "".into()).await?;
    let answers: Vec<_> = answers.take(copies).collect().await;
    answers
        .iter()
        .map(|answer| serde_json::from_slice(&answer.payload).context(format!("{answer:?}")))
        .collect()
}

/// The values of a field.
fn all<'v>(answers: &'v [Value], field: &str) -> BTreeSet<&'v str> {
    answers.iter().filter_map(|answer| answer[field].as_str()).collect()
}

/// The endpoint of a method.
fn endpoint<'v>(answer: &'v Value, name: &str) -> Option<&'v Value> {
    answer["endpoints"].as_array()?.iter().find(|endpoint| endpoint["name"] == name)
}

#[tpro_testkit::test]
async fn each_copy_tells_the_tools_of_nats_who_it_is_and_what_it_has_done() -> Outcome {
    let nats = Nats::options().service("main", "\"tpro.>\"")?.service("rogue", "")?;
    let world = World::options().services(&["main", "rogue"]).nats(nats).start().await?;
    world.admin.batch_execute(Rogue::EFFECTS).await?;
    let main = world.run("main").await?;
    let copy = |number| Outcome::Ok(Rogue::copy(&world, number)?.env("SERVICE_VERSION", "2.73"));
    let first = world.start(copy(1)?).await?;
    let second = world.start(copy(2)?).await?;
    let client = world.nats.client().await?;

    let answers = ask(&client, "$SRV.PING", 3).await?;
    assert_eq!(all(&answers, "type"), BTreeSet::from(["io.nats.micro.v1.ping_response"]));
    assert_eq!(all(&answers, "name"), BTreeSet::from(["main", "rogue"]));
    assert_eq!(all(&answers, "id").len(), 3, "each copy has a name of its own");
    let answers = ask(&client, "$SRV.PING.rogue", 2).await?;
    assert_eq!(all(&answers, "version"), BTreeSet::from(["2.73.0"]));
    let copies: BTreeSet<_> = answers.iter().map(|answer| answer["metadata"]["tpro.copy"].as_str()).collect();
    assert_eq!(copies, BTreeSet::from([Some("1"), Some("2")]));
    assert_eq!(answers[0]["metadata"]["tpro.release"], "2.73");

    for answer in ask(&client, "$SRV.INFO.rogue", 2).await? {
        assert_eq!(answer["type"], "io.nats.micro.v1.info_response");
        let echo = json!({"name": "default_echo", "subject": "tpro.rogue.default.echo",
            "queue_group": "rogue-queue", "metadata": {"tpro.way": "default"}});
        assert_eq!(endpoint(&answer, "default_echo"), Some(&echo));
    }

    for end in [json!({}), json!({}), json!({"end": "fault"})] {
        world.ask(&Rogue::request("transactional.effect", end)).await?;
    }
    // A copy counts what it did after it has answered.
    let mut stats = Vec::new();
    let sum = |stats: &[Value], number: &str| -> Option<u64> {
        stats.iter().map(|answer| endpoint(answer, "transactional_effect")?[number].as_u64()).sum()
    };
    eventually("the copies have counted it", async || {
        stats = ask(&client, "$SRV.STATS.rogue", 2).await?;
        Ok(sum(&stats, "num_requests") == Some(3))
    })
    .await?;
    assert_eq!(sum(&stats, "num_errors"), Some(1));
    assert!(sum(&stats, "processing_time") > sum(&stats, "average_processing_time"), "{stats:?}");
    let started = stats[0]["started"].as_str().unwrap_or_default();
    assert!(started.starts_with("20") && started.ends_with('Z'), "{started}");
    let id = stats[0]["id"].as_str().unwrap_or_default();
    let alone = ask(&client, &format!("$SRV.STATS.rogue.{id}"), 1).await?;
    assert_eq!(alone[0]["id"], stats[0]["id"]);

    // A copy that stops is not found any more.
    second.stop().await?;
    let answers = ask(&client, "$SRV.PING.rogue", 1).await?;
    assert_eq!(answers[0]["metadata"]["tpro.copy"], "1");
    world.finish(&[&main, &first]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn an_answer_to_a_tool_of_nats_cannot_become_a_request() -> Outcome {
    let world = World::new().await?;
    let main = world.run("main").await?;
    let client = world.nats.client().await?;
    for reply in ["tpro.main.thing.ask", "_TPRO.serve.tpro.main", "$SRV.PING.main", "_INBOX.a.b.c.d"] {
        client.publish_with_reply("$SRV.PING.main", reply, "".into()).await?;
    }
    // It is asked behind those, in order, and gets a request behind all that it has sent to itself.
    let answers = ask(&client, "$SRV.PING.main", 1).await?;
    assert_eq!(answers[0]["name"], "main");
    client.publish("tpro.main.thing.ask", "{}".into()).await?;
    eventually("it has the request", async || Ok(main.metric("tpro_received_total").await? >= 1.0)).await?;
    assert_eq!(main.metric("tpro_received_total").await?, 1.0, "and nothing else");
    world.finish(&[&main]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn methods_in_sql_are_told_with_what_is_said_of_them() -> Outcome {
    let world = sql_handlers::world().await?;
    let described = r#"COMMENT ON FUNCTION public.tell IS 'tells what it knows';
        SELECT tpro.describe('transactional', 'effect', 'sells a seat', '{"required": ["what"]}', service => 'shop')"#;
    world.admin.batch_execute(described).await?;
    let shop = world.start(sql_handlers::copy(&world, 1)?).await?;
    let client = world.nats.client().await?;
    // A copy does not wait long for its database: on a busy machine it answers without them.
    let mut answers = Vec::new();
    eventually("the copy tells them, described", async || {
        answers = ask(&client, "$SRV.INFO.shop", 1).await?;
        let effect = endpoint(&answers[0], "transactional_effect");
        Ok(effect.is_some_and(|effect| effect["metadata"].get("tpro.description").is_some()))
    })
    .await?;
    let metadata = |name| endpoint(&answers[0], name).map(|endpoint| endpoint["metadata"].clone());
    let effect = json!({"tpro.way": "transactional", "tpro.description": "sells a seat",
        "tpro.body_schema": r#"{"required":["what"]}"#});
    assert_eq!(metadata("transactional_effect"), Some(effect));
    let tell = json!({"tpro.way": "stateless", "tpro.description": "tells what it knows"});
    assert_eq!(metadata("stateless_tell"), Some(tell));
    assert_eq!(metadata("stateless_fail"), Some(json!({"tpro.way": "stateless"})));
    world.finish(&[&shop]).await?;
    Ok(())
}
