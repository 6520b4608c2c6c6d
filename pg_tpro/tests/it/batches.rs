//! The rules of a batch of requests: `headers.request.type`, `protocol` and `body` together.

use tokio_postgres::Client;
use tpro_testkit::Outcome;

use crate::refusal::refused_with;
use crate::service::database;

const BATCH: &str = r#"'{"request": {"type": "batch"}}'"#;
/// More than a header of one byte can tell the length of, and more than is stored in one piece.
const LONG: &str =
    r#"jsonb_build_object('x', repeat('x', 3000), 'request', jsonb_build_object('type', 'batch'))"#;

/// The ways in which a message with this body, these headers and this protocol is published.
fn ways(body: &str, headers: &str, protocol: &str) -> Vec<String> {
    let named = format!("body => {body}::jsonb, headers => {headers}, protocol => '{protocol}'");
    let columns = "service_name, entity, method_name, body, headers, protocol";
    let values = format!("'a', 'b', 'c', {body}, {headers}, '{protocol}'");
    vec![
        format!("SELECT tpro.publish('a', 'b', 'c', {named})"),
        format!("SELECT tpro.publish('a', 'b', 'c', {named}, priority => 1)"),
        format!("SELECT tpro.publish('a', 'b', 'c', {named}, send_at => now() + '1 hour')"),
        format!("SELECT tpro.publish_many('[{{}}]', 'a', 'b', 'c', {named})"),
        format!("SELECT tpro.publish_once(gen_random_uuid()::text, 'a', 'b', 'c', {named})"),
        format!("INSERT INTO main_service.mq_publish ({columns}) VALUES ({values})"),
        format!("INSERT INTO main_service.mq_later (send_at, {columns}) VALUES (now() + '1 hour', {values})"),
    ]
}

async fn published(admin: &Client) -> Outcome<i64> {
    let all = "SELECT (SELECT count(*) FROM main_service.mq_publish) + (SELECT count(*) FROM main_service.mq_later)";
    Ok(admin.query_one(all, &[]).await?.try_get(0)?)
}

#[tpro_testkit::test]
async fn a_batch_is_an_array_of_bodies_and_is_taken_each_way() -> Outcome {
    let admin = database().await?.connect().await?;
    admin.batch_execute("SET tpro.sender = 'main'").await?;
    let mut taken = 0;
    for body in
        ["'[{}]'", "'[[], {\"a\": 1}, [2]]'", "(SELECT jsonb_agg('{}'::jsonb) FROM generate_series(1, 1000))"]
    {
        for headers in [BATCH, LONG] {
            for way in ways(body, headers, "jsonrpc") {
                admin.batch_execute(&way).await?;
                taken += 1;
            }
        }
    }
    assert_eq!(published(&admin).await?, taken);
    Ok(())
}

#[tpro_testkit::test]
async fn a_body_that_is_no_batch_is_told_by_the_rule_and_nothing_is_published() -> Outcome {
    let database = database().await?;
    let admin = database.connect().await?;
    admin.batch_execute("SET tpro.sender = 'main'").await?;
    let rule = "body must be an array of 1 to 1000 objects or arrays when request.type is batch";
    for body in [
        "'{}'",
        "'{\"password\": \"canary-batch\"}'",
        "'[]'",
        "'[1]'",
        "'[{}, \"canary-batch\"]'",
        "'[[], null]'",
        "(SELECT jsonb_agg('{}'::jsonb) FROM generate_series(1, 1001))",
    ] {
        for headers in [BATCH, LONG] {
            for way in ways(body, headers, "jsonrpc") {
                let refusal = refused_with(&admin, "22023", &way).await?;
                assert!(refusal.message.ends_with(rule), "{way}: {refusal:?}");
                assert!(refusal.hint.contains("the body of one request"), "{way}: {refusal:?}");
                assert!(!refusal.everything.contains("canary"), "{way}: {refusal:?}");
            }
        }
    }
    for way in ways("'[{}]'", BATCH, "json") {
        let refusal = refused_with(&admin, "22023", &way).await?;
        let rule = "protocol must be jsonrpc when request.type is batch";
        assert!(refusal.message.ends_with(rule), "{way}: {refusal:?}");
    }
    assert_eq!(published(&admin).await?, 0);
    assert!(!database.cluster().log().contains("canary"));
    Ok(())
}

#[tpro_testkit::test]
async fn headers_that_have_the_word_and_ask_for_no_batch_leave_the_body_alone() -> Outcome {
    let admin = database().await?.connect().await?;
    admin.batch_execute("SET tpro.sender = 'main'").await?;
    let all = [
        r#"'{}'"#,
        r#"'{"request": {"type": "single"}}'"#,
        r#"'{"batch": true}'"#,
        r#"'{"request": {"kind": "batch"}}'"#,
        r#"'{"x": {"request": {"type": "batch"}}, "request": {}}'"#,
    ];
    for headers in all {
        for way in ways("'{\"a\": 1}'", headers, "jsonrpc") {
            admin.batch_execute(&way).await?;
        }
    }
    let hint = refused_with(
        &admin,
        "22023",
        r#"SELECT tpro.publish('a', 'b', 'c', headers => '{"request": {"type": "many"}}')"#,
    )
    .await?
    .hint;
    assert!(hint.contains("With batch each element of the body is a request"), "{hint}");
    Ok(())
}
