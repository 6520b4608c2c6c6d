//! A foreign session that listens and never reads, so that the database's NOTIFY queue fills up.

use tpro_testkit::{Message, Outcome, Postgres, World, eventually};

use crate::answerer::Answerer;
use crate::bursts::Listener;
use crate::cursor::asleep;

/// So many transactions with a message each, one after the other.
fn commits(count: u32) -> String {
    format!(
        "DO $$ BEGIN
             FOR n IN 1 .. {count} LOOP
                 INSERT INTO main_service.mq_publish (protocol, service_name, entity, method_name, timeout)
                     VALUES ('json', 'old', 'thing', 'ask', 120);
                 COMMIT;
             END LOOP;
         END $$"
    )
}

#[tpro_testkit::test]
async fn a_notify_queue_that_fills_up_is_shown_and_never_by_us() -> Outcome {
    // The queue is the cluster's: in one of our own nobody else's notifications are in it.
    let cluster = Postgres::own().start().await?;
    let world = World::options().cluster(cluster).start().await?;
    let _answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    // The queue has 8 GB: what counts as full is lowered, instead of filling half of that.
    let main = world.sidecar("main")?.env("FAILPOINTS", "db.notify_queue_ppm=return(1000)");
    let main = world.start(main.env("POLL_INTERVAL_MS", 0)).await?;
    let request = Message::to("old.thing.ask").protocol("json");

    let foreign = world.database.connect().await?;
    foreign.batch_execute("LISTEN anything").await?;
    foreign.batch_execute("BEGIN; SELECT 1").await?;
    let usage = "SELECT (pg_notification_queue_usage() * 1000000)::bigint";
    let mut listener = Listener::start(&world).await?;
    // Who sleeps is woken once by each publish.
    for _ in 0..20 {
        asleep(&world).await?;
        request.publish_many(&world.main, 50).await?;
        world.recon().await?;
    }
    assert_eq!(listener.heard().await?, 20);
    // While a prepared transaction keeps the dispatcher awake, thousands of commits are no notification.
    let kept = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 3 AND granted AND pid IS NULL
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    eventually("a prepared transaction keeps the bell", async || {
        // They ring too often, so that the bell is let go for a while.
        world.main.batch_execute(&commits(300)).await?;
        world.main.batch_execute("BEGIN").await?;
        world.publish(&request).await?;
        world.main.batch_execute("PREPARE TRANSACTION 'awake'").await?;
        if world.count(kept).await? == 1 {
            return Ok(true);
        }
        world.main.batch_execute("ROLLBACK PREPARED 'awake'").await?;
        Ok(false)
    })
    .await?;
    let before = listener.heard().await?;
    world.main.batch_execute(&commits(5_000)).await?;
    assert_eq!(listener.heard().await? - before, 0, "5,000 transactions rang for somebody who was awake");
    world.main.batch_execute("COMMIT PREPARED 'awake'").await?;
    world.recon().await?;
    assert!(world.count(usage).await? < 10, "our bells take a millionth part of the queue");
    assert_eq!(main.get("/readyz").await?.status, 200);

    // Somebody else's notifications fill it: 2,000 pages of 8 kB.
    let fill = "SELECT pg_notify('anything', n || repeat('x', 7000)) FROM generate_series(1, 2000) AS n";
    world.admin.batch_execute(fill).await?;
    assert!(world.count(usage).await? > 1_000);
    eventually("it says so", async || {
        let ready = main.get("/readyz").await?;
        Ok(ready.status == 503 && ready.body.contains("NOTIFY queue"))
    })
    .await?;
    assert!(main.metric("tpro_notify_queue_usage").await? > 0.001);
    world.ask(&request).await?.ok()?;

    foreign.batch_execute("COMMIT").await?;
    main.ready().await?;
    world.ask(&request).await?.ok()?;
    world.finish(&[&main]).await?;
    Ok(())
}
