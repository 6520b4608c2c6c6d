//! A backend that publishes for ever does not grow.

use std::fs;

use tokio_postgres::Client;
use tpro_testkit::{Context, Outcome};

use crate::service::database;

const ROUNDS: i64 = 100_000;

/// The bytes of the backend's memory contexts, and its resident memory in bytes. PostgreSQL shows
/// the contexts from 14 on; before that they count as none.
async fn memory(session: &Client, pid: i32) -> Outcome<(i64, i64)> {
    let shows = "SELECT to_regclass('pg_backend_memory_contexts') IS NOT NULL";
    let contexts = match session.query_one(shows, &[]).await?.try_get(0)? {
        true => {
            let sum = "SELECT sum(total_bytes)::bigint FROM pg_backend_memory_contexts";
            session.query_one(sum, &[]).await?.try_get(0)?
        }
        false => 0,
    };
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    // Without what it shares with others: the buffers that it touches for the first time.
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).context("no RssAnon")?;
    let kib: i64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok((contexts, kib * 1024))
}

async fn stays(session: &Client, what: &str) -> Outcome {
    stays_over(session, ROUNDS, what).await
}

async fn stays_over(session: &Client, rounds: i64, what: &str) -> Outcome {
    session.batch_execute("SET tpro.sender = 'main'").await?;
    let pid: i32 = session.query_one("SELECT pg_backend_pid()", &[]).await?.try_get(0)?;
    let batch = format!("DO $$ BEGIN FOR i IN 1..{} LOOP {what}; END LOOP; END $$", rounds / 10);
    session.batch_execute(&batch).await?;
    let (contexts, resident) = memory(session, pid).await?;
    for _ in 0..9 {
        session.batch_execute(&batch).await?;
    }
    let (contexts_after, resident_after) = memory(session, pid).await?;
    println!(
        "{rounds} rounds: contexts {contexts} then {contexts_after} bytes, resident {resident} then {resident_after} bytes"
    );
    // The least piece that a context gives takes 24 bytes (PostgreSQL 15). Less than two for each call are the caches of the
    // server, which grow when other sessions change a catalogue.
    assert!(
        contexts_after - contexts < 2 * rounds,
        "{what}: {contexts} then {contexts_after} bytes in contexts"
    );
    // A piece that the allocator gives takes 32 bytes at least. By less it goes up and down, by what the server itself keeps.
    assert!(
        resident_after - resident < 16 * rounds,
        "{what}: {resident} then {resident_after} bytes resident"
    );
    Ok(())
}

#[tpro_testkit::test]
async fn a_hundred_thousand_publishes_leave_the_memory_of_a_backend_flat() -> Outcome {
    let admin = database().await?.connect().await?;
    stays(&admin, "PERFORM tpro.publish('a', 'b', 'c', '{\"text\": \"some text that is not so short\"}')")
        .await
}

#[tpro_testkit::test]
async fn transactions_that_publish_and_ring_leave_it_flat() -> Outcome {
    let database = database().await?;
    let (admin, dispatcher) = (database.connect().await?, database.connect_as("main").await?);
    dispatcher.batch_execute("SELECT tpro.sleep('main')").await?;
    // A commit in each round; every tenth is rolled back, every tenth refused.
    let round = "CASE i % 10 WHEN 0 THEN PERFORM tpro.publish('a', 'b', 'c'); ROLLBACK;
                 WHEN 1 THEN BEGIN PERFORM tpro.publish('A', 'b', 'c'); EXCEPTION WHEN invalid_parameter_value THEN NULL; END;
                 ELSE PERFORM tpro.publish('a', 'b', 'c'); COMMIT; END CASE";
    stays(&admin, round).await
}

#[ignore = "slow: make faults"]
#[tpro_testkit::test]
async fn a_million_publishes_with_errors_and_savepoints_leave_it_flat() -> Outcome {
    let database = database().await?;
    let admin = database.connect().await?;
    // Of ten rounds: one refused by a domain, one by the size, one rolled back to its savepoint after it has published, one
    // that commits, one rolled back, the others published. The limit is not to get in the way.
    admin.batch_execute("SET tpro.max_backlog = 0").await?;
    let round = "CASE i % 10
        WHEN 0 THEN BEGIN PERFORM tpro.publish('A', 'b', 'c'); EXCEPTION WHEN invalid_parameter_value THEN NULL; END;
        WHEN 1 THEN BEGIN PERFORM tpro.publish('a', 'b', 'c', headers => jsonb_build_object('x', repeat('x', 9000)));
                    EXCEPTION WHEN program_limit_exceeded THEN NULL; END;
        WHEN 2 THEN BEGIN PERFORM tpro.publish('a', 'b', 'c'); RAISE division_by_zero;
                    EXCEPTION WHEN division_by_zero THEN NULL; END;
        WHEN 3 THEN PERFORM tpro.publish('a', 'b', 'c'); COMMIT;
        WHEN 4 THEN PERFORM tpro.publish('a', 'b', 'c'); ROLLBACK;
        ELSE PERFORM tpro.publish('a', 'b', 'c', '{\"text\": \"some text that is not so short\"}'); END CASE";
    stays_over(&admin, 1_000_000, round).await
}
