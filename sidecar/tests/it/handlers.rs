//! Handlers that go wrong, and what a handler can do.

use async_nats::HeaderMap;
use futures_util::StreamExt as _;
use serde_json::json;
use tpro_testkit::{Message, Nats, Outcome, World, eventually, heard, listen};

use crate::answerer::Answerer;
use crate::rogue::Rogue;

#[tpro_testkit::test]
async fn a_panic_is_an_internal_error_and_its_text_stays_with_us() -> Outcome {
    let world = Rogue::world().await?;
    let main = world.run("main").await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    for method in ["default.panic", "default.internal"] {
        let reply = world.ask(&Rogue::request(method, json!({"number": "canary-9b1d"}))).await?;
        assert_eq!((reply.status.as_str(), reply.code()), ("error", -32603), "{reply:?}");
        let told = reply.error.to_string();
        assert!(!told.contains("canary") && !told.contains("digit"), "{told}");
    }
    let reply = world.ask(&Rogue::request("transactional.effect", json!({"end": "panic"}))).await?;
    assert_eq!((reply.status.as_str(), reply.code()), ("error", -32603), "{reply:?}");
    assert_eq!(Rogue::effects(&world).await?, 0, "the transaction is rolled back");
    world.ask(&Rogue::request("default.echo", json!({}))).await?.ok()?;
    // What the panics said stands in our log and nowhere else.
    eventually("the panics are said", async || {
        let log = rogue.log();
        Ok(log.contains("the handler panicked: the body was") && log.contains("told to panic"))
    })
    .await?;
    let (mut dump, tables) = (String::new(), "SELECT string_agg(t::text, ' ') FROM
        (SELECT answer::text FROM rogue_service.mq_outcome UNION ALL SELECT error::text FROM main_service.mq_reply) t");
    eventually("the spans have arrived", async || {
        dump = world.collector.dump();
        Ok(world.collector.spans().iter().filter(|span| span.service == "rogue" && span.failed).count() == 3)
    })
    .await?;
    let rows: String = world.admin.query_one(tables, &[]).await?.get(0);
    for place in [&dump, &rows, &main.log(), &world.database.cluster().log()] {
        assert!(!place.contains("panicked") && !place.contains("told to panic"), "{place}");
    }
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_reply_that_is_too_large_is_an_error_that_says_so() -> Outcome {
    let nats = Nats::options().line("max_payload: 1000000");
    let world = World::options().services(&["main", "rogue"]).nats(nats).start().await?;
    world.admin.batch_execute(Rogue::EFFECTS).await?;
    let main = world.run("main").await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    for method in ["default.reply", "transactional.reply"] {
        let reply = world.ask(&Rogue::request(method, json!({"bytes": 2_000_000}))).await?;
        assert_eq!((reply.status.as_str(), reply.code(), reply.attempts), ("error", -32006, 1), "{reply:?}");
        // The text and its two quotes, and what this server leaves for an answer.
        let told = reply.error["message"].as_str().unwrap_or_default();
        let both = told
            .strip_prefix("the answer has 2000002 bytes, ")
            .is_some_and(|limit| limit.ends_with(" can be carried"));
        assert!(both, "{reply:?}");
        let reply = world.ask(&Rogue::request(method, json!({"bytes": 800_000}))).await?;
        assert_eq!(reply.ok()?.as_str().map(str::len), Some(800_000));
        let reply = world.ask(&Rogue::request(method, json!({}))).await?;
        assert_eq!(reply.status, "error", "text that no jsonb can hold: {reply:?}");
    }
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn calls_are_put_on_record_as_direct_rows_that_nobody_sends_again() -> Outcome {
    let world = Rogue::world().await?;
    let main = world.run("main").await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    let call = json!({"target": "rogue.stateless.echo", "body": {"n": 1}});
    let reply = world.ask(&Rogue::request("default.call", call)).await?;
    assert_eq!(reply.ok()?, json!([{"n": 1}, {"n": 1}]));
    let row = world
        .admin
        .query_one(
            "SELECT count(*), count(DISTINCT p.uid), bool_and(p.direct), bool_and(r.status = 'ok'), bool_and(r.uid = p.uid),
                min(p.service_name::text), min(r.result::text), min(r.responder)
             FROM rogue_service.mq_publish p JOIN rogue_service.mq_reply r ON r.mq_id = p.id",
            &[],
        )
        .await?;
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (2, 2));
    assert!(row.get::<_, bool>(2) && row.get::<_, bool>(3) && row.get::<_, bool>(4));
    assert_eq!((row.get(5), row.get(6), row.get(7)), ("rogue", r#"{"n": 1}"#, "rogue/1.0/1"));
    assert_eq!(rogue.metric("tpro_sent_total").await?, 0.0, "the dispatcher of rogue sends none of them");
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_call_that_fails_is_on_record_with_its_error() -> Outcome {
    let world = Rogue::world().await?;
    let main = world.run("main").await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    for (target, status) in [("rogue.no.such_method", "error"), ("nobody.at.home", "unavailable")] {
        let call = json!({"target": target, "body": {}});
        let reply = world.ask(&Rogue::request("default.call", call).timeout(2)).await?;
        assert_ne!(reply.status, "ok", "{reply:?}");
        let recorded = format!(
            "SELECT count(*) FROM rogue_service.mq_reply WHERE status = '{status}' AND error ? 'code'"
        );
        eventually(&format!("{target} is on record"), async || Ok(world.count(&recorded).await? >= 1))
            .await?;
    }
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_call_that_nobody_takes_ends_as_a_message_does_and_says_why() -> Outcome {
    let world = Rogue::world().await?;
    let main = world.run("main").await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    let client = world.nats.client().await?;
    let refused = [
        ("full", "Tpro-State: overloaded", -32008, "overloaded"),
        ("later", "Tpro-State: unsupported\r\nTpro-Versions: 7-9", -32010, "7-9"),
        ("nobody", "", -32001, "nobody runs"),
    ];
    for (service, header, code, words) in refused {
        // A service that refuses everything, as a copy does that has no place or is of another time.
        let mut requests = listen(&client, format!("tpro.{service}.>")).await?;
        if service == "nobody" {
            requests.unsubscribe().await?;
            heard(&client).await?;
        }
        let (answers, header) = (client.clone(), header.to_owned());
        let refusing = tokio::spawn(async move {
            while let Some(request) = requests.next().await {
                let mut headers = HeaderMap::new();
                for line in header.split("\r\n") {
                    if let Some((name, value)) = line.split_once(": ") {
                        headers.insert(name, value);
                    }
                }
                if let Some(back) = request.reply {
                    let _ = answers.publish_with_headers(back, headers, "".into()).await;
                }
            }
        });
        let sent = world.ask(&Message::to(&format!("{service}.any.thing")).timeout(1)).await?;
        let ring = json!({"ring": ["rogue", service]});
        let called = world.ask(&Rogue::request("default.circle", ring).timeout(6)).await?;
        assert_eq!((sent.status.as_str(), sent.code()), ("unavailable", code), "{sent:?}");
        assert_eq!(called.code(), code, "{called:?}");
        assert!(called.error["message"].as_str().is_some_and(|text| text.contains(words)), "{called:?}");
        let recorded = format!(
            "SELECT count(*) FROM rogue_service.mq_reply WHERE status = 'unavailable' AND error ->> 'code' = '{code}'"
        );
        eventually("the call is on record", async || Ok(world.count(&recorded).await? == 1)).await?;
        refusing.abort();
    }
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn what_a_handler_publishes_is_sent_when_its_transaction_commits() -> Outcome {
    let world = Rogue::world().await?;
    let answerer = Answerer::start(&world.nats, "tpro.old.thing.ask", |request| {
        json!({"jsonrpc": "2.0", "id": request["id"], "result": request["params"]}).to_string()
    })
    .await?;
    let main = world.run("main").await?;
    // Its own publish rings no bell for it while it sleeps: without the slow poll a missed one would show.
    let rogue = world.start(Rogue::copy(&world, 1)?.env("POLL_INTERVAL_MS", 0)).await?;
    for _ in 0..5 {
        world.ask(&Rogue::request("transactional.publish", json!({}))).await?.ok()?;
        world.ask(&Rogue::request("transactional.publish", json!({"end": "fault"}))).await?;
    }
    world.recon().await?;
    assert_eq!(answerer.taken(), 5);
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_reply_handler_runs_once_in_the_transaction_of_the_reply() -> Outcome {
    let world = Rogue::world().await?;
    let _answerer = Answerer::echo(&world.nats, "tpro.old.thing.noted").await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    let noted = Message::to("old.thing.noted").from("rogue").protocol("json");
    noted.publish(&world.admin).await?;
    // Not an answer to a JSON-RPC request: the failure handler is told.
    Message::to("old.thing.noted").from("rogue").timeout(1).publish(&world.admin).await?;
    world.recon().await?;
    let rows = world
        .admin
        .query(
            "SELECT r.status::text, e.what FROM rogue_service.mq_reply r JOIN public.effect e ON e.uid = r.uid ORDER BY r.mq_id",
            &[],
        )
        .await?;
    assert_eq!(rows.len(), 2);
    for row in rows {
        assert_eq!(row.get::<_, &str>(0), row.get::<_, &str>(1));
    }
    world.finish(&[&rogue]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_reply_is_kept_whatever_its_handler_does() -> Outcome {
    let world = Rogue::world().await?;
    let _answerer = Answerer::echo(&world.nats, "tpro.old.thing.*").await?;
    let rogue = world.start(Rogue::copy(&world, 1)?.env("REPLY_HANDLER_TIMEOUT", 3)).await?;
    let methods = ["spoiled", "panics", "hangs", "noted"];
    for method in methods {
        let message = Message::to(&format!("old.thing.{method}")).from("rogue").protocol("json");
        message.publish(&world.admin).await?;
    }
    world.recon().await?;
    assert!(world.replies("rogue").await?.iter().all(|reply| reply.status == "ok"));
    assert_eq!(world.count("SELECT count(*) FROM public.effect WHERE what = 'spoiled'").await?, 0);
    assert_eq!(world.count("SELECT count(*) FROM public.effect WHERE what = 'ok'").await?, 1);
    let faults = world
        .count("SELECT count(*) FROM rogue_service.mq_reply_fault f JOIN rogue_service.mq_reply r USING (mq_id) WHERE f.error <> ''")
        .await?;
    assert_eq!(faults, 3, "each handler's error lies beside its reply");
    world.finish(&[&rogue]).await?;
    Ok(())
}
