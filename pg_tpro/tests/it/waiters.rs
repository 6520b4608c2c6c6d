//! A waiter is woken when its reply is committed.

use tokio::task::JoinHandle;
use tokio_postgres::Client;
use tpro_testkit::{Database, Outcome, Postgres, eventually};

use crate::refusal::refused_with;
use crate::service::database as shared;
use crate::wait::somebody_waits;

/// Locks of waiters of this database.
const LOCKS: &str = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objsubid IN (5, 6)
                        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";

/// In a cluster of its own: PostgreSQL wakes all sessions when a database is dropped.
async fn database() -> Outcome<Database> {
    let database = Postgres::own().start().await?.database().await?;
    database.create_service("main").await?;
    database.create_service("analytic").await?;
    Ok(database)
}

/// A session that waits for replies of these messages of `main` for a minute, which is longer than a test may last.
async fn rests(database: &Database, ids: &str) -> Outcome<JoinHandle<Result<(), tokio_postgres::Error>>> {
    let session = database.connect_as("main").await?;
    let sql = format!(
        "BEGIN; SELECT tpro.watch('main_service'::regnamespace, ARRAY({ids})); SELECT tpro.rest(60); COMMIT"
    );
    let resting = tokio::spawn(async move { session.batch_execute(&sql).await });
    somebody_waits(database).await?;
    Ok(resting)
}

async fn count(session: &Client) -> Outcome<i64> {
    Ok(session.query_one(LOCKS, &[]).await?.try_get(0)?)
}

#[tpro_testkit::test]
async fn a_waiter_is_woken_by_the_word_of_its_reply_and_by_no_other() -> Outcome {
    let database = database().await?;
    let dispatcher = database.connect_as("main").await?;
    let one = rests(&database, "SELECT 5").await?;
    dispatcher.batch_execute("SELECT tpro.replied('main', ARRAY[6, 7, 1000])").await?;
    database.connect_as("analytic").await?.batch_execute("SELECT tpro.replied('analytic', ARRAY[5])").await?;
    somebody_waits(&database).await?;
    dispatcher.batch_execute("SELECT tpro.replied('main', ARRAY[4, 5])").await?;
    one.await??;
    // With it all who wait for the same.
    let all = [rests(&database, "SELECT 5").await?, rests(&database, "VALUES (9), (5)").await?];
    dispatcher.batch_execute("SELECT tpro.replied('main', ARRAY[5])").await?;
    for waiter in all {
        waiter.await??;
    }
    assert_eq!(count(&dispatcher).await?, 0);
    Ok(())
}

#[tpro_testkit::test]
async fn a_waiter_for_many_messages_takes_few_locks_and_is_woken_by_any() -> Outcome {
    let database = database().await?;
    let dispatcher = database.connect_as("main").await?;
    let many = rests(&database, "SELECT generate_series(1, 100000)").await?;
    assert_eq!(count(&dispatcher).await?, 2);
    dispatcher.batch_execute("SELECT tpro.replied('main', ARRAY[77777])").await?;
    many.await??;
    Ok(())
}

#[tpro_testkit::test]
async fn waiting_leaves_no_lock_behind() -> Outcome {
    let database = shared().await?;
    let main = database.connect_as("main").await?;
    main.batch_execute("SELECT tpro.publish('a', 'b', 'c') FROM generate_series(1, 3)").await?;
    main.batch_execute("BEGIN; SELECT FROM tpro.wait(1, 1)").await?;
    assert_eq!(count(&main).await?, 0);
    main.batch_execute(
        "SELECT FROM tpro.wait_all(ARRAY[1, 2, 3], 1); SELECT FROM tpro.wait_any(ARRAY[2, 3], 1)",
    )
    .await?;
    assert_eq!(count(&main).await?, 0);
    // Two calls of watch need two of unwatch. An unwatch without a watch raises no warning.
    let schema = "'main_service'::regnamespace";
    main.batch_execute(&format!(
        "SELECT tpro.watch({schema}, '{{1}}'), tpro.watch({schema}, '{{1}}'), tpro.unwatch({schema}, '{{1,2}}')"
    ))
    .await?;
    assert_eq!(count(&main).await?, 2);
    main.batch_execute("COMMIT").await?;
    assert_eq!(count(&main).await?, 0);
    refused_with(&main, "57014", "SET statement_timeout = 50; SELECT FROM tpro.wait(1)").await?;
    assert_eq!(count(&main).await?, 0);
    Ok(())
}

#[tpro_testkit::test]
async fn a_rest_ends_when_it_is_cancelled_or_over() -> Outcome {
    let database = database().await?;
    let main = database.connect_as("main").await?;
    main.batch_execute("SELECT tpro.rest(0), tpro.rest(-1), tpro.rest(0.002), tpro.rest('-infinity')")
        .await?;
    let admin = database.connect().await?;
    let resting = rests(&database, "SELECT 1").await?;
    let cancel = "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity
                   WHERE datname = current_database() AND wait_event = 'PgSleep'";
    eventually("it is cancelled", async || {
        let cancelled: i64 = admin.query_one(cancel, &[]).await?.try_get(0)?;
        Ok(cancelled == 0 && resting.is_finished())
    })
    .await?;
    let error = resting.await?.expect_err("it was cancelled");
    assert_eq!(error.code().map(|code| code.code()), Some("57014"));
    Ok(())
}
