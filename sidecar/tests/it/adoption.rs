//! A database that becomes another one while its copies run, and two that believe to be the same.

use tpro_testkit::{Context, Message, Outcome, Postgres, Signal, World, eventually};

use crate::answerer::Answerer;

#[tpro_testkit::test]
async fn a_copy_on_a_clone_or_an_unadopted_database_answers_no_requests() -> Outcome {
    let original = Postgres::own().start().await?;
    let world = World::options().services(&["main", "analytic"]).cluster(original.clone()).start().await?;
    let analytic = world.run("analytic").await?;
    // The services' roles are there before the dump is restored.
    let elsewhere = Postgres::own().start().await?;
    let roles = elsewhere.database().await?;
    for service in ["main", "analytic"] {
        roles.create_service(service).await?;
    }
    let restored = world.database.restore_in(elsewhere)?;
    let clone = world.database.in_copy(Postgres::own().start_copy_of(&original).await?);

    let mut others = Vec::new();
    for (number, (database, word)) in [(&clone, "clone"), (&restored, "tpro.adopt()")].into_iter().enumerate()
    {
        let copy = world
            .sidecar("analytic")?
            .copy(number as u32 + 2)
            .env("DATABASE_URL", database.role_url("analytic"));
        let copy = world.spawn(copy)?;
        eventually("it says why it takes no part", async || {
            let Ok(ready) = copy.get("/readyz").await else { return Ok(false) };
            Ok(ready.status == 503 && ready.body.contains(word))
        })
        .await?;
        others.push(copy);
    }
    let page = world.nats.monitor("/subsz?subs=1").await?;
    let list = page["subscriptions_list"].as_array().cloned().unwrap_or_default();
    let queue = list.iter().filter(|subscription| subscription["qgroup"] == "analytic-queue");
    assert_eq!(queue.count(), 1, "{list:?}");
    world.finish(&[&analytic, &others[0], &others[1]]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_clone_that_was_refused_does_not_lead_while_the_original_restarts_and_leads_when_it_is_adopted()
-> Outcome {
    let original = Postgres::own().start().await?;
    let world = World::options().services(&["main"]).cluster(original.clone()).start().await?;
    let answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    let main = world.run("main").await?;
    let copy = world.database.in_copy(Postgres::own().start_copy_of(&original).await?);
    let request = Message::to("old.thing.ask").protocol("json");
    request.publish(&copy.connect_as("main").await?).await?;
    // When it is a database of its own, it serves in a space of its own.
    let clone = world.sidecar("main")?.copy(2).env("DATABASE_URL", copy.role_url("main"));
    let clone = world.spawn(clone.env("TPRO_SPACE", "clone"))?;
    let says = async |words: &str| {
        eventually(&format!("the clone says: {words}"), async || {
            let Ok(ready) = clone.get("/readyz").await else { return Ok(false) };
            Ok(ready.status == 503 && ready.body.contains(words))
        })
        .await
    };
    says("stays so").await?;

    main.stop().await?;
    // Two questions later nobody has objected.
    eventually("the clone has looked twice more", async || {
        let looks = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tpro/main/2/gate'";
        let admin = copy.connect().await?;
        Ok(admin.query_one(looks, &[]).await?.get::<_, i64>(0) >= 1)
    })
    .await?;
    says("stays so").await?;
    assert_eq!(answerer.taken(), 0, "the clone sends nothing");
    let back = world.start(main.sidecar()).await?;
    world.ask(&request).await?.ok()?;

    // As a database of its own it may.
    copy.connect().await?.batch_execute("SELECT tpro.adopt()").await?;
    clone.ready().await?;
    assert!(clone.log().contains("restarting"), "{}", clone.log());
    eventually("its row is settled", async || {
        let admin = copy.connect().await?;
        let settled = "SELECT count(*) FROM main_service.mq_reply WHERE status = 'ok'";
        Ok(admin.query_one(settled, &[]).await?.get::<_, i64>(0) == 1)
    })
    .await?;
    world.finish(&[&back, &clone]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn of_two_clones_that_both_lead_the_one_that_was_started_later_gives_way() -> Outcome {
    let original = Postgres::own().start().await?;
    let world = World::options().services(&["main"]).cluster(original.clone()).start().await?;
    let answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    let main = world.run("main").await?;
    let request = Message::to("old.thing.ask").protocol("json");
    world.ask(&request).await?.ok()?;

    // It is asked while it stands still, and so does not object.
    let copy = world.database.in_copy(Postgres::own().start_copy_of(&original).await?);
    main.signal(Signal::STOP)?;
    let clone = world.spawn(world.sidecar("main")?.copy(2).env("DATABASE_URL", copy.role_url("main")))?;
    eventually("the clone leads", async || Ok(clone.log().contains("leads"))).await?;
    main.signal(Signal::CONT)?;
    eventually("the clone gives way", async || {
        let ready = clone.get("/readyz").await.context("the clone answers")?;
        Ok(ready.status == 503 && ready.body.contains("clone"))
    })
    .await?;
    world.ask(&request).await?.ok()?;
    assert_eq!(answerer.taken(), 2);
    assert_eq!(main.metric("tpro_takeovers_total").await?, 1.0, "the original went on all the time");
    world.finish(&[&main, &clone]).await?;
    Ok(())
}
