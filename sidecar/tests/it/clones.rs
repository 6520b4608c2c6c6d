//! A database that was copied: its copy must not send the original's messages.

use tpro_testkit::{Message, Outcome, Postgres, World, eventually};

use crate::answerer::Answerer;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_database_is_silent_until_it_is_adopted() -> Outcome {
    let world = World::new().await?;
    let answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    let request = Message::to("old.thing.ask").protocol("json");
    // Not the world's own database: nobody may be connected to one that is copied.
    let original = world.database.cluster().database().await?;
    original.create_service("main").await?;
    request.publish_many(&original.connect_as("main").await?, 10).await?;
    let copy = original.copy().await?;

    let main = world.spawn(world.sidecar("main")?.env("DATABASE_URL", copy.role_url("main")))?;
    eventually("it says that the database is to be adopted", async || {
        let Ok(ready) = main.get("/readyz").await else { return Ok(false) };
        Ok(ready.status == 503 && ready.body.contains("tpro.adopt()"))
    })
    .await?;
    assert_eq!(answerer.taken(), 0, "a copy sends nothing");

    let admin = copy.connect().await?;
    admin.batch_execute("SELECT tpro.adopt()").await?;
    main.ready().await?;
    eventually("its rows are settled", async || {
        let row =
            admin.query_one("SELECT count(*) FROM main_service.mq_reply WHERE status = 'ok'", &[]).await?;
        Ok(row.get::<_, i64>(0) == 10)
    })
    .await?;
    assert_eq!(answerer.taken(), 10);
    // The rows of the copy are older than its own transactions; new ones are read all the same.
    let session = copy.connect_as("main").await?;
    let id = request.publish(&session).await?;
    tpro_testkit::Reply::wait(&session, "main", id).await?.ok()?;
    world.finish(&[&main]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_physical_clone_is_silent_while_the_original_leads() -> Outcome {
    let original = Postgres::own().start().await?;
    let world = World::options().services(&["main"]).cluster(original.clone()).start().await?;
    let answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    let main = world.run("main").await?;
    let request = Message::to("old.thing.ask").protocol("json");
    world.ask(&request).await?.ok()?;

    let copy = world.database.in_copy(Postgres::own().start_copy_of(&original).await?);
    let session = copy.connect_as("main").await?;
    request.publish(&session).await?;
    let clone = world.spawn(world.sidecar("main")?.copy(2).env("DATABASE_URL", copy.role_url("main")))?;
    eventually("it says that it is led elsewhere", async || {
        let Ok(ready) = clone.get("/readyz").await else { return Ok(false) };
        Ok(ready.status == 503 && ready.body.contains("clone"))
    })
    .await?;
    world.ask(&request).await?.ok()?;
    assert_eq!(answerer.taken(), 2, "the clone's row is not sent");
    world.finish(&[&main, &clone]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_databases_on_one_nats_do_not_see_each_others_replies() -> Outcome {
    let (one, two) = (World::new().await?, World::new().await?);
    let answerer = Answerer::echo(&one.nats, "tpro.old.thing.ask").await?;
    let first = one.run("main").await?;
    let second = two.sidecar("main")?.env("NATS_URL", one.nats.url()).env("NATS_TOKEN", one.nats.token());
    let second = two.start(second).await?;
    let request = Message::to("old.thing.ask").protocol("json");
    for _ in 0..5 {
        request.publish_many(&one.main, 100).await?;
        request.publish_many(&two.main, 100).await?;
    }
    for world in [&one, &two] {
        assert_eq!(world.recon().await?.settled, 500);
        assert!(world.replies("main").await?.iter().all(|reply| reply.status == "ok" && reply.attempts == 1));
    }
    assert_eq!(answerer.taken(), 1_000);
    for copy in [&first, &second] {
        for strange in ["tpro_late_replies_total", "tpro_dropped_replies_total"] {
            assert_eq!(copy.metric(strange).await?, 0.0, "{strange}");
        }
    }
    one.finish(&[&first]).await?;
    two.finish(&[&second]).await?;
    Ok(())
}
