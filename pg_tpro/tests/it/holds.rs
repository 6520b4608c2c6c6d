//! Ordering keys that are held: who asks for it, who lets them go, and what `tpro.retry` makes of
//! them.

use tokio_postgres::Client;
use tpro_testkit::{Outcome, Postgres};

use crate::refusal::refused_with;
use crate::roles::member;
use crate::service::database;

const BEFORE: &str = "0.1.0";
const HOLD: &str = r#"headers => '{"ordering": {"on_error": "hold"}}'"#;

/// The messages that hold their keys, as `id key`.
async fn held(session: &Client) -> Outcome<String> {
    let query = "SELECT coalesce(string_agg(id || ' ' || ordering_key, ', ' ORDER BY id), '') FROM main_service.mq_hold";
    Ok(session.query_one(query, &[]).await?.try_get(0)?)
}

/// Holds the key of a message, as who settles it does.
fn hold(id: i64, service: &str, key: &str) -> String {
    format!(
        "INSERT INTO main_service.mq_hold (id, space_name, service_name, ordering_key)
         VALUES ({id}, 'tpro', '{service}', '{key}')"
    )
}

#[tpro_testkit::test]
async fn only_a_message_with_a_key_can_hold_it_in_each_way_of_publishing() -> Outcome {
    let admin = database().await?.connect().await?;
    admin.batch_execute("SET tpro.sender = 'main'").await?;
    let columns = "service_name, entity, method_name, headers";
    let values = r#"'a', 'b', 'c', '{"ordering": {"on_error": "hold"}}'"#;
    let ways = |key: &str, column: &str, value: &str| {
        [
            format!("SELECT tpro.publish('a', 'b', 'c', {HOLD}{key})"),
            format!("SELECT tpro.publish('a', 'b', 'c', send_at => now() + interval '1 hour', {HOLD}{key})"),
            format!("SELECT tpro.publish_many('[{{}}]', 'a', 'b', 'c', {HOLD}{key})"),
            format!("SELECT tpro.publish_once('k' || random(), 'a', 'b', 'c', {HOLD}{key})"),
            format!("INSERT INTO main_service.mq_publish ({columns}{column}) VALUES ({values}{value})"),
            format!("INSERT INTO main_service.mq_send ({columns}{column}) VALUES ({values}{value})"),
            format!(
                "INSERT INTO main_service.mq_later (send_at, {columns}{column}) VALUES (now(), {values}{value})"
            ),
        ]
    };
    for way in ways("", "", "") {
        let refusal = refused_with(&admin, "22023", &way).await?;
        let rule = "ordering_key must not be null when ordering.on_error is hold";
        assert!(refusal.message.ends_with(rule), "{refusal:?}");
        assert!(refusal.hint.contains("leave ordering.on_error out"), "{refusal:?}");
    }
    for way in ways(", ordering_key => 'k'", ", ordering_key", ", 'k'") {
        admin.batch_execute(&way).await?;
    }
    for word in [r#""later""#, "true", "7", r#"["hold"]"#, r#""Hold""#] {
        let call = format!(
            "SELECT tpro.publish('a', 'b', 'c', headers => '{{\"ordering\": {{\"on_error\": {word}}}}}', ordering_key => 'k')"
        );
        let refusal = refused_with(&admin, "22023", &call).await?;
        assert_eq!(refusal.message, "headers must have continue or hold as its ordering.on_error");
        assert!(refusal.hint.contains("tpro.release()"), "{refusal:?}");
    }
    // The rest of the headers is the user's.
    for headers in [
        r#"{"ordering": {"on_error": "continue"}}"#,
        r#"{"ordering": {"on_error": null}}"#,
        r#"{"ordering": "hold"}"#,
        r#"{"on_error": "hold"}"#,
        r#"{"note": "hold the line"}"#,
    ] {
        admin.batch_execute(&format!("SELECT tpro.publish('a', 'b', 'c', headers => '{headers}')")).await?;
    }
    Ok(())
}

#[tpro_testkit::test]
async fn a_release_ends_the_holds_of_a_key_and_tells_the_leader_at_the_commit() -> Outcome {
    let database = database().await?;
    let (admin, operator) = (database.connect().await?, member(&database, "tpro_operator").await?);
    operator.batch_execute("RESET tpro.sender").await?;
    for (id, service, key) in [(1, "a", "k"), (2, "b", "k"), (3, "a", "other"), (4, "a", "K")] {
        admin.batch_execute(&hold(id, service, key)).await?;
    }
    let release = async |arguments: &str| -> Outcome<i64> {
        let call = format!("SELECT tpro.release({arguments})");
        Ok(operator.query_one(&call, &[]).await?.try_get(0)?)
    };
    assert_eq!(release("'k', 'nobody', 'main'").await?, 0);
    assert_eq!(release("'k', 'b', 'main'").await?, 1);
    assert_eq!(held(&operator).await?, "1 k, 3 other, 4 K");
    operator.batch_execute("BEGIN; SELECT tpro.release('other', sender => 'main'); ROLLBACK").await?;
    operator.batch_execute("SET tpro.sender = 'main'").await?;
    assert_eq!((release("'k'").await?, release("'k'").await?), (1, 0));
    assert_eq!(held(&operator).await?, "3 other, 4 K");
    let refusal = refused_with(&operator, "22023", "SELECT tpro.release(NULL)").await?;
    assert!(refusal.hint.contains("main_service.mq_hold"), "{refusal:?}");
    refused_with(&operator, "3F000", "SELECT tpro.release('k', sender => 'nobody')").await?;
    // It is told by a notification, which cannot be prepared.
    let prepared = "BEGIN; SELECT tpro.release('other'); PREPARE TRANSACTION 'x'";
    refused_with(&operator, "0A000", prepared).await?;
    operator.batch_execute("ROLLBACK").await?;
    assert_eq!(held(&operator).await?, "3 other, 4 K");
    Ok(())
}

#[tpro_testkit::test]
async fn a_retry_takes_the_place_of_the_message_that_holds_its_key() -> Outcome {
    let admin = database().await?.connect().await?;
    admin
        .batch_execute(&format!(
            "SET tpro.sender = 'main';
             SELECT tpro.publish('a', 'b', 'c', ordering_key => 'k', {HOLD}); SELECT tpro.cancel(1);
             SELECT tpro.publish('a', 'b', 'c', ordering_key => 'k', {HOLD}); SELECT tpro.cancel(2);
             {}; SELECT tpro.retry(2)",
            hold(1, "a", "k")
        ))
        .await?;
    assert_eq!(held(&admin).await?, "1 k", "another one was repeated");
    admin.batch_execute("SELECT tpro.retry(1)").await?;
    assert_eq!(held(&admin).await?, "1 k, 4 k", "the copy may be sent, too");
    let headers =
        "SELECT count(*) FROM main_service.mq_publish WHERE headers #>> '{ordering,on_error}' = 'hold'";
    assert_eq!(admin.query_one(headers, &[]).await?.try_get::<_, i64>(0)?, 4, "a copy holds as well");
    Ok(())
}

#[tpro_testkit::test]
async fn only_who_settles_writes_holds_and_only_operators_end_them() -> Outcome {
    let database = database().await?;
    let sidecar = member(&database, "main_sidecar").await?;
    sidecar.batch_execute(&hold(1, "a", "k")).await?;
    refused_with(&sidecar, "42501", "SELECT tpro.release('k', sender => 'main')").await?;
    refused_with(&sidecar, "42501", "UPDATE main_service.mq_hold SET id = 2").await?;
    refused_with(&sidecar, "42501", "DELETE FROM main_service.mq_hold").await?;
    refused_with(&sidecar, "42501", "SELECT tpro.end_holds('analytic', '{1}')").await?;
    for (role, may_read) in [("main_publisher", false), ("tpro_reader", true), ("tpro_operator", true)] {
        let session = member(&database, role).await?;
        match may_read {
            true => assert_eq!(held(&session).await?, "1 k"),
            false => drop(refused_with(&session, "42501", "SELECT * FROM main_service.mq_hold").await?),
        }
        refused_with(&session, "42501", &hold(2, "a", "k")).await?;
        refused_with(&session, "42501", "DELETE FROM main_service.mq_hold").await?;
        refused_with(&session, "42501", "SELECT tpro.end_holds('main', '{1}')").await?;
    }
    let end = async |session: &Client| -> Outcome<i64> {
        Ok(session.query_one("SELECT tpro.end_holds('main', '{1, 7}')", &[]).await?.try_get(0)?)
    };
    for (id, service, key) in [(2, "a", "k"), (3, "b", "k"), (4, "a", "other")] {
        sidecar.batch_execute(&hold(id, service, key)).await?;
    }
    assert_eq!((end(&sidecar).await?, end(&sidecar).await?), (2, 0));
    assert_eq!(held(&sidecar).await?, "3 k, 4 other");
    Ok(())
}

#[tpro_testkit::test]
async fn a_service_that_is_not_upgraded_says_so() -> Outcome {
    let database = Postgres::shared().await?.database_of(BEFORE).await?;
    database.create_service_of(BEFORE, "old").await?;
    let admin = database.connect().await?;
    admin.batch_execute("ALTER EXTENSION pg_tpro UPDATE; SET tpro.sender = 'old'").await?;
    let refusal = refused_with(&admin, "55000", "SELECT tpro.release('k')").await?;
    assert!(refusal.hint.contains("tpro.upgrade_service('old')"), "{refusal:?}");
    admin
        .batch_execute("SELECT tpro.publish('a', 'b', 'c'); SELECT tpro.cancel(1); SELECT tpro.retry(1)")
        .await?;
    admin.batch_execute("CALL tpro.upgrade_services()").await?;
    let released: i64 = admin.query_one("SELECT tpro.release('k')", &[]).await?.try_get(0)?;
    assert_eq!(released, 0);
    Ok(())
}
