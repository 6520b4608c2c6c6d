//! A foreign session that listens and never reads, so that the database's NOTIFY queue fills up.

use tpro_testkit::{Message, Outcome, World, eventually};

use crate::answerer::Answerer;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notify_queue_that_fills_up_is_shown_and_never_by_us() -> Outcome {
    let world = World::new().await?;
    let _answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    // The queue has 8 GB: what counts as full is lowered, instead of filling half of that.
    let main =
        world.start(world.sidecar("main")?.env("FAILPOINTS", "db.notify_queue_ppm=return(1000)")).await?;
    let request = Message::to("old.thing.ask").protocol("json");

    let foreign = world.database.connect().await?;
    foreign.batch_execute("LISTEN anything").await?;
    foreign.batch_execute("BEGIN; SELECT 1").await?;
    // A thousand wake-ups of ours are nothing in it.
    let usage = "SELECT (pg_notification_queue_usage() * 1000000)::bigint";
    for _ in 0..20 {
        eventually("the dispatcher sleeps", async || {
            Ok(world
                .admin
                .query_one("SELECT asleep FROM tpro.services WHERE name = 'main'", &[])
                .await?
                .get(0))
        })
        .await?;
        request.publish_many(&world.main, 50).await?;
        world.recon().await?;
    }
    assert!(world.count(usage).await? < 10, "twenty bells take a millionth part of the queue");
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
