//! A standby becomes the primary, and what the old one had not shipped is lost; and a crash that loses commits.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::StreamExt;
use serde_json::json;
use tpro_testkit::{
    Database, Message, Outcome, Postgres, Recon, Sidecar, SidecarProcess, Signal, StopMode, World,
    eventually, listen, paths,
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

/// A service `rogue` in a database that has no part in the failover: its inbox forgets nothing.
async fn rogue_elsewhere(world: &World) -> Outcome<(Database, Arc<SidecarProcess>)> {
    let database = Postgres::shared().await?.database().await?;
    database.create_service("rogue").await?;
    let sidecar = world.sidecar_of("rogue", paths::rogue()?).env("DATABASE_URL", database.role_url("rogue"));
    Ok((database, world.start(sidecar).await?))
}

/// Publishes so many messages that are answered with their own words.
async fn publish_words(world: &World, word: &str, count: i32) -> Outcome<Vec<i64>> {
    let mut ids = Vec::new();
    for number in 0..count {
        let body = json!({"word": format!("{word} {number}")});
        ids.push(world.publish(&Message::to("rogue.default.echo").body(body).timeout(60)).await?);
    }
    Ok(ids)
}

/// What the outbox says of a message.
#[derive(Clone, Debug)]
struct Sent {
    uid: String,
    tx: String,
}

/// Every message, by id.
async fn messages(world: &World) -> Outcome<BTreeMap<i64, Sent>> {
    let rows = world.admin.query("SELECT id, uid::text, tx::text FROM main_service.mq_publish", &[]).await?;
    Ok(rows.iter().map(|row| (row.get(0), Sent { uid: row.get(1), tx: row.get(2) })).collect())
}

/// How many ids, and how many transaction ids, are those of messages that were there before and are lost.
fn again(before: &BTreeMap<i64, Sent>, now: &BTreeMap<i64, Sent>) -> (usize, usize) {
    let kept: BTreeSet<&str> = now.values().map(|sent| sent.uid.as_str()).collect();
    let lost = || before.iter().filter(|(_, sent)| !kept.contains(sent.uid.as_str()));
    let ids = lost().filter(|(id, _)| now.contains_key(id)).count();
    let new: BTreeSet<&str> = now.values().map(|sent| sent.tx.as_str()).collect();
    (ids, lost().filter(|(_, sent)| new.contains(sent.tx.as_str())).count())
}

/// The late replies that all copies have dropped so far.
async fn late_replies(copies: &[Arc<SidecarProcess>]) -> Outcome<f64> {
    let mut dropped = 0.0;
    for copy in copies {
        dropped += copy.metric("tpro_late_replies_total").await?;
    }
    Ok(dropped)
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

#[tpro_testkit::test]
async fn ids_that_a_failover_hands_out_again_are_new_messages() -> Outcome {
    let old = Postgres::own().start().await?;
    let mut world = World::options().services(&["main"]).cluster(old.clone()).start().await?;
    let (elsewhere, rogue) = rogue_elsewhere(&world).await?;
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
    let mut requests = listen(&slow, "tpro.old.thing.ask").await?;
    publish_words(&world, "lost", 2 * AHEAD + 40).await?;
    each_by_its_own_words(&world).await?;
    let silent = Message::to("old.thing.ask").protocol("json").timeout(120);
    let late = world.publish(&silent).await?;
    let late_request = requests.next().await.expect("the request has come");
    let lost = messages(&world).await?;

    old.stop(StopMode::Immediate).await?;
    standby.promote().await?;
    world.move_to(standby.clone()).await?;
    assert_eq!(world.count("SELECT count(*) FROM main_service.mq_reply").await?, 20, "the others are lost");
    // Ids are handed out again. That of the late one goes to a message that nobody answers for now.
    while publish_words(&world, "new", 1).await?.iter().all(|id| id + 1 < late) {}
    let open = world.publish(&silent.clone().body(json!({"word": "open"}))).await?;
    assert_eq!(open, late, "its id is handed out again");
    publish_words(&world, "more", 40).await?;

    // The fault has happened: ids and transactions are there again, under other uids.
    let now = messages(&world).await?;
    let (ids, transactions) = again(&lost, &now);
    assert!(ids > 40 && transactions > 40, "only {ids} ids and {transactions} transactions came again");
    let uid = &now[&open].uid;
    let mut request = requests.next().await.expect("it has come");
    while request
        .headers
        .as_ref()
        .and_then(|headers| headers.get("Nats-Msg-Id"))
        .is_none_or(|id| id.as_str() != uid)
    {
        request = requests.next().await.expect("it has come");
    }

    // The reply to what was lost settles nothing, though its id is in use and waits for one.
    let before = late_replies(&copies).await?;
    slow.publish(late_request.reply.expect("it wants a reply"), r#"{"word": "late"}"#.into()).await?;
    eventually("the late reply is dropped", async || Ok(late_replies(&copies).await? > before)).await?;
    let settled = format!("SELECT count(*) FROM main_service.mq_reply WHERE mq_id = {open}");
    assert_eq!(world.count(&settled).await?, 0, "the late reply has settled what it does not belong to");
    slow.publish(request.reply.expect("it wants a reply"), request.payload).await?;
    each_by_its_own_words(&world).await?;

    let recon = Recon::look(&elsewhere.connect().await?, &["rogue".to_owned()]).await?.clean()?;
    assert_eq!(recon.published, 0);
    for copy in &copies {
        copy.ready().await?;
    }
    world.finish(&[&copies[0], &copies[1], &rogue]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn ids_that_a_crash_hands_out_again_are_new_messages() -> Outcome {
    // No commit waits for the log, whose writer will stand still, and nobody else writes it meanwhile.
    let cluster = Postgres::own()
        .set("synchronous_commit", "off")
        .set("wal_buffers", "64MB")
        .set("bgwriter_lru_maxpages", "0")
        .start()
        .await?;
    let mut world = World::options().services(&["main"]).cluster(cluster.clone()).start().await?;
    let (elsewhere, rogue) = rogue_elsewhere(&world).await?;
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
    let (ids, transactions) = again(&before, &now);
    println!(
        "figure: crash without synchronous commit: {} messages lost, {ids} ids and {transactions} transactions again",
        before.len() - kept.len()
    );
    assert!(ids > 0 && transactions > 0, "{ids} ids and {transactions} transactions came again");
    Recon::look(&elsewhere.connect().await?, &["rogue".to_owned()]).await?.clean()?;
    main.ready().await?;
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}

/// The port of the server that a copy leads on, or the lack of one.
async fn leads_on(world: &World, cluster: &Postgres) -> Outcome<bool> {
    let session = tpro_testkit::postgres::connect(&cluster.superuser_url(world.database.name())).await?;
    let leads = "SELECT count(*) FROM tpro.services WHERE name = 'main' AND leader_pid IS NOT NULL";
    Ok(session.query_one(leads, &[]).await?.get::<_, i64>(0) == 1)
}

#[tpro_testkit::test]
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

#[tpro_testkit::test]
async fn a_primary_that_was_left_behind_is_passed_over_for_the_promoted_one() -> Outcome {
    // It says who connects to it.
    let old = Postgres::own().set("log_connections", "on").start().await?;
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
    // It is not even asked while the promoted one is there, which was the last to be good.
    standby.stop(StopMode::Fast).await?;
    let asked = || {
        let log = old.log();
        log.lines().filter(|line| line.contains("authorized") && line.contains("tpro/main/1/leader")).count()
    };
    // Whoever asks a third time has been refused twice.
    let before = asked();
    eventually("the old one is asked", async || Ok(asked() >= before + 3)).await?;
    assert_eq!(main.get("/readyz").await?.status, 503);
    assert!(!leads_on(&world, &old).await?);
    standby.start().await?;
    world.reconnect().await?;
    let id = world.publish(&request.clone().timeout(60)).await?;
    world.await_reply(id).await?.ok()?;
    assert!(leads_on(&world, &standby).await? && !leads_on(&world, &old).await?);
    assert_eq!(answerer.taken(), sent + 1, "the row of the old primary is not sent");
    main.ready().await?;
    world.finish(&[&main]).await?;
    Ok(())
}
