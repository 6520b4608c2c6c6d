//! `ALTER EXTENSION pg_tpro UPDATE` and `tpro.upgrade_services()` while everything works.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use serde_json::json;
use tokio_postgres::Client;
use tpro_testkit::{Outcome, Postgres, Reply, SidecarProcess, World, eventually};

use crate::rogue::Rogue;

/// A version that there is not.
const VERSION: &str = "9.9.9";

/// An upgrade that puts every function of the extension anew, as it is.
async fn script(admin: &Client) -> Outcome<String> {
    let functions =
        "SELECT pg_get_functiondef(d.objid) FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
        WHERE e.extname = 'pg_tpro' AND d.deptype = 'e' AND d.classid = 'pg_proc'::regclass";
    let definitions = admin.query(functions, &[]).await?;
    assert!(definitions.len() > 20, "the functions of the extension");
    Ok(definitions.iter().map(|row| row.get::<_, String>(0) + ";\n").collect())
}

/// Publishes until it is told to stop.
async fn publish(session: Client, over: Arc<AtomicBool>, published: Arc<AtomicI64>) -> Outcome {
    while !over.load(Ordering::SeqCst) {
        Rogue::request("transactional.effect", json!({})).timeout(60).publish(&session).await?;
        published.fetch_add(1, Ordering::SeqCst);
    }
    Ok(())
}

#[tpro_testkit::test]
async fn an_update_of_the_extension_under_load_costs_nothing() -> Outcome {
    // Of its own, since every session of it goes through the update.
    let cluster = Postgres::own().start().await?;
    let world = World::options().services(&["main", "rogue"]).cluster(cluster.clone()).start().await?;
    world.admin.batch_execute(Rogue::EFFECTS).await?;
    let main = world.run("main").await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    let (over, published) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicI64::new(0)));
    let mut publishers = Vec::new();
    for _ in 0..2 {
        let session = world.database.connect_as("main").await?;
        publishers.push(tokio::spawn(publish(session, over.clone(), published.clone())));
    }
    let more = async |count: i64| {
        let target = published.load(Ordering::SeqCst) + count;
        eventually("more is published", async || Ok(published.load(Ordering::SeqCst) >= target)).await
    };
    more(100).await?;

    let upgrade = cluster.install_version(VERSION, &script(&world.admin).await?)?;
    let updated = world.admin.batch_execute(&format!("ALTER EXTENSION pg_tpro UPDATE TO '{VERSION}'")).await;
    std::fs::remove_file(upgrade)?;
    updated?;
    let version = "SELECT count(*) FROM pg_extension WHERE extname = 'pg_tpro' AND extversion = '9.9.9'";
    assert_eq!(world.count(version).await?, 1);
    more(100).await?;
    // A session that begins now has the library's new file, the others have the old one.
    let after = world.database.connect_as("main").await?;
    let id = Rogue::request("transactional.effect", json!({})).timeout(60).publish(&after).await?;
    Reply::wait(&after, "main", id).await?.ok()?;

    over.store(true, Ordering::SeqCst);
    for publisher in publishers {
        publisher.await??;
    }
    world.recon().await?;
    assert!(world.replies("main").await?.iter().all(|reply| reply.status == "ok"));
    assert_eq!(Rogue::effects(&world).await?, published.load(Ordering::SeqCst) + 1);
    for copy in [&main, &rogue] {
        assert_eq!(copy.metric("tpro_takeovers_total").await?, 1.0, "no session was lost");
    }
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}

/// Waits until a copy that is not ready says this.
async fn says(copy: &SidecarProcess, words: &str) -> Outcome {
    eventually(&format!("{} says {words}", copy.process().name()), async || {
        Ok(copy.get("/readyz").await.is_ok_and(|page| page.status == 503 && page.body.contains(words)))
    })
    .await
    .map_err(|failure| failure.with_log(copy.process().log_path()))
}

#[tpro_testkit::test]
async fn copies_wait_for_the_upgrade_of_a_running_database_and_then_settle_all() -> Outcome {
    // Of its own, since its roles are those of the release before.
    let cluster = Postgres::own().start().await?;
    let options = World::options().services(&["main", "rogue"]).cluster(cluster).release("0.1.0");
    let world = options.start().await?;
    world.admin.batch_execute(Rogue::EFFECTS).await?;
    let main = world.spawn(world.sidecar("main")?)?;
    let rogue = world.spawn(Rogue::copy(&world, 1)?)?;
    let (over, published) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicI64::new(0)));
    let mut publishers = Vec::new();
    for _ in 0..2 {
        let session = world.database.connect_as("main").await?;
        publishers.push(tokio::spawn(publish(session, over.clone(), published.clone())));
    }
    let more = async || {
        let target = published.load(Ordering::SeqCst) + 100;
        eventually("more is published", async || Ok(published.load(Ordering::SeqCst) >= target)).await
    };
    says(&main, "ALTER EXTENSION pg_tpro UPDATE").await?;
    says(&rogue, "ALTER EXTENSION pg_tpro UPDATE").await?;
    more().await?;
    world.admin.batch_execute("ALTER EXTENSION pg_tpro UPDATE").await?;
    says(&main, "SELECT tpro.upgrade_service('main')").await?;
    more().await?;
    assert_eq!(world.count("SELECT count(*) FROM main_service.mq_reply").await?, 0, "nobody sends yet");
    world.admin.batch_execute("CALL tpro.upgrade_services()").await?;
    main.ready().await?;
    rogue.ready().await?;
    more().await?;

    over.store(true, Ordering::SeqCst);
    for publisher in publishers {
        // A publish that was refused would be its failure.
        publisher.await??;
    }
    world.recon().await?;
    assert!(world.replies("main").await?.iter().all(|reply| reply.status == "ok"));
    assert_eq!(Rogue::effects(&world).await?, published.load(Ordering::SeqCst));
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}
