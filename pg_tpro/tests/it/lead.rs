//! Leadership, sleep, presence.

use std::time::Duration;

use tokio_postgres::Client;
use tpro_testkit::eventually::eventually_within;
use tpro_testkit::{Outcome, Postgres, eventually};

use crate::refusal::refused_with;
use crate::service::database;

async fn answers(session: &Client, question: &str) -> Outcome<bool> {
    Ok(session.query_one(question, &[]).await?.try_get(0)?)
}

#[tpro_testkit::test]
async fn one_session_leads_and_the_next_when_it_is_gone() -> Outcome {
    let database = database().await?;
    let (one, two) = (database.connect_as("main").await?, database.connect_as("main").await?);
    assert!(answers(&one, "SELECT tpro.lead('main')").await?);
    assert!(answers(&one, "SELECT tpro.lead('main')").await?);
    assert!(!answers(&two, "SELECT tpro.lead('main')").await?);
    // Of another service it is another.
    assert!(answers(&database.connect_as("analytic").await?, "SELECT tpro.lead('analytic')").await?);
    // It outlives a transaction that fails, and whatever SQL can do to advisory locks of a class of its own.
    one.batch_execute("BEGIN; SELECT tpro.lead('main'); ROLLBACK").await?;
    let schema = "'main_service'::regnamespace::oid::int";
    assert!(answers(&two, &format!("SELECT pg_try_advisory_lock({schema}, 1)")).await?);
    assert!(!answers(&two, "SELECT tpro.lead('main')").await?);
    drop(one);
    eventually("the other leads", async || answers(&two, "SELECT tpro.lead('main')").await).await
}

#[tpro_testkit::test]
async fn a_follower_that_tries_to_lead_does_not_wait() -> Outcome {
    let database = database().await?;
    let (one, two) = (database.connect_as("main").await?, database.connect_as("main").await?);
    assert!(answers(&one, "SELECT tpro.lead('main')").await?);
    two.batch_execute("SET statement_timeout = '5s'").await?;
    for _ in 0..100 {
        assert!(!answers(&two, "SELECT tpro.lead('main')").await?);
    }
    Ok(())
}

#[tpro_testkit::test]
async fn waking_gives_the_bell_back_however_often_it_was_taken() -> Outcome {
    let database = database().await?;
    let (one, two) = (database.connect_as("main").await?, database.connect_as("main").await?);
    one.batch_execute("SELECT tpro.wake('main')").await?;
    for _ in 0..3 {
        assert!(answers(&one, "SELECT tpro.sleep('main')").await?);
    }
    assert!(!answers(&two, "SELECT tpro.sleep('main')").await?);
    one.batch_execute("SELECT tpro.wake('main')").await?;
    assert!(answers(&two, "SELECT tpro.sleep('main')").await?);
    Ok(())
}

#[tpro_testkit::test]
async fn a_copy_is_present_for_as_long_as_its_session() -> Outcome {
    let database = database().await?;
    let (copy, asker) = (database.connect_as("main").await?, database.connect_as("main").await?);
    assert!(!answers(&asker, "SELECT tpro.is_present('main', -7)").await?);
    assert!(answers(&copy, "SELECT tpro.present('main', -7)").await?);
    assert!(answers(&asker, "SELECT tpro.is_present('main', -7)").await?);
    assert!(!answers(&asker, "SELECT tpro.is_present('main', 7)").await?);
    assert!(!answers(&asker, "SELECT tpro.present('main', -7)").await?);
    // Asking leaves no lock behind.
    let locks = "SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory'";
    assert_eq!(asker.query_one(locks, &[]).await?.try_get::<_, i64>(0)?, 0);
    drop(copy);
    eventually("the copy is gone", async || Ok(!answers(&asker, "SELECT tpro.is_present('main', -7)").await?))
        .await
}

#[tpro_testkit::test]
async fn asking_for_copies_does_not_keep_one_from_being_present() -> Outcome {
    let database = database().await?;
    let (copy, asker) = (database.connect_as("main").await?, database.connect_as("main").await?);
    let asking = tokio::spawn(async move {
        let ask = "SELECT count(tpro.is_present('main', 1)) FROM generate_series(1, 20000)";
        asker.query_one(ask, &[]).await.map(drop)
    });
    assert!(answers(&copy, "SELECT tpro.present('main', 1)").await?);
    asking.await??;
    Ok(())
}

#[tpro_testkit::test]
async fn the_view_of_services_shows_leader_and_sleep() -> Outcome {
    let database = database().await?;
    let (leader, admin) = (database.connect_as("main").await?, database.connect().await?);
    let pid: i32 = leader.query_one("SELECT pg_backend_pid()", &[]).await?.try_get(0)?;
    leader.batch_execute("SELECT tpro.lead('main'), tpro.sleep('main')").await?;
    let row =
        admin.query_one("SELECT leader_pid, asleep FROM tpro.services WHERE name = 'main'", &[]).await?;
    assert_eq!((row.try_get(0)?, row.try_get(1)?), (pid, true));
    Ok(())
}

#[tpro_testkit::test]
async fn a_leader_that_works_is_not_deposed_and_a_silent_one_is() -> Outcome {
    let database = database().await?;
    let (leader, follower) = (database.connect_as("main").await?, database.connect_as("main").await?);
    assert!(!answers(&follower, "SELECT tpro.depose('main')").await?);
    assert!(answers(&leader, "SELECT tpro.lead('main')").await?);
    assert!(!answers(&follower, "SELECT tpro.depose('main')").await?);
    // Silent from now on. Another service's sidecar may not do it.
    let analytic = database.connect_as("analytic").await?;
    refused_with(&analytic, "42501", "SELECT tpro.depose('main')").await?;
    let limit = Duration::from_secs(60);
    eventually_within(limit, "the silent leader is deposed", async || {
        Ok(answers(&follower, "SELECT tpro.depose('main')").await?.then_some(()))
    })
    .await?;
    eventually("the follower leads", async || answers(&follower, "SELECT tpro.lead('main')").await).await?;
    assert!(leader.batch_execute("SELECT 1").await.is_err());
    Ok(())
}

#[tpro_testkit::test]
async fn a_backend_is_ended_only_if_it_is_the_one_that_was_meant() -> Outcome {
    let database = database().await?;
    let (admin, other) = (database.connect().await?, database.connect().await?);
    let pid: i32 = other.query_one("SELECT pg_backend_pid()", &[]).await?.get(0);
    let end = |start: &str| {
        format!("SELECT tpro.end_backend({pid}, ({start})) FROM pg_stat_activity a WHERE a.pid = {pid}")
    };
    // As if the number had been given to another process between the look and the end.
    for start in ["a.backend_start - interval '1 microsecond'", "a.backend_start + interval '1 microsecond'"]
    {
        assert!(!answers(&admin, &end(start)).await?, "{start}");
    }
    other.batch_execute("SELECT 1").await?;
    assert!(answers(&admin, &end("a.backend_start")).await?);
    eventually("it has ended", async || Ok(other.batch_execute("SELECT 1").await.is_err())).await?;
    // It is the only way, and tpro.depose gives it the moment that it has seen.
    let ends = "SELECT string_agg(proname, ',') FROM pg_proc
        WHERE pronamespace = 'tpro'::regnamespace AND prosrc LIKE '%pg_terminate_backend%'";
    assert_eq!(admin.query_one(ends, &[]).await?.get::<_, &str>(0), "end_backend");
    let source = "SELECT prosrc FROM pg_proc WHERE oid = 'tpro.depose(text)'::regprocedure";
    let source: String = admin.query_one(source, &[]).await?.get(0);
    assert!(source.contains("SELECT a.pid, a.backend_start INTO leader"), "{source}");
    assert!(source.contains("tpro.end_backend(leader.pid, leader.backend_start)"), "{source}");
    let main = database.connect_as("main").await?;
    refused_with(&main, "42501", "SELECT tpro.end_backend(1, now())").await?;
    Ok(())
}

#[tpro_testkit::test]
async fn only_the_services_own_sidecar_leads_it() -> Outcome {
    let database = database().await?;
    database.create_role("stranger").await?;
    database.connect().await?.batch_execute("GRANT main_publisher TO stranger").await?;
    let analytic = database.connect_as("analytic").await?;
    let stranger = database.connect_as("stranger").await?;
    for call in
        ["lead('main')", "sleep('main')", "wake('main')", "present('main', 1)", "is_present('main', 1)"]
    {
        let refusal = refused_with(&analytic, "42501", &format!("SELECT tpro.{call}")).await?;
        assert!(refusal.hint.contains("main_sidecar"), "{refusal:?}");
        // They may not even call the function.
        refused_with(&stranger, "42501", &format!("SELECT tpro.{call}")).await?;
        let unknown = call.replace("main", "nobody");
        refused_with(&analytic, "3F000", &format!("SELECT tpro.{unknown}")).await?;
    }
    Ok(())
}

#[tpro_testkit::test]
async fn a_server_in_recovery_has_no_leader() -> Outcome {
    let cluster = Postgres::own().start().await?;
    let database = cluster.database().await?;
    database.create_service("main").await?;
    cluster.stop(tpro_testkit::StopMode::Fast).await?;
    std::fs::write(cluster.data().join("standby.signal"), "")?;
    cluster.start().await?;
    let main = database.connect_as("main").await?;
    for call in ["lead('main')", "sleep('main')", "present('main', 1)", "depose('main')"] {
        refused_with(&main, "25006", &format!("SELECT tpro.{call}")).await?;
    }
    Ok(())
}
