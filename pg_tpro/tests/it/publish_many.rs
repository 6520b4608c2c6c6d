//! `tpro.publish_many`.

use tokio_postgres::Client;
use tpro_testkit::Outcome;

use crate::refusal::refused_with;
use crate::service::database;

async fn number(admin: &Client, query: &str) -> Outcome<i64> {
    Ok(admin.query_one(query, &[]).await?.try_get(0)?)
}

#[tpro_testkit::test]
async fn the_ids_come_in_the_order_of_the_array() -> Outcome {
    let admin = database().await?.connect().await?;
    admin.batch_execute("SET tpro.sender = 'main'").await?;
    let publish = "CREATE TEMP TABLE ids AS
        SELECT i.id, i.place
          FROM tpro.publish_many((SELECT jsonb_agg(jsonb_build_object('body', jsonb_build_object('n', n)) ORDER BY n DESC)
                                    FROM generate_series(1, 10000) AS n), 'a', 'b', 'c') WITH ORDINALITY AS i (id, place)";
    admin.batch_execute(publish).await?;
    let in_order = "SELECT count(*) FROM ids JOIN main_service.mq_publish p USING (id)
                     WHERE (p.body->>'n')::bigint = 10001 - ids.place";
    assert_eq!(number(&admin, in_order).await?, 10_000);
    let ascending =
        "SELECT count(*) FROM (SELECT id - lag(id) OVER (ORDER BY place) AS step FROM ids) s WHERE step > 0";
    assert_eq!(number(&admin, ascending).await?, 9_999);
    assert_eq!(number(&admin, "SELECT count(*) FROM tpro.publish_many('[]', 'a', 'b', 'c')").await?, 0);
    Ok(())
}

#[tpro_testkit::test]
async fn a_key_is_a_column_and_the_arguments_hold_for_what_leaves_it_out() -> Outcome {
    let admin = database().await?.connect().await?;
    admin.batch_execute("SET tpro.sender = 'main'; SET tpro.space = 'staging'").await?;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let whole = format!(
        r#"{{"service_name": "co", "entity": "e", "method_name": "m", "body": {{"n": 1}}, "headers": {{"h": 2}}, "timeout": 7,
            "protocol": "json", "space_name": "other", "expires_at": "2099-01-01T00:00:00Z", "traceparent": "{trace}",
            "tracestate": "k=v"}}"#
    );
    let call = format!(
        "SELECT tpro.publish_many('[{whole}, {{}}]', 'x', 'y', 'z', '[]', '{{\"d\": 1}}', 9, 'json')"
    );
    let ids: Vec<i64> = admin.query(&call, &[]).await?.iter().map(|row| row.get(0)).collect();
    let given = "SELECT count(*) FROM main_service.mq_publish
                  WHERE id = $1 AND service_name = 'co' AND entity = 'e' AND method_name = 'm' AND body = '{\"n\": 1}'
                    AND headers = '{\"h\": 2}' AND timeout = 7 AND protocol = 'json' AND space_name = 'other'
                    AND expires_at = '2099-01-01T00:00:00Z' AND traceparent = $2 AND tracestate = 'k=v'";
    assert_eq!(admin.query_one(given, &[&ids[0], &trace]).await?.try_get::<_, i64>(0)?, 1);
    let left_out = "SELECT count(*) FROM main_service.mq_publish
                     WHERE id = $1 AND service_name = 'x' AND entity = 'y' AND method_name = 'z' AND body = '[]'
                       AND headers = '{\"d\": 1}' AND timeout = 9 AND protocol = 'json' AND space_name = 'staging'
                       AND expires_at IS NULL AND traceparent IS NOT NULL AND created_at IS NOT NULL AND NOT direct";
    assert_eq!(admin.query_one(left_out, &[&ids[1]]).await?.try_get::<_, i64>(0)?, 1);
    Ok(())
}

/// Each is the second message of three, so that its place is 1.
#[tpro_testkit::test]
async fn a_bad_message_is_told_by_its_place_and_takes_all_with_it() -> Outcome {
    let database = database().await?;
    let admin = database.connect().await?;
    admin.batch_execute("SET tpro.sender = 'main'").await?;
    for (message, state, words) in [
        ("7", "22023", "messages[1] must be an object, and is number"),
        ("null", "22023", "messages[1] must be an object, and is null"),
        (r#""canary-c0de""#, "22023", "messages[1] must be an object, and is string"),
        (r#"{"bdoy": "canary-c0de"}"#, "22023", "messages[1] has a key that is no column of a message: bdoy"),
        (r#"{"Canary-c0de!": 1}"#, "22023", "messages[1] has a key that is no column of a message"),
        (r#"{"sender": "main"}"#, "22023", "messages[1] has a key that is no column of a message: sender"),
        (r#"{"id": 7}"#, "22023", "messages[1] has a key that is no column of a message: id"),
        (
            r#"{"dedup_key": "canary"}"#,
            "22023",
            "messages[1] has a key that is no column of a message: dedup_key",
        ),
        (
            r#"{"timeout": "canary-c0de"}"#,
            "22023",
            "messages[1].timeout must be a number of seconds, and is string",
        ),
        (r#"{"timeout": null}"#, "22023", "messages[1].timeout must be a number of seconds, and is null"),
        (r#"{"entity": {"canary-c0de": 1}}"#, "22023", "messages[1].entity must be a string, and is object"),
        (r#"{"entity": null}"#, "22023", "messages[1]: "),
        (r#"{"service_name": "Canary c0de"}"#, "22023", "messages[1]: "),
        (r#"{"timeout": -1}"#, "22023", "messages[1]: "),
        (r#"{"timeout": 1e30}"#, "22003", "messages[1]: "),
        (r#"{"body": "canary-c0de"}"#, "22023", "messages[1]: "),
        (r#"{"headers": ["canary-c0de"]}"#, "22023", "messages[1]: "),
        (r#"{"protocol": "xml"}"#, "22023", "messages[1]: "),
        (r#"{"traceparent": "none"}"#, "22023", "messages[1]: "),
    ] {
        let call = format!("SELECT tpro.publish_many('[{{}}, {message}, {{}}]', 'a', 'b', 'c')");
        let refusal = refused_with(&admin, state, &call).await?;
        assert!(refusal.message.starts_with(words), "{message}: {refusal:?}");
        assert!(!refusal.everything.contains("anary"), "{message}: {refusal:?}");
    }
    for messages in ["NULL", "'{}'", "'7'", "'null'"] {
        let refusal =
            refused_with(&admin, "22023", &format!("SELECT tpro.publish_many({messages}, 'a', 'b', 'c')"))
                .await?;
        assert!(refusal.message.starts_with("messages must be an array of objects"), "{refusal:?}");
    }
    assert_eq!(number(&admin, "SELECT count(*) FROM main_service.mq_publish").await?, 0);
    assert!(!database.cluster().log().contains("anary"));
    Ok(())
}

#[tpro_testkit::test]
async fn messages_are_taken_as_json_jsonb_text_or_a_literal() -> Outcome {
    let admin = database().await?.connect().await?;
    admin.batch_execute("SET tpro.sender = 'main'").await?;
    let named = "service_name => 'a', entity => 'b', method_name => 'c'";
    for (messages, target) in [
        ("'[{\"body\": [1]}, {}]'", "'a', 'b', 'c'"),
        ("'[{\"body\": [1]}, {}]'::json", "'a', 'b', 'c'"),
        ("'[{\"body\": [1]}, {}]'::jsonb", "'a', 'b', 'c', '{\"untyped\": 1}'"),
        ("'[{\"body\": [1]}, {}]'::text", "'a', 'b', 'c', jsonb_build_object(), '{\"untyped\": 1}'"),
        (
            "json_build_array(json_build_object('body', json_build_array(1)), json_build_object())",
            "'a', 'b', 'c', '{}'",
        ),
        ("(SELECT json_agg(row_to_json(m)) FROM (VALUES (json_build_array(1)), ('{}')) AS m (body))", named),
        ("messages => '[{\"body\": [1]}, {}]'", named),
    ] {
        let call = format!("SELECT tpro.publish_many({messages}, {target})");
        let ids: Vec<i64> = admin.query(&call, &[]).await?.iter().map(|row| row.get(0)).collect();
        let body = "SELECT body::text FROM main_service.mq_publish WHERE id = $1";
        assert_eq!(ids.len(), 2, "{call}");
        assert_eq!(admin.query_one(body, &[&ids[0]]).await?.try_get::<_, &str>(0)?, "[1]", "{call}");
    }
    for (messages, state) in [("NULL::json", "22023"), ("NULL::text", "22023"), ("'['::text", "22P02")] {
        refused_with(&admin, state, &format!("SELECT tpro.publish_many({messages}, 'a', 'b', 'c')")).await?;
    }
    let hint =
        refused_with(&admin, "22023", "SELECT tpro.publish_many('[{\"dedup_key\": 1}]', 'a', 'b', 'c')")
            .await?
            .hint;
    assert!(hint.contains("tpro.publish_once()"), "{hint}");
    Ok(())
}

#[tpro_testkit::test]
async fn an_error_that_is_not_about_a_value_has_no_place() -> Outcome {
    let database = database().await?;
    let admin = database.connect().await?;
    let call = "SELECT tpro.publish_many('[{}, {}]', 'a', 'b', 'c'";
    let without = refused_with(&admin, "55000", &format!("{call})")).await?;
    assert!(without.hint.contains("SET tpro.sender"), "{without:?}");
    refused_with(&admin, "3F000", &format!("{call}, sender => 'nobody')")).await?;
    let read_only = format!("BEGIN READ ONLY; {call}, sender => 'main')");
    let refusal = refused_with(&admin, "25006", &read_only).await?;
    assert!(!refusal.message.contains("messages["), "{refusal:?}");
    admin.batch_execute("ROLLBACK").await?;
    // The rights are those of an INSERT.
    let analytic = database.connect_as("analytic").await?;
    let refusal = refused_with(&analytic, "42501", &format!("{call}, sender => 'main')")).await?;
    assert!(!refusal.message.contains("messages["), "{refusal:?}");
    let main = database.connect_as("main").await?;
    assert_eq!(main.query(&format!("{call})"), &[]).await?.len(), 2);
    Ok(())
}
