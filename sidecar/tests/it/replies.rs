//! What is too large to be sent, and replies that nobody asked for.

use serde_json::json;
use tpro_testkit::{Message, Outcome, World, eventually, eventually_some, listen};

use crate::answerer::Answerer;
use crate::rogue::Rogue;

/// What comes in place of an answer, and what is said of it.
const NO_ANSWERS: [(&str, &str); 6] = [
    ("", "empty"),
    ("canary", "not JSON"),
    ("[\"canary\"]", "an array"),
    (r#"{"canary": 1}"#, "jsonrpc"),
    (r#"{"jsonrpc": "2.0", "id": null, "error": "canary"}"#, "its error"),
    (r#"{"jsonrpc": "2.0", "id": ID, "canary": 1}"#, "neither"),
];

#[tpro_testkit::test]
async fn a_body_over_the_limit_is_refused_at_the_insert_with_both_sizes_and_one_at_the_limit_is_sent()
-> Outcome {
    let world = World::new().await?;
    let answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    let main = world.run("main").await?;
    // As PostgreSQL writes it, `{"text": "..."}` has twelve bytes around the text.
    let body = |bytes: usize| json!({"text": "x".repeat(bytes - 12)}).to_string();
    for statement in [
        "SELECT tpro.publish('old', 'thing', 'ask', body => $1::text::jsonb, protocol => 'json', sender => 'main')",
        "INSERT INTO main_service.mq_publish (protocol, space_name, service_name, entity, method_name, timeout, headers, body)
         VALUES ('json', 'tpro', 'old', 'thing', 'ask', 15, '{}', $1::text::jsonb)",
    ] {
        for bytes in [900_001, 2_000_000] {
            let refused = world.main.query(statement, &[&body(bytes)]).await.expect_err("a body over the limit");
            let refused = refused.as_db_error().expect("it is the database that refuses it");
            assert_eq!(refused.code().code(), "54000");
            let said = format!("{} {}", refused.message(), refused.detail().unwrap_or_default());
            assert!(said.contains("900000") && said.contains(&bytes.to_string()), "{said}");
        }
        world.main.query(statement, &[&body(900_000)]).await?;
    }
    world.recon().await?;
    assert_eq!(world.count("SELECT count(*) FROM main_service.mq_reply WHERE status = 'ok'").await?, 2);
    assert_eq!((answerer.taken(), main.metric("tpro_nats_disconnects_total").await?), (2, 0.0));
    world.finish(&[&main]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn forged_replies_settle_nothing() -> Outcome {
    use futures_util::StreamExt;

    let world = World::new().await?;
    let stranger = world.nats.client().await?;
    let mut requests = listen(&stranger, "tpro.old.thing.ask").await?;
    let main = world.run("main").await?;
    let id = world.publish(&Message::to("old.thing.ask")).await?;
    let request = requests.next().await.expect("the request has come");
    let inbox = request.reply.expect("it wants a reply").to_string();
    let sent: serde_json::Value = serde_json::from_slice(&request.payload)?;
    let uid = sent["id"].as_str().expect("it has an id").to_owned();

    let other = "01890000-0000-7000-8000-000000000000";
    // Another uid on a subject of ours, another id in the envelope, a stream's acknowledgement.
    let envelope = |id: &str, result: &str| json!({"jsonrpc": "2.0", "id": id, "result": result}).to_string();
    stranger.publish(inbox.replace(&uid, other), envelope(other, "forged").into()).await?;
    stranger.publish(inbox.clone(), envelope(other, "forged").into()).await?;
    stranger.publish(inbox.replace(&uid, "no-uid"), envelope(&uid, "forged").into()).await?;
    stranger.publish(inbox.clone(), r#"{"stream": "ORDERS", "seq": 7}"#.into()).await?;
    let mut headers = async_nats::HeaderMap::new();
    headers.insert("Tpro-State", "settled");
    stranger.publish_with_headers(inbox.clone(), headers, envelope(&uid, "forged").into()).await?;
    stranger.publish(inbox.clone(), envelope(&uid, "true").into()).await?;
    stranger.publish(inbox, envelope(&uid, "late").into()).await?;

    assert_eq!(world.await_reply(id).await?.ok()?, json!("true"));
    // The reply of a message that is unknown and the one that came too late; the others by what is wrong with them.
    eventually("what was forged is counted", async || {
        let dropped = async |reason: &str| {
            main.metric_of("tpro_dropped_replies_total", &format!(r#"reason="{reason}""#)).await
        };
        Ok(main.metric("tpro_late_replies_total").await? == 2.0
            && dropped("subject").await? == 1.0
            && dropped("other_id").await? == 1.0
            && dropped("puback").await? == 1.0
            && dropped("state").await? == 1.0)
    })
    .await?;
    world.finish(&[&main]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn what_is_no_answer_ends_the_message_at_once_and_it_is_said_what_came() -> Outcome {
    let world = Rogue::world().await?;
    let main = world.run("main").await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    let good = r#"{"jsonrpc": "2.0", "id": ID, "result": 7, "error": null}"#;
    for (n, (answer, words)) in (0..).zip(NO_ANSWERS.into_iter().chain([(good, "")])) {
        let _answerer = Answerer::start(&world.nats, &format!("tpro.old.thing.n{n}"), move |request| {
            answer.replace("ID", &request["id"].to_string())
        })
        .await?;
        let target = format!("old.thing.n{n}");
        let reply = world.ask(&Message::to(&target).timeout(60)).await?;
        assert_eq!(reply.attempts, 1, "{answer}: {reply:?}");
        // A handler that calls reads it by the same rules.
        let call = json!({"target": target, "body": {}});
        let called = world.ask(&Rogue::request("default.call", call).timeout(60)).await?;
        if words.is_empty() {
            assert_eq!((reply.ok()?, called.ok()?), (json!(7), json!([7, 7])), "{answer}");
            continue;
        }
        assert_eq!(called.status, "error", "{answer}: {called:?}");
        let recorded = format!(
            "SELECT r.status::text, r.error::text, r.attempts FROM rogue_service.mq_reply r
             JOIN rogue_service.mq_publish p ON p.id = r.mq_id WHERE p.method_name = 'n{n}'"
        );
        let rows = eventually_some("the calls are on record", async || {
            let rows = world.admin.query(&recorded, &[]).await?;
            Ok((!rows.is_empty()).then_some(rows))
        })
        .await?;
        let mut told = vec![(reply.status.clone(), reply.error.to_string())];
        told.extend(rows.iter().filter(|row| row.get::<_, &str>(0) != "cancelled").map(|row| {
            assert_eq!(row.get::<_, Option<i32>>(2), Some(1), "{answer}");
            (row.get(0), row.get(1))
        }));
        assert!(told.len() > 1, "{answer}: {told:?}");
        for (status, error) in told {
            assert!(status == "error" && error.contains("-32009"), "{answer}: {status} {error}");
            assert!(error.contains(words) && !error.contains("canary"), "{answer}: {error}");
        }
    }
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}
#[tpro_testkit::test]
async fn a_forged_refusal_of_an_event_is_dropped() -> Outcome {
    use futures_util::StreamExt;

    let world = World::options().services(&["main"]).start().await?;
    let stranger = world.nats.client().await?;
    let mut events = listen(&stranger, "tpro.old.thing.>").await?;
    // The server's word that it has an event is lost some times, so that the event is in flight for as long.
    let main = world
        .sidecar("main")?
        .env("FAILPOINTS", "dispatcher.echo_lost=3*return(1)")
        .env("ATTEMPT_TIMEOUT_MS", 600_000);
    let main = world.start(main).await?;
    // A request shows where replies go to.
    let asked = world.publish(&Message::to("old.thing.ask").protocol("json")).await?;
    let request = events.next().await.expect("the request has come");
    let uid_of = |message: &async_nats::Message| {
        message.headers.as_ref().and_then(|headers| headers.get("Nats-Msg-Id")).expect("a uid").to_string()
    };
    let inbox = request.reply.clone().expect("it wants a reply").to_string();
    stranger.publish(inbox.clone(), "{}".into()).await?;
    world.await_reply(asked).await?.ok()?;

    let event = world.publish(&Message::to("old.thing.noted").protocol("json").timeout(0)).await?;
    let noted = events.next().await.expect("the event has come");
    let forged = inbox.replace(&uid_of(&request), &uid_of(&noted));
    let mut headers = async_nats::HeaderMap::new();
    headers.insert("Tpro-State", "overloaded");
    stranger.publish_with_headers(forged, headers, "".into()).await?;
    eventually("it is dropped", async || {
        Ok(main.metric_of("tpro_dropped_replies_total", r#"reason="state""#).await? == 1.0)
    })
    .await?;
    let reply = world.await_reply(event).await?;
    assert_eq!((reply.status.as_str(), reply.attempts), ("ok", 1), "{reply:?}");
    assert_eq!(main.metric("tpro_refused_total").await?, 0.0);
    // Nothing came twice: the next thing on the line is what is sent now.
    stranger.publish("tpro.old.thing.last", "".into()).await?;
    let next = events.next().await.expect("the line works");
    assert_eq!(next.subject.as_str(), "tpro.old.thing.last");
    world.finish(&[&main]).await?;
    Ok(())
}
