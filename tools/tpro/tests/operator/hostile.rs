//! Data that wants to steer the terminal of an operator; and JSON, whose every key is documented.

use serde_json::Value;
use tpro_testkit::{Outcome, Postgres, paths};

use crate::tool::on;

/// Text that clears a screen, sets a title, turns text around, and has control characters of all
/// kinds.
const EVIL: &str = "\u{1b}[2J\u{1b}]0;owned\u{7}\u{202e}\u{9b}31m\r\n\u{7f}";

#[tpro_testkit::test]
async fn nothing_of_the_database_reaches_the_terminal_raw() -> Outcome {
    let database = Postgres::shared().await?.database().await?;
    database.create_service("main").await?;
    let admin = database.connect().await?;
    // A superuser can do even this; a service can answer what it likes.
    admin
        .batch_execute(
            "ALTER DOMAIN tpro.method_name DROP CONSTRAINT method_name_rule;
             CREATE FUNCTION public.nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        )
        .await?;
    let evil = |statement: &str| statement.replace("EVIL", &EVIL.replace('\'', "''"));
    admin.batch_execute(&evil("CREATE TRIGGER \"EVIL\" BEFORE INSERT ON main_service.mq_reply FOR EACH ROW EXECUTE FUNCTION public.nothing()")).await?;
    admin
        .execute(
            "INSERT INTO main_service.mq_publish (service_name, entity, method_name, body, headers)
             VALUES ('x', 'a', $1::text, jsonb_build_object($1::text, $1::text), jsonb_build_object('h', $1::text))",
            &[&EVIL],
        )
        .await?;
    admin
        .execute(
            "INSERT INTO main_service.mq_reply (mq_id, uid, status, responder, error)
             SELECT p.id, p.uid, 'error', $1::text, jsonb_build_object('message', $1::text) FROM main_service.mq_publish p",
            &[&EVIL],
        )
        .await?;
    admin
        .execute(
            "INSERT INTO main_service.mq_publish (service_name, entity, method_name) VALUES ('x', 'a', $1::text)",
            &[&EVIL],
        )
        .await?;

    let documents = std::fs::read_to_string(paths::checkout().join("docs/tpro.md"))?;
    for (arguments, code) in [
        (&["status"][..], 0),
        (&["messages"], 0),
        (&["messages", "--method", EVIL], 0),
        (&["messages", EVIL], 2),
        (&["messages", "--since", EVIL], 2),
        (&["show", "1"], 0),
        (&["show", "2"], 0),
        (&["show", EVIL], 2),
        (&["cancel", "1", "--sender", EVIL], 2),
        (&["cancel", "1", "2", "9"], 1),
        (&["retry", "1"], 0),
        (&["health"], 1),
        (&["health", EVIL], 2),
        (&["top", "--interval", "1"], 0),
        (&[EVIL], 2),
    ] {
        for json in [false, true] {
            let mut all = arguments.to_vec();
            if json && code != 2 {
                all.push("--json");
            }
            let ran = on(&database, "postgres", &all)?.ended(code)?;
            for text in [&ran.out, &ran.err] {
                let raw: Vec<char> = text
                    .chars()
                    .filter(|letter| letter.is_control() && *letter != '\n' || *letter == '\u{202e}')
                    .collect();
                assert!(raw.is_empty(), "{all:?}: {raw:?} in {text}");
            }
            if json && code != 2 {
                each_key_is_documented(&ran.json()?, &documents);
            }
        }
    }
    // It is there, in a form that does no harm, and comes back from JSON as it was.
    let shown = on(&database, "postgres", &["show", "1"])?.ended(0)?;
    assert!(shown.out.contains("\\u{1b}[2J") && shown.out.contains("\\u{202e}"), "{}", shown.out);
    let json = on(&database, "postgres", &["show", "1", "--json"])?.ended(0)?.json()?;
    assert_eq!(
        (json["published"]["body"][EVIL].as_str(), json["reply"]["responder"].as_str()),
        (Some(EVIL), Some(EVIL))
    );
    Ok(())
}

/// All keys, but for those of what people publish and answer.
fn each_key_is_documented(value: &Value, documents: &str) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                assert!(documents.contains(&format!("`{key}`")), "{key} is not in docs/tpro.md");
                if !["headers", "body", "result", "error"].contains(&key.as_str()) {
                    each_key_is_documented(value, documents);
                }
            }
        }
        Value::Array(members) => members.iter().for_each(|value| each_key_is_documented(value, documents)),
        _ => {}
    }
}

#[tpro_testkit::test]
async fn no_view_of_anybody_else_is_read() -> Outcome {
    let database = Postgres::shared().await?.database().await?;
    database.create_service("main").await?;
    database.create_role("intruder").await?;
    let admin = database.connect().await?;
    admin.batch_execute(&format!("GRANT CREATE ON DATABASE {} TO intruder", database.name())).await?;
    let intruder = database.connect_as("intruder").await?;
    intruder
        .batch_execute(
            "CREATE SCHEMA evil_service;
             CREATE FUNCTION evil_service.own() RETURNS bigint LANGUAGE plpgsql AS 'BEGIN ALTER ROLE intruder SUPERUSER; RETURN 1; END';
             CREATE TABLE evil_service.mq_publish (id bigint) PARTITION BY RANGE (id);
             CREATE TABLE evil_service.mq_reply (id bigint) PARTITION BY RANGE (id);
             CREATE VIEW evil_service.mq_status AS
                 SELECT evil_service.own() AS id, now() AS created_at, 'tpro.a.b.c'::text AS target, 'ok'::text AS status,
                        interval '1' AS age, 1 AS attempts, ''::text AS trace_id;
             GRANT ALL ON SCHEMA evil_service TO PUBLIC; GRANT ALL ON ALL TABLES IN SCHEMA evil_service TO PUBLIC",
        )
        .await?;
    on(&database, "postgres", &["messages"])?.ended(0)?;
    on(&database, "postgres", &["show", "1"])?.ended(1)?;
    on(&database, "postgres", &["status"])?.ended(0)?;
    let named = on(&database, "postgres", &["messages", "evil"])?.ended(2)?;
    assert!(named.err.contains("there is no service evil; there are: main"), "{}", named.err);
    let row = admin.query_one("SELECT rolsuper FROM pg_roles WHERE rolname = 'intruder'", &[]).await?;
    assert!(!row.get::<_, bool>(0));
    Ok(())
}
