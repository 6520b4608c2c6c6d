//! A database that was copied: its copy must not send the original's messages.

use serde_json::json;
use tokio_postgres::Client;
use tpro_testkit::{Message, Outcome, Postgres, Recon, World, eventually};

use crate::answerer::Answerer;
use crate::rogue::Rogue;

/// The number of messages in each table of the services, in the order of the names. A message that
/// was sent again under load has more than one row in `mq_receive`: its runs are counted there.
async fn messages(session: &Client) -> Outcome<Vec<i64>> {
    let mut rows = Vec::new();
    for service in ["main", "rogue"] {
        for table in ["mq_publish", "mq_reply", "mq_receive", "mq_outcome"] {
            let count = format!("SELECT count(DISTINCT uid) FROM {service}_service.{table}");
            rows.push(session.query_one(&count, &[]).await?.get(0));
        }
    }
    Ok(rows)
}

#[tpro_testkit::test]
async fn a_restored_database_is_silent_until_it_is_adopted() -> Outcome {
    let world = Rogue::world().await?;
    let answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    let request = Message::to("old.thing.ask").protocol("json");
    let main = world.run("main").await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    for method in ["transactional.effect", "default.effect"] {
        Rogue::request(method, json!({})).publish_many(&world.main, 50).await?;
    }
    world.recon().await?;
    main.stop().await?;
    rogue.stop().await?;
    request.publish_many(&world.main, 10).await?;

    // Into a cluster of its own, in which the services were made before for the sake of their roles.
    let elsewhere = Postgres::own().start().await?;
    let roles = elsewhere.database().await?;
    for service in ["main", "rogue"] {
        roles.create_service(service).await?;
    }
    let copy = world.database.restore_in(elsewhere)?;
    let admin = copy.connect().await?;
    let there = messages(&admin).await?;
    assert_eq!(there, [110, 100, 0, 0, 0, 0, 100, 100]);
    assert_eq!(there, messages(&world.admin).await?);

    // The original comes back later, and answers in the space that it had.
    let restored = world.sidecar("main")?.copy(2).env("DATABASE_URL", copy.role_url("main"));
    let restored = world.spawn(restored.env("TPRO_SPACE", "restored"))?;
    eventually("it says that the database is to be adopted", async || {
        let Ok(ready) = restored.get("/readyz").await else { return Ok(false) };
        Ok(ready.status == 503 && ready.body.contains("tpro.adopt()"))
    })
    .await?;
    assert_eq!(answerer.taken(), 0, "a copy sends nothing");

    admin.batch_execute("SELECT tpro.adopt()").await?;
    restored.ready().await?;
    // It goes by the name of what was adopted: the reply subjects of the old one are the original's.
    let instance: String = admin.query_one("SELECT tpro.instance()::text", &[]).await?.get(0);
    let told = restored.get("/version").await?.body;
    assert!(told.contains(&instance), "the database is {instance} now, and the copy goes by {told}");
    let services = ["main", "rogue"].map(str::to_owned);
    Recon::drained(&admin, &services).await?;
    assert_eq!(answerer.taken(), 10);
    // The rows of the copy may be older or younger than its own transactions; new ones are read all the same.
    let session = copy.connect_as("main").await?;
    let id = request.publish(&session).await?;
    tpro_testkit::Reply::wait(&session, "main", id).await?.ok()?;
    // The inbox has come along, and the copy's own service goes on with it.
    let second = world.start(Rogue::copy(&world, 2)?.env("DATABASE_URL", copy.role_url("rogue"))).await?;
    let id = Rogue::request("transactional.effect", json!({})).publish(&session).await?;
    tpro_testkit::Reply::wait(&session, "main", id).await?.ok()?;
    let recon = Recon::look(&admin, &services).await?.clean()?;
    assert_eq!((recon.published, recon.settled), (112, 112));
    let ok = "SELECT count(*) FROM main_service.mq_reply WHERE status = 'ok'";
    assert_eq!(admin.query_one(ok, &[]).await?.get::<_, i64>(0), 112);
    second.stop().await?;

    // The original has not felt it.
    let main = world.start(main.sidecar()).await?;
    world.recon().await?;
    assert_eq!(answerer.taken(), 21);
    world.finish(&[&main, &restored]).await?;
    Ok(())
}

#[tpro_testkit::test]
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

#[tpro_testkit::test]
async fn two_databases_on_one_nats_do_not_see_each_others_replies() -> Outcome {
    let (one, two) = (World::new().await?, World::new().await?);
    let answerer = Answerer::echo(&one.nats, "tpro.old.thing.ask").await?;
    let first = one.run("main").await?;
    let second = two.sidecar("main")?.env("NATS_URL", one.nats.url()).env("NATS_TOKEN", one.nats.token());
    // What both ask is answered by a third; what they answer themselves is told apart by the space.
    let second = second.env("TPRO_SPACE", "second");
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
