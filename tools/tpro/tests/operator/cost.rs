//! No command reads what grows with the tables.

use tpro_testkit::{Outcome, Postgres, eventually};

use crate::tool::{member, on};

/// Rows that a command may read: some pages of messages with their replies.
const MOST: i64 = 5_000;

#[tpro_testkit::test]
async fn no_command_reads_more_than_some_pages_of_a_large_outbox() -> Outcome {
    let database = Postgres::shared().await?.database().await?;
    database.create_service("main").await?;
    let admin = database.connect().await?;
    // Some thousands of settled messages in each of five partitions, and one of the first waits.
    admin
        .batch_execute(
            "SET tpro.max_backlog = 0;
             DO $$
             BEGIN
                 FOR part IN 0 .. 4 LOOP
                     PERFORM setval('main_service.mq_publish_id_seq', part * 1000000 + 1);
                     INSERT INTO main_service.mq_publish (service_name, entity, method_name, created_at)
                     SELECT 'analytic', 'example', 'simple', now() - interval '5 hours' + part * interval '1 hour' + n * interval '0.4 s'
                       FROM generate_series(1, 8000) n;
                 END LOOP;
             END $$;
             INSERT INTO main_service.mq_reply (mq_id, uid, status) SELECT p.id, p.uid, 'ok' FROM main_service.mq_publish p WHERE p.id <> 7900;
             ANALYZE main_service.mq_publish; ANALYZE main_service.mq_reply",
        )
        .await?;
    // The note of a leader.
    admin
        .batch_execute(
            "UPDATE main_service.mq_cursor SET snapshot = pg_current_snapshot(), pending = '{7900}'",
        )
        .await?;
    let reader = member(&database, "tpro_reader").await?;
    let uid: String = admin
        .query_one("SELECT uid::text FROM main_service.mq_publish WHERE id = 2000100", &[])
        .await?
        .get(0);
    drop(admin);
    for (role, arguments) in [
        (reader.as_str(), &["status"][..]),
        (&reader, &["health"]),
        (&reader, &["messages"]),
        (&reader, &["messages", "--since", "100m", "--limit", "50"]),
        (&reader, &["messages", "--until", "170m", "--status", "ok"]),
        (&reader, &["messages", "--status", "waiting", "--until", "4h"]),
        (&reader, &["messages", "--status", "error", "--scan", "1000"]),
        (&reader, &["show", "3000100"]),
        ("postgres", &["messages", "--uid", "019acac2-0000-7000-8000-000000000000"]),
        ("postgres", &["show", &uid]),
    ] {
        let before = read(&database).await?;
        let code = if arguments[0] == "health" { 1 } else { 0 };
        on(&database, role, arguments)?.ended(code)?;
        let mut after = before;
        // The server counts what a session has read when it has ended.
        eventually("the counters have come", async || {
            after = read(&database).await?;
            Ok(after != before)
        })
        .await?;
        assert!(after - before < MOST, "{arguments:?} read {} rows", after - before);
    }
    Ok(())
}

/// Rows of messages that were read in this database so far.
async fn read(database: &tpro_testkit::Database) -> Outcome<i64> {
    let counted = "SELECT coalesce(sum(seq_tup_read + idx_tup_fetch), 0)::int8 FROM pg_stat_user_tables
                    WHERE relname ~ '^mq_(publish|reply|receive|outcome)_'";
    Ok(database.connect().await?.query_one(counted, &[]).await?.get(0))
}
