//! `tpro.publish_once`, and the view `mq_once` behind it.

use tokio_postgres::Client;
use tpro_testkit::Outcome;

use crate::identity::restored;
use crate::refusal::refused_with;
use crate::roles::{all_refused, member};
use crate::service::database;

/// The id and whether it was created, of a call with these arguments.
pub async fn once(session: &Client, arguments: &str) -> Outcome<(i64, bool)> {
    let call = format!("SELECT id, created FROM tpro.publish_once({arguments})");
    let row = session.query_one(&call, &[]).await?;
    Ok((row.try_get(0)?, row.try_get(1)?))
}

async fn count(session: &Client, table: &str) -> Outcome<i64> {
    Ok(session.query_one(&format!("SELECT count(*) FROM {table}"), &[]).await?.try_get(0)?)
}

const TARGET: &str = "'a', 'b', 'c'";

#[tpro_testkit::test]
async fn the_first_call_publishes_and_the_others_get_its_id() -> Outcome {
    let database = database().await?;
    let main = database.connect_as("main").await?;
    let order = |rest: &str| format!("'order-1', {TARGET}{rest}");
    assert_eq!(once(&main, &order(", '{\"n\": 1}'")).await?, (1, true));
    for rest in [
        "",
        ", '{\"n\": 2}'",
        ", json_build_object('n', 3)",
        ", jsonb_build_object('n', 4)",
        ", '{\"n\": 5}'::text",
        ", dedup_for => '30 days'",
    ] {
        assert_eq!(once(&main, &order(rest)).await?, (1, false), "{rest}");
    }
    assert_eq!(once(&main, &format!("'order-2', {TARGET}, json_build_array(7)")).await?, (2, true));
    assert_eq!(once(&main, &format!("'order-3', {TARGET}, '[8]'")).await?, (3, true));
    let bodies = "SELECT string_agg(body::text, ' ' ORDER BY id) FROM main_service.mq_publish";
    assert_eq!(main.query_one(bodies, &[]).await?.try_get::<_, &str>(0)?, "{\"n\": 1} [7] [8]");
    // A key belongs to its sender.
    let analytic = database.connect_as("analytic").await?;
    assert_eq!(once(&analytic, &order("")).await?, (1, true));
    Ok(())
}

#[tpro_testkit::test]
async fn each_argument_and_each_default_is_that_of_a_publish() -> Outcome {
    let admin = database().await?.connect().await?;
    admin.batch_execute("SET tpro.space = 'staging'").await?;
    let call = "'k', 'co', 'e', 'm', '[1]', '{\"h\": 2}', 7, 'json', 'label', 'main', 'other', dedup_for => '1 hour'";
    assert_eq!(once(&admin, call).await?, (1, true));
    let given = "main_service.mq_publish p JOIN main_service.mq_dedup d ON d.mq_id = p.id
         WHERE d.dedup_key = 'k' AND service_name = 'co' AND entity = 'e' AND method_name = 'm' AND body = '[1]'
           AND headers = '{\"h\": 2}' AND timeout = 7 AND protocol = 'json' AND reply_to = 'label' AND space_name = 'other'
           AND until - created_at BETWEEN '59 minutes' AND '61 minutes' AND NOT direct";
    assert_eq!(count(&admin, given).await?, 1);
    assert_eq!(once(&admin, &format!("'l', {TARGET}, sender => 'main'")).await?, (2, true));
    let default = "main_service.mq_publish p JOIN main_service.mq_dedup d ON d.mq_id = p.id
         WHERE d.dedup_key = 'l' AND body = '{}' AND headers = '{}' AND timeout = 15 AND protocol = 'jsonrpc' AND reply_to IS NULL
           AND space_name = 'staging' AND traceparent IS NOT NULL AND expires_at IS NULL
           AND until - created_at BETWEEN '23 hours' AND '25 hours'";
    assert_eq!(count(&admin, default).await?, 1);
    Ok(())
}

#[tpro_testkit::test]
async fn a_bad_key_or_time_is_told_by_its_rule_and_the_key_is_never_shown() -> Outcome {
    let database = database().await?;
    let admin = database.connect().await?;
    admin.batch_execute("SET tpro.sender = 'main'").await?;
    let too_long = "'canary' || repeat('ä', 98)";
    for (key, rest, words) in [
        ("NULL", "", "dedup_key must be 1 to 200 bytes, not null"),
        ("''", "", "dedup_key must be 1 to 200 bytes, not 0"),
        (too_long, "", "dedup_key must be 1 to 200 bytes, not 202"),
        ("'canary'", ", dedup_for => NULL", "dedup_for must be more than 0 and at most 30 days, not null"),
        ("'canary'", ", dedup_for => '0'", "dedup_for must be more than 0 and at most 30 days, not 00:00:00"),
        (
            "'canary'",
            ", dedup_for => '-1 day'",
            "dedup_for must be more than 0 and at most 30 days, not -1 days",
        ),
        (
            "'canary'",
            ", dedup_for => '30 days 1 microsecond'",
            "dedup_for must be more than 0 and at most 30 days, not 30 days 00:00:00.000001",
        ),
        (
            "'canary'",
            ", dedup_for => '-1 years'",
            "dedup_for must be more than 0 and at most 30 days, not -1 years",
        ),
        ("'canary'", ", timeout => -1", "timeout must be 0 to 86400 seconds, not -1"),
        ("'canary'", ", body => NULL", "body must not be null"),
        ("'canary'", ", protocol => NULL", "protocol must not be null"),
        ("'canary'", ", body => '7'", "body must be a JSON object or array when the protocol is jsonrpc"),
    ] {
        let call = format!("SELECT * FROM tpro.publish_once({key}, {TARGET}{rest})");
        let refusal = refused_with(&admin, "22023", &call).await?;
        assert_eq!(refusal.message, words, "{call}");
        assert!(!refusal.hint.is_empty() && !refusal.everything.contains("canary"), "{refusal:?}");
    }
    // The longest there may be, and the longest time.
    assert!(once(&admin, &format!("repeat('ä', 100), {TARGET}, dedup_for => '1 month'")).await?.1);
    assert!(!database.cluster().log().contains("canary"));
    Ok(())
}

#[tpro_testkit::test]
async fn what_was_refused_or_rolled_back_holds_no_key() -> Outcome {
    let admin = database().await?.connect().await?;
    admin.batch_execute("SET tpro.sender = 'main'").await?;
    let call = format!("'k', {TARGET}");
    let large = "jsonb_build_array(repeat('x', 900000))";
    refused_with(&admin, "54000", &format!("SELECT * FROM tpro.publish_once({call}, {large})")).await?;
    admin.batch_execute("BEGIN").await?;
    let first = once(&admin, &call).await?;
    admin.batch_execute("ROLLBACK").await?;
    assert!(first.1);

    admin.batch_execute("BEGIN; SAVEPOINT s").await?;
    let second = once(&admin, &call).await?;
    assert_eq!(once(&admin, &call).await?, (second.0, false), "the same transaction sees its own key");
    admin.batch_execute("ROLLBACK TO s").await?;
    let third = once(&admin, &call).await?;
    admin.batch_execute("COMMIT").await?;
    assert!(second.1 && third.1 && third.0 > second.0, "{second:?} {third:?}");
    assert_eq!(once(&admin, &call).await?, (third.0, false));
    let (messages, keys) = ("main_service.mq_publish", "main_service.mq_dedup");
    assert_eq!((count(&admin, messages).await?, count(&admin, keys).await?), (1, 1));
    Ok(())
}

#[tpro_testkit::test]
async fn a_key_that_is_over_is_free_before_its_row_is_dropped_and_after() -> Outcome {
    let admin = database().await?.connect().await?;
    admin.batch_execute("SET tpro.sender = 'main'").await?;
    let call = |time: &str| format!("'k', {TARGET}, dedup_for => '{time}'");
    assert_eq!(once(&admin, &call("1 microsecond")).await?, (1, true));
    assert_eq!(once(&admin, &call("1 microsecond")).await?, (2, true));
    assert_eq!(count(&admin, "main_service.mq_dedup").await?, 1);
    let drop = "SELECT tpro.drop_dedup_keys('main', 10)";
    assert_eq!(admin.query_one(drop, &[]).await?.try_get::<_, i64>(0)?, 1);
    assert_eq!(once(&admin, &call("1 day")).await?, (3, true));
    // That of the first call holds, and not that of a repeat.
    assert_eq!(once(&admin, &call("1 microsecond")).await?, (3, false));
    assert_eq!(once(&admin, &call("1 day")).await?, (3, false));
    assert_eq!(admin.query_one(drop, &[]).await?.try_get::<_, i64>(0)?, 0);
    Ok(())
}

#[tpro_testkit::test]
async fn a_key_answers_with_the_first_id_whatever_has_become_of_its_message() -> Outcome {
    let admin = database().await?.connect().await?;
    admin.batch_execute("SET tpro.sender = 'main'").await?;
    let call = format!("'k', {TARGET}");
    assert_eq!(once(&admin, &call).await?, (1, true));
    for fate in [
        "SELECT tpro.cancel(1)",
        "SELECT tpro.retry(1)",
        "DELETE FROM main_service.mq_publish; DELETE FROM main_service.mq_reply",
    ] {
        admin.batch_execute(fate).await?;
        assert_eq!(once(&admin, &call).await?, (1, false), "{fate}");
    }
    Ok(())
}

#[tpro_testkit::test]
async fn a_plain_insert_into_the_view_does_the_same() -> Outcome {
    let admin = database().await?.connect().await?;
    let many = "INSERT INTO main_service.mq_once (dedup_key, service_name, entity, method_name, body)
                SELECT 'key-' || n / 2, 'a', 'b', 'c', jsonb_build_array(n) FROM generate_series(1, 5) AS n
                RETURNING id, created, body::text";
    let rows = admin.query(many, &[]).await?;
    let rows: Vec<(i64, bool, &str)> = rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
    assert_eq!(
        rows,
        [(1, true, "[1]"), (2, true, "[2]"), (2, false, "[3]"), (3, true, "[4]"), (3, false, "[5]")]
    );
    // As a program says that names every column and returns all.
    let columns = "id, created, dedup_key, dedup_for, protocol, space_name, service_name, entity, method_name, timeout, headers, body,
                   created_at, reply_to, expires_at, traceparent, tracestate, priority, send_at, ordering_key, on_reply";
    let values = columns.split(',').map(|column| match column.trim() {
        "dedup_key" => "'whole'",
        "service_name" => "'a'",
        "entity" => "'b'",
        "method_name" => "'c'",
        _ => "DEFAULT",
    });
    let values = values.collect::<Vec<_>>().join(", ");
    let whole = format!("INSERT INTO main_service.mq_once ({columns}) VALUES ({values}) RETURNING *");
    let row = admin.query_one(&whole, &[]).await?;
    assert_eq!((row.columns().len(), row.try_get("id")?, row.try_get("created")?), (21, 4i64, true));
    assert_eq!((row.try_get("timeout")?, row.try_get("protocol")?), (15i32, "jsonrpc"));
    assert_eq!(admin.query("SELECT * FROM main_service.mq_once", &[]).await?.len(), 0);
    for given in [
        "id, dedup_key) VALUES ('a', 'b', 'c', 9, 'x')",
        "created, dedup_key) VALUES ('a', 'b', 'c', true, 'x')",
    ] {
        let insert = format!("INSERT INTO main_service.mq_once (service_name, entity, method_name, {given}");
        let refusal = refused_with(&admin, "22023", &insert).await?;
        assert_eq!(refusal.message, "id and created are what comes back, and cannot be given");
    }
    Ok(())
}

#[tpro_testkit::test]
async fn a_publisher_uses_keys_and_reads_none() -> Outcome {
    let database = database().await?;
    let publisher = member(&database, "main_publisher").await?;
    let call = format!("'k', {TARGET}");
    assert_eq!(once(&publisher, &call).await?, (1, true));
    assert_eq!(once(&database.connect_as("main").await?, &call).await?, (1, false));
    publisher
        .batch_execute("INSERT INTO main_service.mq_once (dedup_key, service_name, entity, method_name) VALUES ('i', 'a', 'b', 'c')")
        .await?;
    let elsewhere = format!("SELECT * FROM tpro.publish_once({call}, sender => 'analytic')");
    let outside = [
        "SELECT * FROM main_service.mq_dedup",
        "INSERT INTO main_service.mq_dedup VALUES ('x', 1, 'infinity')",
        "UPDATE main_service.mq_dedup SET until = now()",
        "DELETE FROM main_service.mq_dedup",
        "DELETE FROM main_service.mq_once",
        "SELECT tpro.drop_dedup_keys('main', 1)",
        "INSERT INTO analytic_service.mq_once (dedup_key, service_name, entity, method_name) VALUES ('i', 'a', 'b', 'c')",
        &elsewhere,
    ];
    all_refused(&publisher, &outside).await?;
    let sidecar = member(&database, "main_sidecar").await?;
    sidecar
        .batch_execute("SELECT * FROM main_service.mq_dedup; SELECT tpro.drop_dedup_keys('main', 1)")
        .await?;
    assert_eq!(once(&sidecar, &call).await?, (1, false));
    let others = ["SELECT tpro.drop_dedup_keys('analytic', 1)", "DELETE FROM main_service.mq_dedup"];
    all_refused(&sidecar, &others).await?;
    database.create_role("once_stranger").await?;
    let stranger = database.connect_as("once_stranger").await?;
    let here = format!("SELECT * FROM tpro.publish_once({call}, sender => 'main')");
    all_refused(&stranger, &[&here, "SELECT * FROM main_service.mq_dedup"]).await
}

#[tpro_testkit::test]
async fn a_restored_database_knows_the_keys() -> Outcome {
    let database = database().await?;
    let admin = database.connect().await?;
    let call = format!("'k', {TARGET}, sender => 'main'");
    assert_eq!(once(&admin, &call).await?, (1, true));
    let copy = restored(&database).await?;
    copy.batch_execute("SELECT tpro.adopt()").await?;
    assert_eq!(once(&copy, &call).await?, (1, false));
    assert_eq!(once(&copy, &call.replace("'k'", "'l'")).await?, (2, true));
    Ok(())
}
