//! `tpro.publish`.

use tpro_testkit::Outcome;

use crate::refusal::{refused, refused_with};
use crate::service::database;

#[tpro_testkit::test]
async fn a_publish_is_an_insert_into_the_senders_outbox() -> Outcome {
    let admin = database().await?.connect().await?;
    admin.batch_execute("SET tpro.sender = 'main'").await?;
    let row = admin
        .query_one(
            "SELECT tpro.publish('co', 'e', 'm', '{\"a\": 1}', '{\"h\": 2}', 7, 'json', space_name => 'other')",
            &[],
        )
        .await?;
    let id: i64 = row.try_get(0)?;
    let stored = "SELECT count(*) FROM main_service.mq_publish
                   WHERE id = $1 AND service_name = 'co' AND entity = 'e' AND method_name = 'm' AND body = '{\"a\": 1}'
                     AND headers = '{\"h\": 2}' AND timeout = 7 AND protocol = 'json' AND space_name = 'other'
                     AND reply_to IS NULL AND NOT direct";
    assert_eq!(admin.query_one(stored, &[&id]).await?.try_get::<_, i64>(0)?, 1);
    Ok(())
}

#[tpro_testkit::test]
async fn the_argument_wins_over_the_setting_and_without_both_nothing_is_published() -> Outcome {
    let admin = database().await?.connect().await?;
    let refusal = refused_with(&admin, "55000", "SELECT tpro.publish('a', 'b', 'c')").await?;
    assert!(refusal.hint.contains("SET tpro.sender"), "{refusal:?}");
    admin.batch_execute("SET tpro.sender = ''").await?;
    refused_with(&admin, "55000", "SELECT tpro.publish('a', 'b', 'c')").await?;
    admin
        .batch_execute("SET tpro.sender = 'main'; SELECT tpro.publish('a', 'b', 'c', sender => 'analytic')")
        .await?;
    let counts = "SELECT (SELECT count(*) FROM main_service.mq_publish), (SELECT count(*) FROM analytic_service.mq_publish)";
    let row = admin.query_one(counts, &[]).await?;
    assert_eq!((row.try_get::<_, i64>(0)?, row.try_get::<_, i64>(1)?), (0, 1));
    Ok(())
}

#[tpro_testkit::test]
async fn an_unknown_sender_is_named_only_if_it_could_be_a_service() -> Outcome {
    let admin = database().await?.connect().await?;
    let refusal =
        refused_with(&admin, "3F000", "SELECT tpro.publish('a', 'b', 'c', sender => 'nobody')").await?;
    assert_eq!(refusal.message, "there is no service nobody");
    let refusal =
        refused_with(&admin, "3F000", "SELECT tpro.publish('a', 'b', 'c', sender => 'x;y')").await?;
    assert_eq!(refusal.message, "there is no service of this name");
    Ok(())
}

#[tpro_testkit::test]
async fn the_setting_of_the_space_is_the_default_of_both_ways() -> Outcome {
    let admin = database().await?.connect().await?;
    admin
        .batch_execute(
            "SET tpro.space = 'staging'; SET tpro.sender = 'main'; SELECT tpro.publish('a', 'b', 'c');
             INSERT INTO main_service.mq_publish (service_name, entity, method_name) VALUES ('a', 'b', 'c')",
        )
        .await?;
    let staged = "SELECT count(*) FROM main_service.mq_publish WHERE space_name = 'staging'";
    assert_eq!(admin.query_one(staged, &[]).await?.try_get::<_, i64>(0)?, 2);
    Ok(())
}

#[tpro_testkit::test]
async fn a_refused_publish_tells_the_rule_and_not_the_body() -> Outcome {
    let database = database().await?;
    let admin = database.connect().await?;
    for (call, state) in [
        ("'Analytic', 'b', 'c', '{\"p\":\"canary-c0de\"}'", "22023"),
        ("'a', 'b', 'c', '\"canary-c0de\"'", "22023"),
        ("NULL, 'b', 'c', '{\"p\":\"canary-c0de\"}'", "22023"),
        ("'a', 'b', 'c', '{\"p\":\"canary-c0de\"}', timeout => -1", "22023"),
        ("'a', 'b', 'c', '{\"p\":\"canary-c0de\"}', headers => '{\"request\":\"canary-c0de\"}'", "22023"),
        ("'a', 'b', 'c', jsonb_build_array('canary-c0de', repeat('x', 900000))", "54000"),
    ] {
        let refusal =
            refused_with(&admin, state, &format!("SELECT tpro.publish({call}, sender => 'main')")).await?;
        assert!(!refusal.everything.contains("canary"), "{refusal:?}");
    }
    // Broken JSON is refused by PostgreSQL before anything of ours sees it. The user is told what he wrote himself; the
    // log, as it is set up here, is not.
    refused_with(
        &admin,
        "22P02",
        "SELECT tpro.publish('a', 'b', 'c', '{\"p\":\"canary-c0de\"', sender => 'main')",
    )
    .await?;
    assert!(!database.cluster().log().contains("canary"));
    Ok(())
}

#[tpro_testkit::test]
async fn a_publish_that_is_rolled_back_leaves_nothing() -> Outcome {
    let admin = database().await?.connect().await?;
    admin.batch_execute("SET tpro.sender = 'main'").await?;
    admin
        .batch_execute(
            "BEGIN; SELECT tpro.publish('a', 'b', 'c'); ROLLBACK;
             BEGIN; SAVEPOINT s; SELECT tpro.publish('a', 'b', 'c'); ROLLBACK TO s; COMMIT;",
        )
        .await?;
    refused(&admin, "BEGIN; SELECT tpro.publish('a', 'b', 'c'); SELECT 1 / 0; COMMIT").await?;
    admin.batch_execute("ROLLBACK").await?;
    let all = "SELECT count(*) FROM main_service.mq_publish";
    assert_eq!(admin.query_one(all, &[]).await?.try_get::<_, i64>(0)?, 0);
    // The session is as good as new.
    admin.batch_execute("SELECT tpro.publish('a', 'b', 'c')").await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_read_only_transaction_publishes_nothing() -> Outcome {
    let admin = database().await?.connect().await?;
    refused_with(&admin, "25006", "BEGIN READ ONLY; SELECT tpro.publish('a', 'b', 'c', sender => 'main')")
        .await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_session_goes_on_after_the_table_was_changed_and_the_service_made_again() -> Outcome {
    let database = database().await?;
    let (publisher, admin) = (database.connect().await?, database.connect().await?);
    let publish = "SELECT tpro.publish('a', 'b', 'c', sender => 'main')";
    publisher.batch_execute(publish).await?;
    admin.batch_execute("ALTER TABLE main_service.mq_publish ADD COLUMN extra text DEFAULT 'x'").await?;
    publisher.batch_execute(publish).await?;
    admin.batch_execute("SELECT tpro.drop_service('main', true)").await?;
    refused_with(&publisher, "3F000", publish).await?;
    admin.batch_execute("SELECT tpro.create_service('main')").await?;
    publisher.batch_execute(publish).await?;
    let all = "SELECT count(*) FROM main_service.mq_publish";
    assert_eq!(admin.query_one(all, &[]).await?.try_get::<_, i64>(0)?, 1);
    Ok(())
}

#[tpro_testkit::test]
async fn a_body_is_taken_as_json_jsonb_text_or_a_literal() -> Outcome {
    let admin = database().await?.connect().await?;
    admin.batch_execute("SET tpro.sender = 'main'").await?;
    for (call, stored) in [
        ("'a', 'b', 'c'", "{}"),
        ("'a', 'b', 'c', '{\"n\": 1}'", r#"{"n": 1}"#),
        ("'a', 'b', 'c', json_build_object('n', 1)", r#"{"n": 1}"#),
        ("'a', 'b', 'c', jsonb_build_object('n', 1)", r#"{"n": 1}"#),
        ("'a', 'b', 'c', '{\"n\": 1}'::text", r#"{"n": 1}"#),
        ("'a', 'b', 'c', '{\"n\": 1}'::varchar", r#"{"n": 1}"#),
        ("'a', 'b', 'c', row_to_json(r)) FROM (SELECT 1 AS n) AS r --", r#"{"n": 1}"#),
        (
            "service_name => 'a', entity => 'b', method_name => 'c', body => json_build_array(1), timeout => 3",
            "[1]",
        ),
        ("'a', 'b', 'c', body => '[2]', headers => '{}', protocol => 'json'", "[2]"),
        ("'a', 'b', 'c', sender => 'main'", "{}"),
    ] {
        let call = format!("SELECT tpro.publish({call}");
        let call = if call.ends_with("--") { call } else { format!("{call})") };
        let id: i64 = admin.query_one(&call, &[]).await?.try_get(0)?;
        let body = "SELECT body::text FROM main_service.mq_publish WHERE id = $1";
        assert_eq!(admin.query_one(body, &[&id]).await?.try_get::<_, &str>(0)?, stored, "{call}");
    }
    // Parameters as drivers send them: of the type that is asked for.
    let text: i64 = admin.query_one("SELECT tpro.publish('a', 'b', 'c', $1)", &[&"[3]"]).await?.try_get(0)?;
    assert!(text > 0);
    for body in ["NULL", "NULL::json", "NULL::jsonb", "NULL::text"] {
        let refusal =
            refused_with(&admin, "22023", &format!("SELECT tpro.publish('a', 'b', 'c', {body})")).await?;
        assert_eq!(refusal.message, "body must not be null");
    }
    for body in ["'{'", "'{'::text"] {
        refused_with(&admin, "22P02", &format!("SELECT tpro.publish('a', 'b', 'c', {body})")).await?;
    }
    for body in [
        "",
        ", '{}'",
        ", json_build_object()",
        ", jsonb_build_object()",
        ", '{}'::text",
        ", body => json_build_array()",
    ] {
        refused_with(&admin, "22023", &format!("CALL tpro.request('a', 'b', 'c'{body}, timeout => -14)"))
            .await?;
    }
    Ok(())
}

#[tpro_testkit::test]
async fn a_program_that_names_all_columns_and_returns_all_has_a_view_that_shows_nothing() -> Outcome {
    let database = database().await?;
    database.create_role("orm").await?;
    let admin = database.connect().await?;
    admin
        .batch_execute(
            "GRANT main_publisher TO orm; SELECT tpro.publish('a', 'b', 'secret', sender => 'main')",
        )
        .await?;
    let orm = database.connect_as("orm").await?;
    let row = orm
        .query_one(
            "INSERT INTO main_service.mq_send (service_name, entity, method_name, body) VALUES ('a', 'b', 'c', '{\"n\": 1}') RETURNING *",
            &[],
        )
        .await?;
    assert_eq!(row.columns().len(), 17);
    assert_eq!((row.try_get::<_, i64>("id")?, row.try_get::<_, i32>("timeout")?), (2, 15));
    orm.batch_execute(
        "INSERT INTO main_service.mq_send (protocol, space_name, service_name, entity, method_name, timeout, headers, body, created_at,
                                           reply_to, expires_at, traceparent, tracestate, priority, ordering_key)
         VALUES (DEFAULT, DEFAULT, 'a', 'b', 'c', DEFAULT, DEFAULT, DEFAULT, DEFAULT, 'label', DEFAULT, DEFAULT, DEFAULT, DEFAULT, DEFAULT)
         RETURNING *",
    )
    .await?;
    assert_eq!(orm.query("SELECT * FROM main_service.mq_send", &[]).await?.len(), 0);
    for statement in [
        "INSERT INTO main_service.mq_send (id, service_name, entity, method_name) VALUES (9, 'a', 'b', 'c')",
        "INSERT INTO main_service.mq_send (on_reply, service_name, entity, method_name) VALUES (DEFAULT, 'a', 'b', 'c')",
        "UPDATE main_service.mq_send SET timeout = 1",
        "DELETE FROM main_service.mq_send",
        "INSERT INTO main_service.mq_publish (service_name, entity, method_name) VALUES ('a', 'b', 'c') RETURNING *",
    ] {
        refused_with(&orm, "42501", statement).await?;
    }
    // The rules and the bell are those of the outbox.
    refused_with(&orm, "22023", "INSERT INTO main_service.mq_send (service_name) VALUES ('A')").await?;
    let all = "SELECT count(*) FROM main_service.mq_publish";
    assert_eq!(admin.query_one(all, &[]).await?.try_get::<_, i64>(0)?, 3);
    // For one that names the id, too: the grant that the README names.
    let whole = "INSERT INTO main_service.mq_send (id, service_name, entity, method_name) VALUES (DEFAULT, 'a', 'b', 'c') RETURNING *";
    refused_with(&orm, "42501", whole).await?;
    admin.batch_execute("GRANT INSERT (id) ON main_service.mq_send TO orm").await?;
    assert!(orm.query_one(whole, &[]).await?.try_get::<_, i64>("id")? > 3);
    Ok(())
}
