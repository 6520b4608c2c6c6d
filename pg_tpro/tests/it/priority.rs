//! The priority of a message, and its expiry as an argument: what release 0.1.0 did not have.

use tpro_testkit::{Database, Outcome, Postgres};

use crate::refusal::{refused, refused_with};
use crate::service::{count, database};

const BEFORE: &str = "0.1.0";
const EXPIRY: &str = "2099-01-01T00:00:00Z";

/// A database of release 0.1.0 with this service. The extension is updated, the service is not.
async fn half_upgraded(service: &str) -> Outcome<Database> {
    let database = Postgres::shared().await?.database_of(BEFORE).await?;
    database.create_service_of(BEFORE, service).await?;
    database.connect().await?.batch_execute("ALTER EXTENSION pg_tpro UPDATE").await?;
    Ok(database)
}

#[tpro_testkit::test]
async fn each_way_of_publishing_takes_an_expiry_and_a_priority() -> Outcome {
    let admin = database().await?.connect().await?;
    admin.batch_execute("SET tpro.sender = 'main'").await?;
    let both = format!("expires_at => '{EXPIRY}', priority => 3");
    let columns = "service_name, entity, method_name, body, expires_at, priority";
    let values = format!("'a', 'b', 'c', '[1]', '{EXPIRY}', 3");
    let ways = [
        format!("SELECT tpro.publish('a', 'b', 'c', '[1]', {both})"),
        format!("SELECT tpro.publish('a', 'b', 'c', json_build_array(1), {both})"),
        format!("SELECT tpro.publish('a', 'b', 'c', jsonb_build_array(1), {both})"),
        format!("SELECT tpro.publish('a'::varchar(9), 'b'::text, 'c'::char(1), '[1]'::text, {both})"),
        format!("SELECT tpro.publish(method_name => 'c', entity => 'b', service_name => 'a', body => '[1]', {both})"),
        format!("SELECT tpro.publish('a', 'b', 'c', '[1]', '{{}}', 15, 'jsonrpc', NULL, 'main', NULL, NULL, '{EXPIRY}', 3)"),
        format!("SELECT tpro.publish_many('[{{\"body\": [1]}}]', 'a', 'b', 'c', {both})"),
        format!("SELECT tpro.publish_many('[{{\"body\": [1]}}]'::json, 'a', 'b', 'c', {both})"),
        format!(
            "SELECT tpro.publish_many('[{{\"expires_at\": \"{EXPIRY}\", \"priority\": 3}}]'::jsonb, 'a', 'b', 'c', '[1]',
                                      expires_at => '2088-01-01', priority => 1)"
        ),
        format!("SELECT tpro.publish_once('k1', 'a', 'b', 'c', '[1]', {both})"),
        format!("SELECT tpro.publish_once('k2', 'a', 'b', 'c', json_build_array(1), {both})"),
        format!("SELECT tpro.publish_once('k3', 'a', 'b', 'c', jsonb_build_array(1), {both}, dedup_for => '1 hour')"),
        format!("INSERT INTO main_service.mq_publish ({columns}) VALUES ({values})"),
        format!("INSERT INTO main_service.mq_send ({columns}) VALUES ({values})"),
        format!("INSERT INTO main_service.mq_once (dedup_key, {columns}) VALUES ('k4', {values})"),
    ];
    for way in &ways {
        admin.batch_execute(way).await?;
    }
    let told = format!(
        "SELECT count(*) FROM main_service.mq_publish
          WHERE (service_name, entity, method_name, body, timeout) = ('a', 'b', 'c', '[1]', 15)
            AND space_name = tpro.space() AND expires_at = '{EXPIRY}' AND priority = 3"
    );
    assert_eq!(usize::try_from(count(&admin, &told).await?)?, ways.len());
    // One of the two alone, and no body.
    admin
        .batch_execute(
            "SELECT tpro.publish('x', 'b', 'c', priority => 1); SELECT tpro.publish('y', 'b', 'c', expires_at => now() + '1 hour');
             SELECT tpro.publish_many('[{}, {\"expires_at\": null, \"priority\": 0}]', 'z', 'b', 'c', expires_at => now(), priority => 2)",
        )
        .await?;
    let alone = "SELECT string_agg(service_name || priority || (expires_at IS NULL)::text, ' ' ORDER BY id)
                   FROM main_service.mq_publish WHERE service_name > 'a'";
    let alone: String = admin.query_one(alone, &[]).await?.try_get(0)?;
    assert_eq!(alone, "x1true y0false z2false z0true");
    Ok(())
}

#[tpro_testkit::test]
async fn without_a_priority_it_is_0_and_nothing_expires() -> Outcome {
    let admin = database().await?.connect().await?;
    admin
        .batch_execute(
            "SET tpro.sender = 'main'; SELECT tpro.publish('a', 'b', 'c'); SELECT tpro.publish_many('[{}]', 'a', 'b', 'c');
             SELECT tpro.publish_once('k', 'a', 'b', 'c'); SELECT tpro.publish('a', 'b', 'c', priority => 0);
             INSERT INTO main_service.mq_publish (service_name, entity, method_name, priority) VALUES ('a', 'b', 'c', DEFAULT);
             COPY main_service.mq_publish (service_name, entity, method_name) FROM PROGRAM 'printf \"a\\tb\\tc\\n\"'",
        )
        .await?;
    let plain = "SELECT count(*) FROM main_service.mq_publish WHERE priority = 0 AND expires_at IS NULL";
    assert_eq!(count(&admin, plain).await?, 6);
    Ok(())
}

#[tpro_testkit::test]
async fn a_bad_expiry_or_priority_is_told_by_its_rule_and_nothing_is_published() -> Outcome {
    let admin = database().await?.connect().await?;
    admin.batch_execute("SET tpro.sender = 'main'").await?;
    for (argument, value, words) in [
        ("priority", "4", "priority must be 0 to 3, not 4"),
        ("priority", "-1", "priority must be 0 to 3, not -1"),
        ("priority", "2147483647", "priority must be 0 to 3, not 2147483647"),
        ("priority", "NULL", "priority must not be null"),
        ("expires_at", "'infinity'", "expires_at must be finite"),
        ("expires_at", "'-infinity'", "expires_at must be finite"),
    ] {
        let given = format!("{argument} => {value}");
        for call in [
            format!("SELECT tpro.publish('a', 'b', 'c', {given})"),
            format!("SELECT tpro.publish('a', 'b', 'c', '{{}}', {given})"),
            format!("SELECT tpro.publish_many('[{{}}]', 'a', 'b', 'c', {given})"),
            format!("SELECT tpro.publish_once('k', 'a', 'b', 'c', {given})"),
            format!("CALL tpro.request('a', 'b', 'c', {given})"),
            format!(
                "INSERT INTO main_service.mq_publish (service_name, entity, method_name, {argument}) VALUES ('a', 'b', 'c', {value})"
            ),
            format!(
                "INSERT INTO main_service.mq_once (dedup_key, service_name, entity, method_name, {argument}) VALUES ('k', 'a', 'b', 'c', {value})"
            ),
        ] {
            let refusal = refused_with(&admin, "22023", &call).await?;
            assert!(refusal.message.ends_with(words), "{call}: {refusal:?}");
            assert!(refusal.hint.contains("Leave the column out"), "{call}: {refusal:?}");
            assert!(!refusal.everything.contains("Failing row"), "{call}: {refusal:?}");
        }
    }
    for (message, words) in [
        ("{\"priority\": \"3\"}", "messages[1].priority must be a number, 0 to 3, and is string"),
        ("{\"priority\": null}", "messages[1].priority must be a number, 0 to 3, and is null"),
        ("{\"priority\": 4}", "messages[1]: priority must be 0 to 3, not 4"),
        ("{\"expires_at\": 7}", "messages[1].expires_at must be a string, and is number"),
        ("{\"expires_at\": \"infinity\"}", "messages[1]: expires_at must be finite"),
    ] {
        let call = format!("SELECT tpro.publish_many('[{{}}, {message}]', 'a', 'b', 'c')");
        assert_eq!(refused_with(&admin, "22023", &call).await?.message, words);
    }
    // The domain of the argument says it, and shows no more than that of the column.
    let name = refused_with(&admin, "22023", "SELECT tpro.publish('A b', 'b', 'c', priority => 1)").await?;
    assert_eq!(name.message, "service_name must match ^[a-z][a-z0-9_]{0,39}$");
    refused_with(&admin, "22023", "SELECT tpro.publish(NULL, 'b', 'c', priority => 1)").await?;
    assert_eq!(count(&admin, "SELECT count(*) FROM main_service.mq_publish").await?, 0);
    assert_eq!(count(&admin, "SELECT count(*) FROM main_service.mq_dedup").await?, 0);
    Ok(())
}

/// A view depends on the function that its call is resolved to.
#[tpro_testkit::test]
async fn a_call_goes_to_the_function_of_0_1_0_unless_it_gives_what_that_does_not_have() -> Outcome {
    let admin = database().await?.connect().await?;
    let all = "'{}', 15, 'jsonrpc', NULL, 'main', NULL";
    for (call, body, arguments) in [
        ("'a', 'b', 'c'", "jsonb", 10),
        ("'a', 'b', 'c', '{}'", "text", 10),
        ("'a', 'b', 'c', '{}'::text", "text", 10),
        ("'a', 'b', 'c', '{}'::varchar", "text", 10),
        ("'a', 'b', 'c', '{}'::jsonb", "jsonb", 10),
        ("'a', 'b', 'c', '{}'::json", "json", 10),
        ("'a'::varchar, 'b'::varchar, 'c'::varchar, '{}'::jsonb", "jsonb", 10),
        ("'a'::char(5), 'b'::name, 'c', '{}'::jsonb", "jsonb", 10),
        ("'a'::tpro.service_name, 'b'::tpro.entity, 'c'::tpro.method_name, '{}'::tpro.body", "jsonb", 10),
        ("'a', 'b', 'c', timeout => 7", "jsonb", 10),
        ("method_name => 'c', entity => 'b', service_name => 'a'", "jsonb", 10),
        (format!("'a', 'b', 'c', '{{}}'::jsonb, {all}").as_str(), "jsonb", 10),
        (format!("'a', 'b', 'c', '{{}}', {all}").as_str(), "text", 10),
        ("'a', 'b', 'c', priority => 1", "jsonb", 15),
        ("'a', 'b', 'c', '{}', priority => 1", "text", 15),
        ("'a'::varchar, 'b', 'c', '{}'::jsonb, expires_at => now()", "jsonb", 15),
        ("'a', 'b', 'c', json_build_object(), priority => 1", "json", 15),
        (format!("'a', 'b', 'c', '{{}}'::jsonb, {all}, NULL").as_str(), "jsonb", 15),
        // Only what has the very types of the longer list goes there, and does the same.
        ("'a'::tpro.service_name, 'b'::text, 'c'::text, '{}'::jsonb", "jsonb", 15),
    ] {
        admin
            .batch_execute(&format!(
                "CREATE OR REPLACE TEMP VIEW called AS SELECT tpro.publish({call}) AS id"
            ))
            .await?;
        let of_view = "SELECT p.proargtypes[3]::regtype::text, p.pronargs::int
                         FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid JOIN pg_proc p ON p.oid = d.refobjid
                        WHERE r.ev_class = 'pg_temp.called'::regclass AND d.classid = 'pg_rewrite'::regclass
                          AND d.refclassid = 'pg_proc'::regclass AND p.proname = 'publish'";
        let found = admin.query_one(of_view, &[]).await?;
        assert_eq!((found.get::<_, &str>(0), found.get::<_, i32>(1)), (body, arguments), "{call}");
    }
    Ok(())
}

#[tpro_testkit::test]
async fn the_right_to_publish_with_a_priority_is_that_of_the_insert() -> Outcome {
    let database = database().await?;
    database.create_role("prior_app").await?;
    let admin = database.connect().await?;
    let app = database.connect_as("prior_app").await?;
    for call in [
        "SELECT tpro.publish('a', 'b', 'c', priority => 1, sender => 'main')",
        "SELECT tpro.publish('a', 'b', 'c', '{}', priority => 1, sender => 'main')",
        "INSERT INTO main_service.mq_publish (service_name, entity, method_name, priority) VALUES ('a', 'b', 'c', 1)",
    ] {
        refused_with(&app, "42501", call).await?;
        admin.batch_execute("GRANT main_publisher TO prior_app").await?;
        app.batch_execute(call).await?;
        admin.batch_execute("REVOKE main_publisher FROM prior_app").await?;
    }
    refused_with(&app, "42501", "CALL tpro.request('a', 'b', 'c', priority => 1, sender => 'main')").await?;
    assert_eq!(count(&admin, "SELECT count(*) FROM main_service.mq_publish WHERE priority = 1").await?, 3);
    Ok(())
}

#[tpro_testkit::test]
async fn a_retry_has_the_priority_of_its_message_and_no_expiry() -> Outcome {
    let admin = database().await?.connect().await?;
    admin
        .batch_execute(
            "SET tpro.sender = 'main'; SELECT tpro.publish('a', 'b', 'c', expires_at => now(), priority => 2);
             INSERT INTO main_service.mq_reply (mq_id, uid, status) SELECT id, uid, 'expired' FROM main_service.mq_publish;
             SELECT tpro.retry(1)",
        )
        .await?;
    let copy =
        "SELECT count(*) FROM main_service.mq_publish WHERE id = 2 AND priority = 2 AND expires_at IS NULL";
    assert_eq!(count(&admin, copy).await?, 1);
    Ok(())
}

#[tpro_testkit::test]
async fn a_service_that_is_not_upgraded_takes_messages_without_a_priority_and_refuses_the_others() -> Outcome
{
    let database = half_upgraded("prior").await?;
    let admin = database.connect().await?;
    admin.batch_execute("SET tpro.sender = 'prior'").await?;
    let plain = "SELECT tpro.publish('a', 'b', 'c'); SELECT tpro.publish('a', 'b', 'c', '{}');
        SELECT tpro.publish('a', 'b', 'c', priority => 0);
        INSERT INTO prior_service.mq_reply (mq_id, uid, status)
        SELECT id, uid, 'ok' FROM prior_service.mq_publish WHERE id = 1 ON CONFLICT DO NOTHING;
        SELECT tpro.retry(1)";
    let ranked = [
        "SELECT tpro.publish('a', 'b', 'c', priority => 1)",
        "SELECT tpro.publish('a', 'b', 'c', '{}', expires_at => now())",
        "SELECT tpro.publish_many('[{}]', 'a', 'b', 'c', priority => 1)",
        "SELECT tpro.publish_once('k', 'a', 'b', 'c', priority => 1)",
    ];
    admin.batch_execute(plain).await?;
    for call in ranked {
        let refusal = refused_with(&admin, "55000", call).await?;
        assert!(refusal.hint.contains("tpro.upgrade_service('prior')"), "{refusal:?}");
    }
    admin.batch_execute("CALL tpro.upgrade_services()").await?;
    admin.batch_execute(plain).await?;
    for call in ranked {
        admin.batch_execute(call).await?;
    }
    let priorities = "SELECT string_agg(priority::text, '' ORDER BY id) FROM prior_service.mq_publish";
    let priorities: String = admin.query_one(priorities, &[]).await?.try_get(0)?;
    assert_eq!(priorities, "000000001011");
    Ok(())
}

#[tpro_testkit::test]
async fn rows_of_before_get_priority_0_without_being_written_again() -> Outcome {
    let database = half_upgraded("priorly").await?;
    let (admin, login) = (database.connect().await?, database.connect_as("priorly").await?);
    login.batch_execute("SELECT count(tpro.publish('a', 'b', 'c')) FROM generate_series(1, 1500)").await?;
    let detach = "ALTER TABLE priorly_service.mq_publish DETACH PARTITION priorly_service.mq_publish_p000001000000_000002000000";
    admin.batch_execute(detach).await?;
    let files = "SELECT string_agg(pg_relation_filenode(p.relid)::text, ',' ORDER BY p.relid)
                   FROM pg_partition_tree('priorly_service.mq_publish') p WHERE p.isleaf";
    let before: String = admin.query_one(files, &[]).await?.try_get(0)?;
    admin.batch_execute("CALL tpro.upgrade_services()").await?;
    assert_eq!(admin.query_one(files, &[]).await?.try_get::<_, String>(0)?, before);
    assert_eq!(
        count(&admin, "SELECT count(*) FROM priorly_service.mq_publish WHERE priority = 0").await?,
        1500
    );
    // Partitions are detached and attached again.
    let mended =
        login.query_one("SELECT said FROM tpro.mend_partitions('priorly', 'mq_publish', 3600)", &[]).await?;
    assert!(mended.get::<_, &str>(0).contains("again: it was detached"), "{mended:?}");
    let cut = "SELECT tpro.make_partitions('priorly', 'mq_publish', 1000)";
    assert_ne!(login.query(cut, &[]).await?.len(), 0);
    login
        .batch_execute(
            "SELECT count(tpro.publish('a', 'b', 'c', priority => 1)) FROM generate_series(1, 1500)",
        )
        .await?;
    let refusal = refused(&login, "SELECT tpro.publish('a', 'b', 'c', priority => 9)").await?;
    assert_eq!(refusal.message, "priority must be 0 to 3, not 9");
    Ok(())
}
