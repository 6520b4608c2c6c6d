//! What is too large to be sent, and replies that nobody asked for.

use serde_json::json;
use tpro_testkit::{Message, Outcome, World, eventually};

use crate::answerer::Answerer;

/// What comes to a reply subject and is no answer, and why.
const NO_ANSWERS: [(&str, &str); 4] = [
    ("forged", "no JSON"),
    (r#"{"result": "forged"}"#, "no JSON-RPC"),
    (r#"{"stream": "ORDERS", "seq": 7}"#, "the acknowledgement of a stream"),
    ("[]", "no object"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forged_replies_settle_nothing() -> Outcome {
    use futures_util::StreamExt;

    let world = World::new().await?;
    let stranger = world.nats.client().await?;
    let mut requests = stranger.subscribe("tpro.old.thing.ask").await?;
    stranger.flush().await?;
    let main = world.run("main").await?;
    let id = world.publish(&Message::to("old.thing.ask")).await?;
    let request = requests.next().await.expect("the request has come");
    let inbox = request.reply.expect("it wants a reply").to_string();
    let sent: serde_json::Value = serde_json::from_slice(&request.payload)?;
    let uid = sent["id"].as_str().expect("it has an id").to_owned();

    let other = "01890000-0000-7000-8000-000000000000";
    // Another uid on a subject of ours, another id in the envelope, no JSON-RPC at all.
    let envelope = |id: &str, result: &str| json!({"jsonrpc": "2.0", "id": id, "result": result}).to_string();
    stranger.publish(inbox.replace(&uid, other), envelope(other, "forged").into()).await?;
    stranger.publish(inbox.clone(), envelope(other, "forged").into()).await?;
    stranger.publish(inbox.replace(&uid, "no-uid"), envelope(&uid, "forged").into()).await?;
    for (payload, _) in NO_ANSWERS {
        stranger.publish(inbox.clone(), payload.into()).await?;
    }
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
            && dropped("not_json").await? == 1.0
            && dropped("not_jsonrpc").await? == 3.0
            && dropped("state").await? == 1.0)
    })
    .await?;
    world.finish(&[&main]).await?;
    Ok(())
}
