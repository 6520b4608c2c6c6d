//! Whose messages a database holds, after a restore.

use std::process::Stdio;

use tokio_postgres::Client;
use tpro_testkit::{Context, Database, Outcome, postgres::connect};

use crate::refusal::refused_with;
use crate::service::database;

async fn adopted(session: &Client) -> Outcome<bool> {
    Ok(session.query_one("SELECT tpro.adopted()", &[]).await?.try_get(0)?)
}

async fn instance(session: &Client) -> Outcome<String> {
    Ok(session.query_one("SELECT tpro.instance()::text", &[]).await?.try_get(0)?)
}

/// Dumps the database and restores it beside itself.
pub async fn restored(database: &Database) -> Outcome<Client> {
    restored_as(database, &format!("{}_copy", database.name())).await
}

/// The same under this name.
pub async fn restored_as(database: &Database, copy: &str) -> Outcome<Client> {
    let cluster = database.cluster();
    database.connect().await?.batch_execute(&format!("CREATE DATABASE {copy}")).await?;
    let mut dump = cluster.client_program("pg_dump").arg(database.url()).stdout(Stdio::piped()).spawn()?;
    let output = dump.stdout.take().context("pg_dump has no output")?;
    let psql = cluster
        .client_program("psql")
        .args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1"])
        .arg(cluster.superuser_url(copy))
        .stdin(output)
        .output()?;
    assert!(dump.wait()?.success());
    assert!(psql.status.success(), "{}", String::from_utf8_lossy(&psql.stderr));
    connect(&cluster.superuser_url(copy)).await
}

#[tpro_testkit::test]
async fn a_new_database_is_adopted() -> Outcome {
    let database = database().await?;
    let admin = database.connect().await?;
    assert!(adopted(&admin).await?);
    let other = crate::service::database().await?.connect().await?;
    assert_ne!(instance(&admin).await?, instance(&other).await?);
    Ok(())
}

#[tpro_testkit::test]
async fn a_restored_database_sends_nothing_until_it_is_adopted() -> Outcome {
    let database = database().await?;
    let original = database.connect().await?;
    original
        .batch_execute(
            "SELECT tpro.publish('a', 'b', 'c', sender => 'main') FROM generate_series(1, 3);
             INSERT INTO main_service.mq_reply (mq_id, uid, status)
             SELECT id, uid, 'ok' FROM main_service.mq_publish WHERE id = 1;
             -- As if that cluster had had many more transactions than this one.
             UPDATE main_service.mq_publish SET tx = '99999999999' WHERE id = 2;
             UPDATE main_service.mq_cursor SET snapshot = '88888888888:88888888888:', pending = '{}'",
        )
        .await?;
    let copy = restored(&database).await?;
    assert!(!adopted(&copy).await?);
    assert_eq!(instance(&copy).await?, instance(&original).await?);
    let service = refused_with(&copy, "55000", "SELECT tpro.adopt('main')").await?;
    assert!(service.hint.contains("tpro.adopt()"), "{service:?}");

    copy.batch_execute("SELECT tpro.adopt()").await?;
    assert!(adopted(&copy).await?);
    assert_ne!(instance(&copy).await?, instance(&original).await?);
    assert!(adopted(&original).await?);
    // Every row is seen by now, and the cursor is before all of them.
    let row = copy
        .query_one(
            "SELECT count(*) FILTER (WHERE pg_visible_in_snapshot(p.tx, pg_current_snapshot())),
                    count(*) FILTER (WHERE p.tx >= pg_snapshot_xmax(c.snapshot)), bool_and(c.snapshot::text = '1:1:')
               FROM main_service.mq_publish p, main_service.mq_cursor c",
            &[],
        )
        .await?;
    assert_eq!((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?), (3i64, 3i64, true));
    // The copy works: who could publish can, and the bell is there.
    let permitted = "SELECT bool_and(has_function_privilege('main_publisher', oid, 'EXECUTE')) FROM pg_proc
                      WHERE pronamespace = 'tpro'::regnamespace AND proname = 'publish'";
    assert!(copy.query_one(permitted, &[]).await?.try_get::<_, bool>(0)?);
    copy.batch_execute(
        "SELECT tpro.publish('a', 'b', 'c', sender => 'main'); SELECT tpro.create_service('third')",
    )
    .await?;
    assert_eq!(copy.query("SELECT FROM tpro.services", &[]).await?.len(), 3);
    copy.batch_execute("SELECT tpro.adopt('main')").await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_running_service_is_not_adopted_over() -> Outcome {
    let database = database().await?;
    let (leader, admin) = (database.connect_as("main").await?, database.connect().await?);
    leader.batch_execute("SELECT tpro.lead('main')").await?;
    let refusal = refused_with(&admin, "55006", "SELECT tpro.adopt()").await?;
    assert!(refusal.hint.contains("Stop its sidecars"), "{refusal:?}");
    admin.batch_execute("SELECT tpro.adopt('analytic')").await?;
    refused_with(&admin, "3F000", "SELECT tpro.adopt('nobody')").await?;
    Ok(())
}
