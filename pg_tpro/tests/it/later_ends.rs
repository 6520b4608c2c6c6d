//! Messages that are sent later can be looked up, cancelled and retried, and they outlive partitions.

use tokio_postgres::Client;
use tpro_testkit::{Outcome, eventually};

use crate::refusal::refused_with;
use crate::service::database;

const LATER: &str =
    "SELECT tpro.publish('a', 'b', 'c', send_at => now() + interval '1 hour', sender => 'main')";
const DUE: &str = "SELECT tpro.publish('a', 'b', 'c', send_at => now(), sender => 'main')";
const SEND: &str = "SELECT sent FROM tpro.send_due('main', NULL, 256)";

async fn text(session: &Client, query: &str) -> Outcome<String> {
    let row = session.query_one(query, &[]).await?;
    Ok(row.try_get::<_, Option<String>>(0)?.unwrap_or_default())
}

async fn number(session: &Client, query: &str) -> Outcome<i64> {
    Ok(session.query_one(query, &[]).await?.try_get(0)?)
}

async fn status(session: &Client, id: i64) -> Outcome<String> {
    text(session, &format!("SELECT status FROM main_service.mq_status WHERE id = {id}")).await
}

#[tpro_testkit::test]
async fn it_is_found_by_its_id_before_and_after_it_is_sent() -> Outcome {
    let admin = database().await?.connect().await?;
    admin
        .batch_execute(&format!("SET tpro.sender = 'main'; SELECT tpro.publish('x', 'b', 'c'); {LATER}"))
        .await?;
    assert_eq!((status(&admin, 1).await?.as_str(), status(&admin, 2).await?.as_str()), ("waiting", "later"));
    let trace = text(&admin, "SELECT tpro.trace_id(2)").await?;
    assert_eq!(text(&admin, "SELECT trace_id FROM main_service.mq_status WHERE id = 2").await?, trace);
    let shown = "SELECT concat_ws(' ', target, uid IS NULL, send_at > now(), age < interval '1 hour') FROM main_service.mq_status WHERE id = 2";
    assert_eq!(text(&admin, shown).await?, "tpro.a.b.c t t t");
    assert_eq!(admin.query("SELECT * FROM tpro.reply(2)", &[]).await?.len(), 0);
    assert_eq!(admin.query("SELECT * FROM tpro.wait(2, 0)", &[]).await?.len(), 0);
    assert_eq!(admin.query("SELECT * FROM tpro.wait_all('{1, 2}', 0)", &[]).await?.len(), 0);
    refused_with(&admin, "P0002", "SELECT tpro.reply(3)").await?;
    refused_with(&admin, "P0002", "SELECT tpro.wait(3, 0)").await?;
    refused_with(&admin, "P0002", "SELECT tpro.wait_any('{2, 3}', 0)").await?;
    refused_with(&admin, "P0002", "SELECT tpro.trace_id(3)").await?;
    refused_with(&admin, "55000", "SELECT tpro.retry(2)").await?;
    for waits in ["tpro.wait(3)", "tpro.wait_all('{3}')"] {
        let own = format!(
            "BEGIN; SELECT setval('main_service.mq_publish_id_seq', 2); SAVEPOINT s; {LATER}; SELECT * FROM {waits}"
        );
        refused_with(&admin, "25001", &own).await?;
        admin.batch_execute("ROLLBACK").await?;
    }
    admin.batch_execute("UPDATE main_service.mq_later SET send_at = now()").await?;
    assert_eq!(number(&admin, SEND).await?, 1);
    assert_eq!(status(&admin, 2).await?, "waiting");
    assert_eq!(text(&admin, "SELECT tpro.trace_id(2)").await?, trace);
    assert_eq!(admin.query("SELECT * FROM tpro.wait(2, 0)", &[]).await?.len(), 0);
    admin
        .batch_execute(
            "INSERT INTO main_service.mq_reply (mq_id, uid, status, responder, sent_at)
             SELECT id, uid, 'ok', 'a/1/x', now() FROM main_service.mq_publish WHERE id = 2",
        )
        .await?;
    let shown = "SELECT concat_ws(' ', status, uid IS NULL, send_at IS NULL, responder, sent_at IS NULL) FROM main_service.mq_status WHERE id = 2";
    assert_eq!(text(&admin, shown).await?, "ok f t a/1/x f");
    Ok(())
}

/// The newest messages are found by the indexes, however many there are.
#[tpro_testkit::test]
async fn the_view_of_all_messages_still_sorts_by_the_index() -> Outcome {
    let admin = database().await?.connect().await?;
    admin
        .batch_execute(
            "SET tpro.sender = 'main'; SELECT count(tpro.publish('a', 'b', 'c')) FROM generate_series(1, 20000);
             SELECT count(tpro.publish('a', 'b', 'c', send_at => now() + interval '1 day')) FROM generate_series(1, 20000);
             INSERT INTO main_service.mq_reply (mq_id, uid, status) SELECT id, uid, 'ok' FROM main_service.mq_publish; ANALYZE",
        )
        .await?;
    let plan = admin
        .query("EXPLAIN SELECT id, status, age FROM main_service.mq_status ORDER BY id DESC LIMIT 20", &[])
        .await?;
    let plan: Vec<String> = plan.iter().map(|row| row.get(0)).collect();
    assert!(
        !plan.iter().any(|line| line.contains("Sort  (") || line.contains("Seq Scan on mq_later")),
        "{plan:#?}"
    );
    Ok(())
}

#[tpro_testkit::test]
async fn one_that_is_cancelled_before_its_time_is_never_sent_and_can_be_retried() -> Outcome {
    let database = database().await?;
    let admin = database.connect().await?;
    admin.batch_execute("SET tpro.sender = 'main'; SET tpro.max_backlog = 0").await?;
    let label = "SELECT tpro.publish('a', 'b', 'c', '[7]', reply_to => 'label', send_at => now() + interval '1 hour', priority => 2, sender => 'main')";
    admin.batch_execute(label).await?;
    assert!(admin.query_one("SELECT tpro.cancel(1)", &[]).await?.get::<_, bool>(0));
    assert_eq!(status(&admin, 1).await?, "cancelled");
    assert_eq!(number(&admin, SEND).await?, 0);
    // A leader that reads the row before it sees the reply finds that the message has expired.
    let row = "SELECT count(*) FROM main_service.mq_publish WHERE id = 1 AND NOT direct AND expires_at < now() AND reply_to = 'label' AND priority = 2";
    assert_eq!(number(&admin, row).await?, 1);
    assert!(!admin.query_one("SELECT tpro.cancel(1)", &[]).await?.get::<_, bool>(0));
    assert_eq!(number(&admin, "SELECT tpro.retry(1)").await?, 2);
    let copy = "SELECT count(*) FROM main_service.mq_publish WHERE id = 2 AND body = '[7]' AND expires_at IS NULL AND priority = 2";
    assert_eq!(number(&admin, copy).await?, 1);
    // A cancel that is rolled back has not happened.
    admin.batch_execute(LATER).await?;
    admin.batch_execute("BEGIN; SELECT tpro.cancel(3); ROLLBACK").await?;
    assert_eq!(status(&admin, 3).await?, "later");
    Ok(())
}

#[tpro_testkit::test]
async fn a_cancel_and_the_time_of_the_message_meet_and_one_of_them_comes_first() -> Outcome {
    let database = database().await?;
    let (admin, sidecar, operator) =
        (database.connect().await?, database.connect_as("main").await?, database.connect().await?);
    admin.batch_execute(&format!("{DUE}; {DUE}")).await?;
    // The operator has the row: it is passed over.
    operator.batch_execute("BEGIN; SELECT tpro.cancel(1, 'main')").await?;
    let found = sidecar
        .query_one("SELECT sent, next_in_ms, upto <= now() FROM tpro.send_due('main', NULL, 256)", &[])
        .await?;
    assert_eq!(
        (found.get::<_, i64>(0), found.get::<_, i64>(1), found.get::<_, bool>(2)),
        (1, 100, true),
        "and looked for again soon"
    );
    operator.batch_execute("ROLLBACK").await?;
    // The leader has the row: the operator waits, and cancels it in the outbox.
    sidecar.batch_execute("BEGIN; SELECT tpro.send_due('main', NULL, 256)").await?;
    let cancel = tokio::spawn(async move { operator.query_one("SELECT tpro.cancel(1, 'main')", &[]).await });
    let waiters = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    eventually("the operator waits", async || Ok(number(&admin, waiters).await? == 1)).await?;
    sidecar.batch_execute("COMMIT").await?;
    assert!(cancel.await??.get::<_, bool>(0));
    assert_eq!(status(&admin, 1).await?, "cancelled");
    let open = "SELECT count(*) FROM main_service.mq_publish WHERE expires_at IS NULL";
    assert_eq!(number(&admin, open).await?, 2, "it was sent as it was");
    Ok(())
}

#[tpro_testkit::test]
async fn it_outlives_the_partition_of_its_id_and_keeps_nothing_of_it() -> Outcome {
    let database = database().await?;
    let (admin, main) = (database.connect().await?, database.connect_as("main").await?);
    admin
        .batch_execute(&format!(
            "{LATER}; SELECT count(tpro.publish('a', 'b', 'c', sender => 'main')) FROM generate_series(1, 500);
             INSERT INTO main_service.mq_reply (mq_id, uid, status, replied_at)
             SELECT id, uid, 'ok', clock_timestamp() - interval '1 hour' FROM main_service.mq_publish;
             SELECT setval('main_service.mq_publish_id_seq', 3000000)"
        ))
        .await?;
    let drop_first = async |table: &str| {
        let query = "SELECT tpro.drop_partition('main', p.part, 60) FROM tpro.partitions('main') p WHERE p.table_name = $1 AND p.low = 0";
        Ok::<String, tpro_testkit::Failure>(main.query_one(query, &[&table]).await?.get(0))
    };
    let first = "p000000000000_000001000000";
    let size = format!(
        "SELECT pg_relation_size('main_service.mq_publish_{first}') + pg_relation_size('main_service.mq_reply_{first}')"
    );
    assert!(number(&admin, &size).await? > 0);
    assert_eq!(drop_first("mq_publish").await?, "dropped");
    assert_eq!(drop_first("mq_reply").await?, "dropped");
    assert_eq!(number(&admin, &size).await?, 0, "there is an empty one in the place of each");
    // They stay as they are until the message has gone and is settled.
    assert_eq!(
        (drop_first("mq_publish").await?.as_str(), drop_first("mq_reply").await?.as_str()),
        ("unsettled", "unsettled")
    );
    admin.batch_execute("UPDATE main_service.mq_later SET send_at = now()").await?;
    assert_eq!(number(&main, SEND).await?, 1);
    assert_eq!(
        (drop_first("mq_publish").await?.as_str(), drop_first("mq_reply").await?.as_str()),
        ("unsettled", "young")
    );
    admin
        .batch_execute(
            "INSERT INTO main_service.mq_reply (mq_id, uid, status, replied_at)
             SELECT id, uid, 'ok', clock_timestamp() - interval '1 hour' FROM main_service.mq_publish WHERE id = 1",
        )
        .await?;
    assert_eq!(
        (drop_first("mq_publish").await?.as_str(), drop_first("mq_reply").await?.as_str()),
        ("dropped", "dropped")
    );
    let gone = format!(
        "SELECT count(*) FROM pg_class WHERE relnamespace = 'main_service'::regnamespace AND relname LIKE 'mq\\_%\\_{first}'"
    );
    assert_eq!(number(&admin, &gone).await?, 0);
    Ok(())
}

#[tpro_testkit::test]
async fn a_partition_that_it_needs_and_that_is_gone_is_made_again() -> Outcome {
    let database = database().await?;
    let (admin, main) = (database.connect().await?, database.connect_as("main").await?);
    let first = "p000000000000_000001000000";
    admin
        .batch_execute(&format!(
            "{DUE}; SELECT setval('main_service.mq_publish_id_seq', 3000000);
             DROP TABLE main_service.mq_publish_{first}; DROP TABLE main_service.mq_reply_{first}"
        ))
        .await?;
    let refused = "SELECT refused FROM tpro.send_due('main', NULL, 256)";
    assert!(text(&main, refused).await?.starts_with("message 1: no partition of relation"));
    for table in ["mq_publish", "mq_reply"] {
        let mended =
            text(&main, &format!("SELECT said FROM tpro.mend_partitions('main', '{table}', 3600)")).await?;
        assert!(mended.contains("of which messages are to be sent later"), "{mended}");
    }
    admin.batch_execute("UPDATE main_service.mq_later SET send_at = now()").await?;
    assert_eq!(number(&main, SEND).await?, 1);
    Ok(())
}

#[tpro_testkit::test]
async fn a_service_is_not_dropped_and_a_restored_one_gives_out_no_id_of_it() -> Outcome {
    let admin = database().await?.connect().await?;
    admin.batch_execute(LATER).await?;
    refused_with(&admin, "55006", "SELECT tpro.drop_service('main')").await?;
    admin.batch_execute("UPDATE main_service.mq_later SET id = 700; SELECT tpro.adopt('main')").await?;
    assert_eq!(number(&admin, "SELECT tpro.publish('a', 'b', 'c', sender => 'main')").await?, 701);
    Ok(())
}
