//! Replies that are hard to take.

use serde_json::json;
use tpro_testkit::{Message, Outcome, World};

use crate::answerer::Answerer;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_that_the_database_refuses_spoils_no_other() -> Outcome {
    let world = World::new().await?;
    let bad = [
        r#"{"text": "\u0000"}"#.to_owned(),
        r#"{"text": "\ud800"}"#.to_owned(),
        r#"{"number": 1e200000}"#.to_owned(),
        format!("{}1{}", "[".repeat(20_000), "]".repeat(20_000)),
        "{no json".to_owned(),
        String::new(),
    ];
    let count = bad.len() as i64;
    let _answerer = Answerer::start(&world.nats, "tpro.old.thing.ask", move |body| {
        match body["bad"].as_u64().and_then(|index| bad.get(index as usize)) {
            Some(bad) => bad.clone(),
            None => body.to_string(),
        }
    })
    .await?;
    let main = world.run("main").await?;
    let ask = |body| Message::to("old.thing.ask").protocol("json").timeout(10).body(body);

    world.main.batch_execute("BEGIN").await?;
    ask(json!({"good": true})).publish_many(&world.main, 250).await?;
    for index in 0..count {
        world.publish(&ask(json!({"bad": index}))).await?;
    }
    ask(json!({"good": true})).publish_many(&world.main, 250).await?;
    world.main.batch_execute("COMMIT").await?;

    world.recon().await?;
    let ok = "SELECT count(*) FROM main_service.mq_reply WHERE status = 'ok'";
    assert_eq!(world.count(ok).await?, 500);
    let bad = "SELECT count(*) FROM main_service.mq_reply JOIN main_service.mq_publish ON id = mq_id
               WHERE status = 'error' AND body ? 'bad' AND error ? 'code'";
    assert_eq!(world.count(bad).await?, count);
    world.finish(&[&main]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_over_the_limit_is_refused_at_the_insert_with_both_sizes() -> Outcome {
    let world = World::new().await?;
    let body = json!({"text": "x".repeat(1_000_000)});
    let refused = world
        .main
        .query("SELECT tpro.publish('old', 'thing', 'ask', body => $1::text::jsonb)", &[&body.to_string()])
        .await
        .expect_err("a body of a megabyte is refused");
    let refused = refused.as_db_error().expect("it is the database that refuses it");
    assert_eq!(refused.code().code(), "54000");
    let said = format!("{} {}", refused.message(), refused.detail().unwrap_or_default());
    assert!(said.contains("900000") && said.contains("1000"), "{said}");
    world.finish(&[]).await?;
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
    stranger.publish(inbox.clone(), envelope(&uid, "true").into()).await?;
    stranger.publish(inbox, envelope(&uid, "late").into()).await?;

    assert_eq!(world.await_reply(id).await?.ok()?, json!("true"));
    world.finish(&[&main]).await?;
    Ok(())
}
