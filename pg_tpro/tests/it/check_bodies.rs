//! `tpro.check`, and the setting `tpro.check_bodies`.

use tokio_postgres::Client;
use tpro_testkit::{Database, Outcome};

use crate::methods::serves;
use crate::refusal::{Refusal, refused_with};
use crate::roles::member;
use crate::service::{count, database, publisher};

const TEXT: &str = r#"{"type": "string", "maxLength": 9}"#;

/// The problems of a body for `analytic.example.simple`, each as `path: problem`.
async fn problems(session: &Client, method: &str, body: &str) -> Outcome<Vec<String>> {
    let query = "SELECT coalesce(path, 'none') || ': ' || problem FROM tpro.check('analytic', 'example', $1, $2::text::jsonb)";
    Ok(session.query(query, &[&method, &body]).await?.iter().map(|row| row.get(0)).collect())
}

/// All ways to publish a body to `analytic.example.simple`.
fn ways(body: &str) -> Vec<String> {
    let columns = "service_name, entity, method_name, body";
    let values = format!("'analytic', 'example', 'simple', '{body}'");
    let mut ways = vec![
        format!("SELECT tpro.publish({values})"),
        format!("SELECT tpro.publish({values}, send_at => now() + interval '1 hour')"),
        format!("SELECT tpro.publish_many('[{{\"body\": {body}}}]', 'analytic', 'example', 'simple')"),
        format!("SELECT tpro.publish_once('k' || random(), {values})"),
        format!("CALL tpro.request({values}, timeout => 0)"),
    ];
    for table in ["mq_publish", "mq_send"] {
        ways.push(format!("INSERT INTO main_service.{table} ({columns}) VALUES ({values})"));
    }
    ways.push(format!(
        "INSERT INTO main_service.mq_once (dedup_key, {columns}) VALUES ('k' || random(), {values})"
    ));
    ways.push(format!("INSERT INTO main_service.mq_later (send_at, {columns}) VALUES (now(), {values})"));
    ways
}

/// A database in which a copy of `analytic` has said what it takes, and a session that publishes.
async fn described() -> Outcome<(Database, Client)> {
    let database = database().await?;
    database.connect_as("analytic").await?.batch_execute(&serves("one", "1.0", TEXT)).await?;
    let session = publisher(&database).await?;
    Ok((database, session))
}

#[tpro_testkit::test]
async fn the_problems_of_a_body_are_listed() -> Outcome {
    let (database, session) = described().await?;
    assert_eq!(problems(&session, "simple", r#"{"login": "ann"}"#).await?, Vec::<String>::new());
    assert_eq!(problems(&session, "simple", r#"{"login": 7}"#).await?, ["login: must be a string"]);
    assert_eq!(problems(&session, "simple", "{}").await?, ["login: is missing"]);
    assert_eq!(problems(&session, "any", "7").await?, Vec::<String>::new(), "its bodies are not known");
    assert_eq!(
        problems(&session, "simpel", "{}").await?,
        ["none: no running copy of analytic answers example.simpel"]
    );
    for unknown in ["'main', 'example', 'simple', '{}'", "'analytic', 'example', 'simple', '{}', 'elsewhere'"]
    {
        let query = format!("SELECT count(*) FROM tpro.check({unknown})");
        assert_eq!(count(&session, &query).await?, 0, "nobody knows: {unknown}");
    }
    // Everybody who may publish may ask.
    let other = member(&database, "main_publisher").await?;
    assert_eq!(problems(&other, "simple", "{}").await?, ["login: is missing"]);
    Ok(())
}

#[tpro_testkit::test]
async fn a_body_that_does_not_fit_is_refused_in_every_way_of_publishing() -> Outcome {
    let (_database, session) = described().await?;
    let told = |refusal: &Refusal| {
        // publish_many says which of its messages it is.
        let text = refusal.message.strip_prefix("messages[0]: ").unwrap_or(&refusal.message);
        assert_eq!(text, "the body does not fit analytic.example.simple: login must be a string");
        assert!(refusal.hint.contains("tpro.check(") && refusal.hint.contains("tpro.check_bodies = off"));
        assert!(!refusal.everything.contains("77777"), "no value is told: {refusal:?}");
    };
    let bad = r#"{"login": 77777}"#;
    for way in ways(bad) {
        session.batch_execute(&way).await?;
    }
    session.batch_execute("SET tpro.check_bodies = error").await?;
    let published = "SELECT (SELECT count(*) FROM main_service.mq_publish) + (SELECT count(*) FROM main_service.mq_later)";
    let before = count(&session, published).await?;
    for way in ways(bad) {
        told(&refused_with(&session, "22023", &way).await?);
    }
    assert_eq!(count(&session, published).await?, before, "nothing half done");
    for way in ways(r#"{"login": "ann"}"#) {
        session.batch_execute(&way).await?;
    }
    let call = "SELECT tpro.publish('analytic', 'example', 'simpel')";
    let unknown = refused_with(&session, "22023", call).await?;
    assert_eq!(unknown.message, "no running copy of analytic answers example.simpel");
    assert!(unknown.hint.contains("FROM tpro.methods"), "{unknown:?}");
    refused_with(&session, "22023", "SET tpro.check_bodies = perhaps").await?;
    Ok(())
}

#[tpro_testkit::test]
async fn each_element_of_a_batch_is_a_body() -> Outcome {
    let (_database, session) = described().await?;
    session.batch_execute("SET tpro.check_bodies = error").await?;
    let batch = |body: &str| {
        format!(
            r#"SELECT tpro.publish('analytic', 'example', 'simple', '{body}', headers => '{{"request": {{"type": "batch"}}}}')"#
        )
    };
    session.batch_execute(&batch(r#"[{"login": "a"}, {"login": "b"}]"#)).await?;
    let refusal = refused_with(&session, "22023", &batch(r#"[{"login": "a"}, {"login": 7}]"#)).await?;
    assert_eq!(refusal.message, "the body does not fit analytic.example.simple: [1].login must be a string");
    assert!(refusal.hint.contains("body -> number"), "{}", refusal.hint);
    Ok(())
}

#[tpro_testkit::test]
async fn a_body_is_refused_only_if_no_running_copy_can_take_it() -> Outcome {
    let (database, session) = described().await?;
    let sidecar = database.connect_as("analytic").await?;
    let admin = database.connect().await?;
    session.batch_execute("SET tpro.check_bodies = error").await?;
    let number = r#"SELECT tpro.publish('analytic', 'example', 'simple', '{"login": 7}')"#;
    refused_with(&session, "22023", number).await?;
    // A release that takes it is rolled out.
    sidecar.batch_execute(&serves("two", "2.0", r#"{"type": "integer"}"#)).await?;
    session.batch_execute(number).await?;
    session
        .batch_execute(r#"SELECT tpro.publish('analytic', 'example', 'simple', '{"login": "ann"}')"#)
        .await?;
    refused_with(
        &session,
        "22023",
        r#"SELECT tpro.publish('analytic', 'example', 'simple', '{"login": []}')"#,
    )
    .await?;
    // It is gone, and was not seen lately.
    admin
        .batch_execute(
            "UPDATE tpro.known_copy SET seen_at = now() - interval '121 seconds' WHERE copy = 'two'",
        )
        .await?;
    refused_with(&session, "22023", number).await?;
    // Beside a copy that was only heard on NATS, nobody can be sure.
    let heard = "INSERT INTO tpro.known_copy (service_name, space_name, copy, release, trusted) VALUES ('analytic', 'tpro', 'h', '1', false)";
    admin.batch_execute(heard).await?;
    session.batch_execute(number).await?;
    admin.batch_execute("DELETE FROM tpro.known_copy WHERE copy = 'h'").await?;
    refused_with(&session, "22023", number).await?;
    // No copy runs: it will be sent to one that comes.
    sidecar.batch_execute("SELECT tpro.serves_no_more('analytic', 'tpro', 'one')").await?;
    session.batch_execute(number).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_method_in_sql_is_checked_by_the_schema_that_sql_has_given() -> Outcome {
    let (database, session) = described().await?;
    let admin = database.connect().await?;
    admin
        .batch_execute(
            r#"SET tpro.sender = 'analytic';
               CREATE FUNCTION public.price(body jsonb, request tpro.request_row) RETURNS jsonb LANGUAGE sql AS 'SELECT body';
               SELECT tpro.handle('item', 'price', 'price'::regproc)"#,
        )
        .await?;
    session.batch_execute("SET tpro.check_bodies = error").await?;
    let bad = r#"SELECT tpro.publish('analytic', 'item', 'price', '{"item": 7}')"#;
    session.batch_execute(bad).await?;
    let schema = r#"{"properties": {"item": {"type": "string"}}}"#;
    admin.batch_execute(&format!("SELECT tpro.describe('item', 'price', body_schema => '{schema}')")).await?;
    let refusal = refused_with(&session, "22023", bad).await?;
    assert!(refusal.message.ends_with("analytic.item.price: item must be a string"), "{refusal:?}");
    // The next release has it in the program, with a number. The one before asks the function.
    let own = r#"[{"entity": "item", "method_name": "price", "mode": "default", "body_schema": {"properties": {"item": {"type": "integer"}}}}]"#;
    let sidecar = database.connect_as("analytic").await?;
    sidecar.batch_execute(&format!("SELECT tpro.serves('analytic', 'tpro', 'two', '2.0', '{own}')")).await?;
    session.batch_execute(bad).await?;
    session.batch_execute(r#"SELECT tpro.publish('analytic', 'item', 'price', '{"item": "a"}')"#).await?;
    refused_with(&session, "22023", r#"SELECT tpro.publish('analytic', 'item', 'price', '{"item": true}')"#)
        .await?;
    sidecar.batch_execute("SELECT tpro.serves_no_more('analytic', 'tpro', 'one')").await?;
    refused_with(&session, "22023", r#"SELECT tpro.publish('analytic', 'item', 'price', '{"item": "a"}')"#)
        .await?;
    Ok(())
}

#[tpro_testkit::test]
async fn with_warn_a_body_is_published_and_its_publisher_is_warned() -> Outcome {
    let (database, session) = described().await?;
    session.batch_execute("SET tpro.check_bodies = warn").await?;
    session
        .batch_execute(r#"SELECT tpro.publish('analytic', 'example', 'simple', '{"login": 77777}')"#)
        .await?;
    assert_eq!(count(&session, "SELECT count(*) FROM main_service.mq_publish").await?, 1);
    let log = database.cluster().log();
    let warning = "WARNING:  the body does not fit analytic.example.simple: login must be a string";
    assert!(log.contains(warning), "{log}");
    assert!(!log.lines().filter(|line| line.contains("WARNING")).any(|line| line.contains("77777")));
    Ok(())
}

#[tpro_testkit::test]
async fn what_the_sidecar_has_done_already_is_not_judged() -> Outcome {
    let (database, _session) = described().await?;
    let sidecar = database.connect_as("main").await?;
    sidecar.batch_execute("SET tpro.check_bodies = error").await?;
    sidecar
        .batch_execute(
            "INSERT INTO main_service.mq_publish (service_name, entity, method_name, body, direct)
             VALUES ('analytic', 'example', 'simple', '{}', true)",
        )
        .await?;
    // A message whose time has come was judged when it was published.
    let admin = database.connect().await?;
    admin
        .batch_execute(
            "SET tpro.sender = 'main';
             SELECT tpro.publish('analytic', 'example', 'simple', '{}', send_at => now() - interval '1 second')",
        )
        .await?;
    sidecar.batch_execute("SELECT tpro.send_due('main', '-infinity', 10)").await?;
    assert_eq!(count(&admin, "SELECT count(*) FROM main_service.mq_publish").await?, 2);
    Ok(())
}

/// Schemas and bodies that would take a checker for ever, or through its stack.
#[tpro_testkit::test]
async fn a_backend_survives_any_schema() -> Outcome {
    let (_database, session) = described().await?;
    let deep = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    for (schema, body) in [
        (r##"{"$ref": "#"}"##.to_owned(), "1".to_owned()),
        (r##"{"items": {"$ref": "#"}}"##.to_owned(), deep(100)),
        (r##"{"items": {"$ref": "#"}}"##.to_owned(), deep(5_000)),
        (
            r##"{"anyOf": [{"items": {"$ref": "#"}, "minItems": 2}, {"items": {"$ref": "#"}, "minItems": 3}]}"##.to_owned(),
            deep(60),
        ),
        (deep(5_000), "1".to_owned()),
        ("7".to_owned(), "1".to_owned()),
    ] {
        let misfits: Option<Vec<String>> = session
            .query_one("SELECT tpro.misfits($1::text::jsonb, $2::text::jsonb, false)", &[&schema, &body])
            .await?
            .try_get(0)?;
        assert_eq!(misfits, None, "not known is no misfit: {schema:.60}");
    }
    // More schemas than are kept.
    let many = "SELECT count(*) FROM generate_series(1, 3000) n
                 WHERE tpro.misfits(jsonb_build_object('const', n, 'description', repeat('a', 2000)), '0', false) IS NOT NULL";
    assert_eq!(count(&session, many).await?, 3_000);
    Ok(())
}
