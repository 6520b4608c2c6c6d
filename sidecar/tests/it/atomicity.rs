//! A publish is atomic with the user's transaction.

use serde_json::json;
use tpro_testkit::{Message, Outcome, World, eventually, listen};

use crate::answerer::Answerer;
use crate::cursor::asleep;

#[tpro_testkit::test]
async fn a_rolled_back_publish_is_never_sent_and_leaves_no_span() -> Outcome {
    let world = World::new().await?;
    let answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    let main = world.run("main").await?;
    let ask = |word: &str| Message::to("old.thing.ask").protocol("json").body(json!({"word": word}));

    world.main.batch_execute("BEGIN").await?;
    let id = world.publish(&ask("rolled back")).await?;
    let trace = world.main.query_one("SELECT tpro.trace_id($1)", &[&id]).await?.get::<_, String>(0);
    world.main.batch_execute("ROLLBACK").await?;

    world.main.batch_execute("BEGIN").await?;
    world.publish(&ask("kept")).await?;
    world.main.batch_execute("SAVEPOINT before").await?;
    world.publish(&ask("rolled back to the savepoint")).await?;
    world.main.batch_execute("ROLLBACK TO before").await?;
    let last = world.publish(&ask("kept too")).await?;
    world.main.batch_execute("COMMIT").await?;

    assert_eq!(world.await_reply(last).await?.ok()?, json!({"word": "kept too"}));
    // A message sent after all of these has arrived with its span: what had been sent before would be here, too.
    let after = world.publish(&ask("after")).await?;
    world.await_reply(after).await?.ok()?;
    let recon = world.recon().await?;
    assert_eq!((recon.published, answerer.taken()), (3, 3));
    let later = world.main.query_one("SELECT tpro.trace_id($1)", &[&after]).await?.get::<_, String>(0);
    eventually("the last message's spans have arrived", async || {
        Ok(world.collector.trace(&later).spans.len() >= 3)
    })
    .await?;
    assert!(world.collector.trace(&trace).spans.is_empty(), "the rolled back publish has left a span");

    world.finish(&[&main]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_prepared_transaction_is_sent_when_it_is_committed() -> Outcome {
    let world = World::new().await?;
    let answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    // The dispatcher does not go to sleep in here.
    let main = world.start(world.sidecar("main")?.env("PARK_AFTER_MS", 60_000)).await?;
    let ask = Message::to("old.thing.ask").protocol("json");
    let name = format!("it_{}", world.database.name());
    world.ask(&ask).await?.ok()?;

    for end in ["COMMIT", "ROLLBACK"] {
        world.main.batch_execute("BEGIN").await?;
        world.publish(&ask).await?;
        let asleep = "SELECT count(*) FROM tpro.services WHERE name = 'main' AND asleep";
        assert_eq!(world.count(asleep).await?, 0, "the dispatcher is awake");
        world.main.batch_execute(&format!("PREPARE TRANSACTION '{name}'")).await?;
        // Another is sent and answered meanwhile.
        world.ask(&ask).await?.ok()?;
        world.main.batch_execute(&format!("{end} PREPARED '{name}'")).await?;
    }

    let recon = world.finish(&[&main]).await?;
    assert_eq!((recon.published, answerer.taken()), (4, 4));
    Ok(())
}

#[tpro_testkit::test]
async fn a_transaction_that_is_prepared_while_the_dispatcher_sleeps_is_sent_too() -> Outcome {
    let world = World::new().await?;
    let answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    let main = world.run("main").await?;
    let ask = Message::to("old.thing.ask").protocol("json");
    let name = format!("it_{}", world.database.name());
    for end in ["ROLLBACK", "COMMIT"] {
        asleep(&world).await?;
        world.main.batch_execute("BEGIN").await?;
        world.publish(&ask).await?;
        world.main.batch_execute(&format!("PREPARE TRANSACTION '{name}'")).await?;
        asleep(&world).await?;
        assert_eq!(answerer.taken(), 0, "nothing is sent before the commit");
        world.main.batch_execute(&format!("{end} PREPARED '{name}'")).await?;
    }
    let recon = world.finish(&[&main]).await?;
    assert_eq!((recon.published, answerer.taken()), (1, 1));
    Ok(())
}

#[tpro_testkit::test]
async fn an_event_is_sent_without_a_reply_subject_and_settled_when_the_server_has_it() -> Outcome {
    use futures_util::StreamExt;

    let world = World::new().await?;
    let listener = world.nats.client().await?;
    let mut events = listen(&listener, "tpro.old.thing.happened").await?;
    let main = world.run("main").await?;

    let reply = world.ask(&Message::to("old.thing.happened").timeout(0).body(json!({"n": 1}))).await?;
    assert_eq!((reply.status.as_str(), reply.responder), ("ok", None));
    let event = events.next().await.expect("the event has come");
    assert!(event.reply.is_none());
    let payload: serde_json::Value = serde_json::from_slice(&event.payload)?;
    assert_eq!(payload["params"], json!({"n": 1}));

    // Nobody needs to listen.
    let reply = world.ask(&Message::to("nobody.thing.happened").timeout(0)).await?;
    assert_eq!(reply.status, "ok");

    world.finish(&[&main]).await?;
    Ok(())
}
