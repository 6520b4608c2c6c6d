//! NATS clients that know nothing of tpro, and services that are called by them.
#![expect(clippy::disallowed_methods, reason = "strangers ask in the way of strangers")]

use std::time::Duration;

use async_nats::HeaderMap;
use serde_json::{Value, json};
use tpro_testkit::proxy::Fault;
use tpro_testkit::{Context, Kind, Message, Nats, Outcome, Proxy, World, eventually, eventually_some};

use crate::answerer::Answerer;
use crate::login;
use crate::network::through;
use crate::rogue::Rogue;

const METHOD: &str = "tpro.analytic.example.request_with_parallel_queries";

#[tpro_testkit::test]
async fn a_stranger_answers_a_request_from_sql() -> Outcome {
    let world = World::new().await?;
    let _answerer = Answerer::start(&world.nats, "tpro.old.thing.double", |body| {
        json!({"doubled": body["n"].as_i64().unwrap_or(0) * 2}).to_string()
    })
    .await?;
    let main = world.run("main").await?;
    let request = Message::to("old.thing.double").protocol("json").body(json!({"n": 21}));
    let reply = world.ask(&request).await?;
    assert_eq!((reply.attempts, reply.responder.as_deref()), (1, None), "{reply:?}");
    assert_eq!(reply.ok()?, json!({"doubled": 42}));
    world.finish(&[&main]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_stranger_calls_a_service_and_its_trace_goes_on() -> Outcome {
    let world = World::demo().await?;
    let analytic = world.run("analytic").await?;
    let stranger = world.nats.client().await?;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let mut headers = HeaderMap::new();
    headers.insert("traceparent", format!("00-{trace}-00f067aa0ba902b7-01"));

    // The id may be whatever JSON-RPC allows.
    for id in [json!("abc"), json!(7), json!("")] {
        let request = json!({"jsonrpc": "2.0", "id": id, "method": "example.request_with_parallel_queries", "params": {}});
        let answer =
            stranger.request_with_headers(METHOD, headers.clone(), request.to_string().into()).await?;
        let answer: Value = serde_json::from_slice(&answer.payload)?;
        assert_eq!((&answer["jsonrpc"], &answer["id"]), (&json!("2.0"), &id), "{answer}");
        assert!(answer["result"]["exampleRequestWithParallelQueries"].is_i64(), "{answer}");
    }

    let server = eventually_some("the SERVER span has arrived", async || {
        let trace = world.collector.trace(trace);
        Ok(trace.of("analytic", Kind::Server).first().map(|span| (*span).clone()))
    })
    .await?;
    assert_eq!(server.parent.as_deref(), Some("00f067aa0ba902b7"));
    world.finish(&[&analytic]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn broken_requests_are_answered_by_the_book() -> Outcome {
    let world = World::demo().await?;
    let analytic = world.run("analytic").await?;
    let stranger = world.nats.client().await?;
    let ask = async |subject: &str, payload: &str| -> Outcome<Value> {
        let answer = stranger.request(subject.to_owned(), payload.to_owned().into()).await?;
        serde_json::from_slice(&answer.payload).context("the answer is no JSON")
    };

    for broken in ["{\"jsonrpc\": \"2.0\", \"id\"", "", "\u{0}", "nonsense"] {
        let answer = ask(METHOD, broken).await?;
        assert_eq!(answer["error"]["code"], -32700, "{broken:?}: {answer}");
        assert_eq!((&answer["jsonrpc"], &answer["id"]), (&json!("2.0"), &Value::Null), "{answer}");
    }
    for invalid in [
        json!({"id": 1}),
        json!([]),
        json!(1),
        json!({"jsonrpc": "1.0", "id": 1, "method": "example.simple"}),
    ] {
        let answer = ask(METHOD, &invalid.to_string()).await?;
        assert_eq!(answer["error"]["code"], -32600, "{invalid}: {answer}");
    }
    let request = json!({"jsonrpc": "2.0", "id": 1, "method": "example.nothing", "params": {}});
    let answer = ask("tpro.analytic.example.nothing", &request.to_string()).await?;
    assert_eq!((&answer["error"]["code"], &answer["id"]), (&json!(-32601), &json!(1)), "{answer}");
    let request = json!({"jsonrpc": "2.0", "id": 1, "method": "example.simple", "params": {"ip": 1}});
    let answer = ask("tpro.analytic.example.simple", &request.to_string()).await?;
    assert_eq!(answer["error"]["code"], -32602, "{answer}");

    world.finish(&[&analytic]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn the_same_request_of_a_stranger_is_answered_by_the_stored_outcome() -> Outcome {
    let world = World::demo().await?;
    let analytic = world.run("analytic").await?;
    let stranger = world.nats.client().await?;
    // The session that a login makes is new each time it is made.
    let uid: String = world.admin.query_one("SELECT tpro.uuid7()::text", &[]).await?.get(0);
    let mut headers = HeaderMap::new();
    headers.insert("Nats-Msg-Id", uid.as_str());
    let request =
        json!({"jsonrpc": "2.0", "id": uid, "method": "example.simple", "params": login::body()}).to_string();
    let mut answers = Vec::new();
    for _ in 0..2 {
        let answer = stranger
            .request_with_headers("tpro.analytic.example.simple", headers.clone(), request.clone().into())
            .await?;
        answers.push(serde_json::from_slice::<Value>(&answer.payload)?);
    }
    assert!(answers[0]["result"].is_object(), "{}", answers[0]);
    assert_eq!(answers[0], answers[1]);
    assert_eq!(world.count("SELECT count(*) FROM analytic_service.mq_outcome").await?, 1);
    world.finish(&[&analytic]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn the_monitor_shows_the_queue_group_once_per_copy() -> Outcome {
    let world = World::new().await?;
    let first = world.run("analytic").await?;
    let second = world.start(world.sidecar("analytic")?.copy(2)).await?;
    let groups = async || -> Outcome<usize> {
        let page = world.nats.monitor("/subsz?subs=1").await?;
        let list = page["subscriptions_list"].as_array().cloned().unwrap_or_default();
        let ours = list.iter().filter(|subscription| subscription["qgroup"] == "analytic-queue");
        Ok(ours.inspect(|ours| assert_eq!(ours["subject"], "tpro.analytic.>")).count())
    };
    assert_eq!(groups().await?, 2);
    second.stop().await?;
    eventually("one is left", async || Ok(groups().await? == 1)).await?;
    world.finish(&[&first]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_copy_that_is_ready_is_known_to_the_server_behind_a_slow_line_too() -> Outcome {
    let world = World::new().await?;
    let line = Proxy::start(world.nats.port()).await?;
    line.set(Fault::Latency(Duration::from_millis(300)));
    let analytic = world.start(through(&line, world.sidecar("analytic")?)).await?;
    let page = world.nats.monitor("/subsz?subs=1").await?;
    let list = page["subscriptions_list"].as_array().cloned().unwrap_or_default();
    assert!(list.iter().any(|subscription| subscription["subject"] == "tpro.analytic.>"), "{page}");
    line.set(Fault::None);
    world.finish(&[&analytic]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_service_of_tpro_that_is_asked_by_protocol_json_answers_and_its_errors_are_errors() -> Outcome {
    let world = Rogue::world().await?;
    let main = world.run("main").await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    let ask = |method: &str, body: Value| Rogue::request(method, body).protocol("json");
    for method in ["stateless.echo", "default.echo", "transactional.raw"] {
        let body = json!({"jsonrpc": "2.0", "error": {"code": 1, "message": "a body like any"}});
        let reply = world.ask(&ask(method, body.clone())).await?;
        assert_eq!((reply.attempts, reply.copy()), (1, "1"), "{method}: {reply:?}");
        assert_eq!(reply.ok()?, body, "{method}");
    }
    for (method, body, code) in [
        ("no.such_method", json!({}), -32601),
        ("default.effect", json!({"hold": "no number"}), -32602),
        ("default.internal", json!({}), -32603),
        ("default.effect", json!({"end": "fault"}), 7),
        ("transactional.effect", json!({"end": "fault"}), 7),
    ] {
        let reply = world.ask(&ask(method, body)).await?;
        assert_eq!((reply.status.as_str(), reply.code()), ("error", code), "{method}: {reply:?}");
        assert_eq!((reply.attempts, reply.copy()), (1, "1"), "{method}: {reply:?}");
    }
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn the_acknowledgement_of_a_stream_is_no_answer() -> Outcome {
    let world = World::options().nats(Nats::options().jetstream()).start().await?;
    let stranger = world.nats.client().await?;
    let stream = json!({"name": "LISTENS", "subjects": ["tpro.old.thing.*"], "storage": "memory"});
    let made = stranger.request("$JS.API.STREAM.CREATE.LISTENS", stream.to_string().into()).await?;
    let made: Value = serde_json::from_slice(&made.payload)?;
    assert!(made["error"].is_null(), "{made}");
    let _answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    let main = world.run("main").await?;

    for n in 0..20 {
        let request = Message::to("old.thing.ask").protocol("json").body(json!({"n": n}));
        assert_eq!(world.ask(&request).await?.ok()?, json!({"n": n}));
    }
    // Only the stream listens here: nobody answers.
    let reply = world.ask(&Message::to("old.thing.forget").protocol("json").timeout(2)).await?;
    assert_eq!(reply.status, "timeout", "{reply:?}");
    let acknowledged = main.metric_of("tpro_dropped_replies_total", r#"reason="puback""#).await?;
    assert!(acknowledged >= 1.0, "what the stream said is dropped and counted");
    // A JSON-RPC request is not settled by it either.
    let reply = world.ask(&Message::to("old.thing.forget").timeout(2)).await?;
    assert_eq!(reply.status, "timeout", "{reply:?}");
    let again = main.metric_of("tpro_dropped_replies_total", r#"reason="puback""#).await?;
    assert!(again > acknowledged, "what the stream said is dropped and counted");
    world.finish(&[&main]).await?;
    Ok(())
}
