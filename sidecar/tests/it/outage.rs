//! A copy without its servers. (More faults than these are for the fault tests.)

use serde_json::json;
use tpro_testkit::proxy::Fault;
use tpro_testkit::{Message, Outcome, Postgres, Proxy, StopMode, World, eventually};

use crate::answerer::Answerer;
use crate::cursor::asleep;
use crate::rogue::Rogue;

#[tpro_testkit::test]
async fn without_nats_a_copy_waits_alive_and_not_ready() -> Outcome {
    let world = World::new().await?;
    world.nats.stop().await?;
    let main = world.spawn(world.sidecar("main")?)?;
    eventually("it says that NATS is missing", async || {
        let Ok(ready) = main.get("/readyz").await else { return Ok(false) };
        Ok(ready.status == 503 && ready.body.to_lowercase().contains("nats"))
    })
    .await?;
    assert_eq!(main.get("/healthz").await?.status, 200);
    let id = world.publish(&Message::to("old.thing.ask").protocol("json")).await?;
    world.nats.start().await?;
    let _answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    main.ready().await?;
    world.await_reply(id).await?.ok()?;
    world.finish(&[&main]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn without_its_database_a_copy_waits_alive_and_not_ready() -> Outcome {
    let world = World::new().await?;
    let _answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    let proxy = Proxy::start(world.database.cluster().port()).await?;
    proxy.set(Fault::Reset);
    let port = world.database.cluster().port().to_string();
    let url = world.database.role_url("main").replace(&port, &proxy.port().to_string());
    let main = world.spawn(world.sidecar("main")?.env("DATABASE_URL", url))?;
    eventually("it says that the database is missing", async || {
        let Ok(ready) = main.get("/readyz").await else { return Ok(false) };
        Ok(ready.status == 503 && ready.body.to_lowercase().contains("database"))
    })
    .await?;
    assert_eq!(main.get("/healthz").await?.status, 200);
    proxy.set(Fault::None);
    main.ready().await?;
    let ask = Message::to("old.thing.ask").protocol("json");
    world.ask(&ask).await?.ok()?;

    // And once more while it works.
    proxy.set(Fault::Reset);
    eventually("it is not ready", async || Ok(main.get("/readyz").await?.status == 503)).await?;
    let id = world.publish(&ask).await?;
    proxy.set(Fault::None);
    world.await_reply(id).await?.ok()?;
    main.ready().await?;
    world.finish(&[&main]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_restart_of_nats_costs_no_message() -> Outcome {
    let world = World::demo().await?;
    let main = world.run("main").await?;
    let analytic = world.run("analytic").await?;
    let request = crate::login::request("request_with_parallel_queries").timeout(60);
    // What is answered cannot be stored for a while, so that it is in flight when the server goes.
    let held = world.database.connect().await?;
    held.batch_execute("BEGIN; LOCK TABLE analytic_service.mq_outcome IN SHARE MODE").await?;
    request.publish_many(&world.main, 500).await?;
    eventually("some are in hand on both sides", async || {
        Ok(main.metric("tpro_in_flight").await? > 0.0
            && analytic.metric("tpro_handlers_at_work").await? > 0.0)
    })
    .await?;
    world.nats.kill().await?;
    for copy in [&main, &analytic] {
        eventually("it has lost the server", async || {
            Ok(copy.metric("tpro_nats_disconnects_total").await? > 0.0)
        })
        .await?;
    }
    assert!(main.metric("tpro_in_flight").await? > 0.0, "they were in flight");
    assert_eq!(world.count("SELECT count(*) FROM main_service.mq_reply").await?, 0);
    held.batch_execute("COMMIT").await?;
    request.publish_many(&world.main, 500).await?;
    world.nats.start().await?;
    request.publish_many(&world.main, 100).await?;
    world.recon().await?;
    for reply in world.replies("main").await? {
        assert_eq!(reply.status, "ok", "{reply:?}");
    }
    world.finish(&[&main, &analytic]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_restart_of_postgresql_costs_no_message() -> Outcome {
    let cluster = Postgres::own().start().await?;
    let mut world = World::options().services(&["main", "rogue"]).cluster(cluster.clone()).start().await?;
    world.admin.batch_execute(Rogue::EFFECTS).await?;
    let answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    // Without the slow poll the bell alone wakes it: it must have listened again.
    let main = world.start(world.sidecar("main")?.env("POLL_INTERVAL_MS", 0)).await?;
    let request = Message::to("old.thing.ask").protocol("json").timeout(60);
    world.ask(&request).await?.ok()?;
    // Its inbox and its effects are in the same database.
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    let effect = Rogue::request("transactional.effect", json!({})).timeout(60);
    for mode in [StopMode::Fast, StopMode::Immediate] {
        request.publish_many(&world.main, 1_000).await?;
        effect.publish_many(&world.main, 500).await?;
        cluster.restart(mode).await?;
        world.reconnect().await?;
        world.recon().await?;
        asleep(&world).await?;
        world.ask(&request).await?.ok()?;
    }
    assert!(main.metric("tpro_takeovers_total").await? >= 3.0, "it has lost its session twice");
    assert!(answerer.taken() >= 2_003);
    let replies = world.replies("main").await?;
    let other: Vec<_> = replies.iter().filter(|reply| reply.status != "ok").collect();
    assert!(replies.len() == 3_003 && other.is_empty(), "{} of {}: {other:?}", other.len(), replies.len());
    assert_eq!(Rogue::effects(&world).await?, 1_000, "each was done once");
    main.ready().await?;
    rogue.ready().await?;
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn sessions_that_are_terminated_cost_no_message() -> Outcome {
    let world = Rogue::world().await?;
    let main = world.start(world.sidecar("main")?.env("ATTEMPT_TIMEOUT_MS", 500)).await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    let terminate = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name LIKE 'tpro/%' ORDER BY random() LIMIT 1";
    for _ in 0..20 {
        Rogue::request("transactional.effect", json!({})).timeout(60).publish_many(&world.main, 50).await?;
        eventually("a session is terminated", async || {
            Ok(world.admin.query(terminate, &[]).await?.iter().any(|row| row.get(0)))
        })
        .await?;
    }
    world.recon().await?;
    assert!(world.replies("main").await?.iter().all(|reply| reply.status == "ok"));
    assert_eq!(Rogue::effects(&world).await?, 1_000);
    main.ready().await?;
    rogue.ready().await?;
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}
