//! What the dispatcher reads, and when it wakes up.

use std::time::{Duration, Instant};

use serde_json::json;
use tpro_testkit::{Message, Outcome, Times, World, eventually};

use crate::answerer::Answerer;

#[tpro_testkit::test]
async fn an_open_transaction_holds_up_nobody_and_is_sent_when_it_commits() -> Outcome {
    let world = World::new().await?;
    let answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    let main = world.run("main").await?;
    let ask = |word: &str| Message::to("old.thing.ask").protocol("json").body(json!({"word": word}));

    let forgotten = world.database.connect_as("main").await?;
    forgotten.batch_execute("BEGIN").await?;
    let held = ask("held").publish(&forgotten).await?;
    for _ in 0..100 {
        ask("free").publish_many(&world.main, 100).await?;
    }
    world.recon().await?;
    assert_eq!(answerer.taken(), 10_000);

    forgotten.batch_execute("COMMIT").await?;
    assert_eq!(world.await_reply(held).await?.ok()?, json!({"word": "held"}));
    let recon = world.finish(&[&main]).await?;
    assert_eq!(recon.settled, 10_001);
    assert_eq!(answerer.taken(), 10_001, "each was sent once");
    Ok(())
}

#[tpro_testkit::test]
async fn without_the_slow_poll_the_bell_alone_wakes_the_dispatcher() -> Outcome {
    let world = World::new().await?;
    let _answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    let main = world.start(world.sidecar("main")?.env("POLL_INTERVAL_MS", 0)).await?;
    let ask = Message::to("old.thing.ask").protocol("json");

    for _ in 0..5 {
        asleep(&world).await?;
        world.ask(&ask).await?.ok()?;
        // It was awake a moment ago, for that one.
        world.ask(&ask).await?.ok()?;
    }
    // Over the moment at which it goes to sleep, at many distances from it.
    for pause in 0..60 {
        world.ask(&ask).await?.ok()?;
        tokio::time::sleep(Duration::from_millis(2 * pause)).await;
    }
    world.finish(&[&main]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_forgotten_open_transaction_lets_the_dispatcher_sleep() -> Outcome {
    let world = World::new().await?;
    let _answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    let main = world.start(world.sidecar("main")?.env("POLL_INTERVAL_MS", 0)).await?;
    let ask = Message::to("old.thing.ask").protocol("json");

    let forgotten = world.database.connect_as("main").await?;
    forgotten.batch_execute("BEGIN").await?;
    let held = ask.publish(&forgotten).await?;
    // Others wake it up as fast as ever, again and again.
    let mut times = Times::of("a message to a sleeping dispatcher while a transaction is left open");
    for _ in 0..20 {
        asleep(&world).await?;
        let begun = Instant::now();
        world.ask(&ask).await?.ok()?;
        times.add(begun.elapsed());
    }
    times.report();
    asleep(&world).await?;
    forgotten.batch_execute("COMMIT").await?;
    world.await_reply(held).await?.ok()?;
    world.finish(&[&main]).await?;
    Ok(())
}

/// A trigger on replies runs in the session of the leader, which has the bell itself.
#[tpro_testkit::test]
async fn messages_that_the_leaders_own_session_publishes_wake_it() -> Outcome {
    const ASKED: &str = "SELECT count(*) FROM main_service.mq_reply";
    let world = World::new().await?;
    let _answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    let main = world.start(world.sidecar("main")?.env("POLL_INTERVAL_MS", 0)).await?;
    world
        .admin
        .batch_execute(
            "CREATE FUNCTION public.ask_again() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN
                 IF (SELECT count(*) FROM main_service.mq_publish) < 5 THEN
                     INSERT INTO main_service.mq_publish (protocol, service_name, entity, method_name)
                     VALUES ('json', 'old', 'thing', 'ask');
                 END IF;
                 RETURN NULL;
             END $$;
             CREATE TRIGGER again AFTER INSERT ON main_service.mq_reply
                 FOR EACH ROW EXECUTE FUNCTION public.ask_again()",
        )
        .await?;
    asleep(&world).await?;
    world.ask(&Message::to("old.thing.ask").protocol("json")).await?.ok()?;
    eventually("each reply has asked the next", async || Ok(world.count(ASKED).await? == 5)).await?;
    world.finish(&[&main]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn what_rings_no_bell_is_found_by_the_slow_poll() -> Outcome {
    let world = World::new().await?;
    let _answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    let main = world.start(world.sidecar("main")?.env("POLL_INTERVAL_MS", 200)).await?;
    asleep(&world).await?;
    world.admin.batch_execute("SET session_replication_role = replica").await?;
    let id = Message::to("old.thing.ask").protocol("json").publish(&world.admin).await?;
    world.await_reply(id).await?.ok()?;
    world.finish(&[&main]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn rows_for_a_dead_service_do_not_hold_up_the_others() -> Outcome {
    let world = World::new().await?;
    let answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    let main = world.start(world.sidecar("main")?.env("LANE_MAX", 64)).await?;
    Message::to("co.example.nobody").timeout(5).publish_many(&world.main, 5_000).await?;
    let id = Message::to("old.thing.ask").protocol("json").publish(&world.main).await?;
    world.await_reply(id).await?.ok()?;
    assert_eq!(answerer.taken(), 1);
    let left = world
        .count("SELECT count(*) FROM main_service.mq_publish p WHERE NOT EXISTS (SELECT FROM main_service.mq_reply r WHERE r.mq_id = p.id)")
        .await?;
    assert!(left > 0, "the dead service's rows still wait");
    world.finish(&[&main]).await?;
    Ok(())
}

/// Waits until the dispatcher of `main` sleeps.
pub async fn asleep(world: &World) -> Outcome {
    eventually("the dispatcher of main sleeps", async || {
        let row = world.admin.query_one("SELECT asleep FROM tpro.services WHERE name = 'main'", &[]).await?;
        Ok(row.get(0))
    })
    .await
}
