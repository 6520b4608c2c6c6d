//! A standby becomes the primary, and what the old one had not shipped is lost; and a crash that loses commits.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::StreamExt;
use serde_json::json;
use tpro_testkit::{
    Database, Message, Outcome, Postgres, Recon, Sidecar, SidecarProcess, Signal, StopMode, World,
    eventually, paths,
};

use crate::answerer::Answerer;

/// A standby may skip this many ids: a sequence is written to the log so far ahead.
const AHEAD: i32 = 33;

/// A copy of `main` that knows of several servers.
fn main_of(world: &World, clusters: &[&Postgres]) -> Outcome<Sidecar> {
    let port = format!("127.0.0.1:{}", world.database.cluster().port());
    let ports: Vec<String> = clusters.iter().map(|cluster| format!("127.0.0.1:{}", cluster.port())).collect();
    let url = world.database.role_url("main").replace(&port, &ports.join(","));
    Ok(world.sidecar("main")?.env("DATABASE_URL", url))
}

/// A service `probe` in a database that has no part in the failover: its inbox forgets nothing.
async fn probe_elsewhere(world: &World) -> Outcome<(Database, Arc<SidecarProcess>)> {
    let database = Postgres::shared().await?.database().await?;
    database.create_service("probe").await?;
    let sidecar =
        world.sidecar_of("probe", paths::example("probe")?).env("DATABASE_URL", database.role_url("probe"));
    Ok((database, world.start(sidecar).await?))
}

/// Publishes so many messages that are answered with their own words.
async fn publish_words(world: &World, word: &str, count: i32) -> Outcome<Vec<i64>> {
    let mut ids = Vec::new();
    for number in 0..count {
        let body = json!({"word": format!("{word} {number}")});
        ids.push(world.publish(&Message::to("probe.default.echo").body(body).timeout(60)).await?);
    }
    Ok(ids)
}

/// Body and uid of every message, by id.
async fn messages(world: &World) -> Outcome<BTreeMap<i64, (String, String)>> {
    let rows =
        world.admin.query("SELECT id, body::text, uid::text FROM main_service.mq_publish", &[]).await?;
    Ok(rows.iter().map(|row| (row.get(0), (row.get(1), row.get(2)))).collect())
}

/// Every message of `main` is settled by its own words.
async fn each_by_its_own_words(world: &World) -> Outcome {
    let other =
        "SELECT count(*) FROM main_service.mq_publish p JOIN main_service.mq_reply r ON r.mq_id = p.id
        WHERE r.status <> 'ok' OR r.result <> p.body OR r.uid <> p.uid";
    Recon::drained(&world.admin, &["main".to_owned()]).await?;
    assert_eq!(world.count(other).await?, 0, "messages were settled by what belongs to others");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ids_that_a_failover_hands_out_again_are_new_messages() -> Outcome {
    let old = Postgres::own().start().await?;
    let mut world = World::options().services(&["main"]).cluster(old.clone()).start().await?;
    let (elsewhere, probe) = probe_elsewhere(&world).await?;
    let standby = Postgres::own().start_standby_of(&old).await?;
    let servers = [&*old, &*standby];
    let copies = [
        world.start(main_of(&world, &servers)?).await?,
        world.start(main_of(&world, &servers)?.copy(2)).await?,
    ];
    publish_words(&world, "kept", 20).await?;
    world.recon().await?;
    standby.catch_up(&old).await?;
    standby.fall_behind().await?;

    // Somebody takes this one and answers when the row is long lost.
    let slow = world.nats.client().await?;
    let mut requests = slow.subscribe("tpro.old.thing.ask").await?;
    slow.flush().await?;
    publish_words(&world, "lost", 2 * AHEAD + 40).await?;
    each_by_its_own_words(&world).await?;
    let late = world.publish(&Message::to("old.thing.ask").protocol("json").timeout(60)).await?;
    let late_request = requests.next().await.expect("the request has come");
    let lost = messages(&world).await?;

    old.stop(StopMode::Immediate).await?;
    standby.promote().await?;
    world.move_to(standby.clone()).await?;
    assert_eq!(world.count("SELECT count(*) FROM main_service.mq_reply").await?, 20, "the others are lost");
    publish_words(&world, "new", 2 * AHEAD + 40).await?;
    each_by_its_own_words(&world).await?;

    // The fault has happened: ids are there again, under other uids.
    let now = messages(&world).await?;
    let again = now.iter().filter(|(id, (_, uid))| lost.get(id).is_some_and(|(_, lost)| lost != uid)).count();
    assert!(again > 40, "only {again} ids were handed out again");

    // The reply to what was lost settles nothing, though its id is in use.
    while !messages(&world).await?.contains_key(&late) {
        publish_words(&world, "more", 1).await?;
    }
    let reply = late_request.reply.expect("it wants a reply");
    slow.publish(reply, r#"{"word": "late"}"#.into()).await?;
    eventually("the late reply is dropped", async || {
        let mut dropped = 0.0;
        for copy in &copies {
            dropped += copy.metric("tpro_late_replies_total").await?;
        }
        Ok(dropped >= 1.0)
    })
    .await?;
    each_by_its_own_words(&world).await?;

    let recon = Recon::look(&elsewhere.connect().await?, &["probe".to_owned()]).await?.clean()?;
    assert_eq!(recon.published, 0);
    for copy in &copies {
        copy.ready().await?;
    }
    world.finish(&[&copies[0], &copies[1], &probe]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ids_that_a_crash_hands_out_again_are_new_messages() -> Outcome {
    // No commit waits for the log, whose writer will stand still, and nobody else writes it meanwhile.
    let cluster = Postgres::own()
        .set("synchronous_commit", "off")
        .set("wal_buffers", "64MB")
        .set("bgwriter_lru_maxpages", "0")
        .start()
        .await?;
    let mut world = World::options().services(&["main"]).cluster(cluster.clone()).start().await?;
    let (elsewhere, probe) = probe_elsewhere(&world).await?;
    let main = world.run("main").await?;
    publish_words(&world, "kept", 20).await?;
    world.recon().await?;
    world.admin.batch_execute("CHECKPOINT").await?;
    let writer = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'";
    let writer = world.admin.query_one(writer, &[]).await?.get(0);
    cluster.signal_backend(writer, Signal::STOP)?;

    publish_words(&world, "lost", 3 * AHEAD).await?;
    each_by_its_own_words(&world).await?;
    let before = messages(&world).await?;
    cluster.restart(StopMode::Immediate).await?;
    world.reconnect().await?;
    let kept = messages(&world).await?;
    assert!(kept.len() < before.len(), "the crash has lost nothing of {} messages", before.len());

    publish_words(&world, "new", 3 * AHEAD).await?;
    each_by_its_own_words(&world).await?;
    let now = messages(&world).await?;
    let again =
        now.iter().filter(|(id, (_, uid))| before.get(id).is_some_and(|(_, lost)| lost != uid)).count();
    println!(
        "figure: crash without synchronous commit: {} messages lost, {again} ids again",
        before.len() - kept.len()
    );
    Recon::look(&elsewhere.connect().await?, &["probe".to_owned()]).await?.clean()?;
    main.ready().await?;
    world.finish(&[&main, &probe]).await?;
    Ok(())
}

/// The port of the server that a copy leads on, or the lack of one.
async fn leads_on(world: &World, cluster: &Postgres) -> Outcome<bool> {
    let session = tpro_testkit::postgres::connect(&cluster.superuser_url(world.database.name())).await?;
    let leads = "SELECT count(*) FROM tpro.services WHERE name = 'main' AND leader_pid IS NOT NULL";
    Ok(session.query_one(leads, &[]).await?.get::<_, i64>(0) == 1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_is_passed_over_for_the_primary() -> Outcome {
    let primary = Postgres::own().start().await?;
    let world = World::options().services(&["main"]).cluster(primary.clone()).start().await?;
    let _answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    let standby = Postgres::own().start_standby_of(&primary).await?;
    standby.catch_up(&primary).await?;
    let main = world.start(main_of(&world, &[&standby, &primary])?).await?;
    world.ask(&Message::to("old.thing.ask").protocol("json")).await?.ok()?;
    assert!(leads_on(&world, &primary).await?);

    // A copy that knows of the standby only is not ready, and says why.
    let lost = world.spawn(main_of(&world, &[&standby])?.copy(2))?;
    eventually("it says that this is no primary", async || {
        let Ok(ready) = lost.get("/readyz").await else { return Ok(false) };
        Ok(ready.status == 503 && ready.body.contains("standby"))
    })
    .await?;
    assert!(!lost.log().contains("leads"));
    world.finish(&[&main, &lost]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_was_left_behind_is_passed_over_for_the_promoted_one() -> Outcome {
    let old = Postgres::own().start().await?;
    let mut world = World::options().services(&["main"]).cluster(old.clone()).start().await?;
    let answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    let request = Message::to("old.thing.ask").protocol("json");
    let standby = Postgres::own().start_standby_of(&old).await?;
    let main = world.start(main_of(&world, &[&old, &standby])?).await?;
    world.ask(&request).await?.ok()?;
    standby.catch_up(&old).await?;
    old.stop(StopMode::Immediate).await?;
    standby.promote().await?;
    world.move_to(standby.clone()).await?;
    world.ask(&request).await?.ok()?;

    // The old one comes back as the primary that it believes to be, with a row that was never sent, and it is first.
    old.start().await?;
    let left = tpro_testkit::postgres::connect(&old.role_url("main", world.database.name())).await?;
    request.publish(&left).await?;
    let sent = answerer.taken();
    let terminate = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name LIKE 'tpro/%'";
    assert!(world.count(terminate).await? >= 2, "it had its sessions here");
    let id = world.publish(&request.clone().timeout(60)).await?;
    world.await_reply(id).await?.ok()?;
    assert!(leads_on(&world, &standby).await? && !leads_on(&world, &old).await?);
    assert_eq!(answerer.taken(), sent + 1, "the row of the old primary is not sent");
    main.ready().await?;
    world.finish(&[&main]).await?;
    Ok(())
}
