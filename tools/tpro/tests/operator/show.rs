//! `tpro show`.

use serde_json::json;
use tpro_testkit::{Message, Outcome, Postgres, World};

use crate::tool::{member, on, run, tpro};

#[tpro_testkit::test]
async fn a_message_is_shown_whole_to_who_may_read_it_and_without_its_body_to_a_reader() -> Outcome {
    let world = World::demo().await?;
    let (main, analytic) = (world.run("main").await?, world.run("analytic").await?);
    let body = json!({ "ip": "172.19.0.8", "login": "login342", "password": "phnd26w" });
    let id = world.publish(&Message::to("analytic.example.simple").timeout(15).body(body.clone())).await?;
    world.await_reply(id).await?.ok()?;
    let database = &world.database;
    let reader = member(database, "tpro_reader").await?;
    let (id, trace) = (id.to_string(), "http://127.0.0.1:16686/");

    let url = database.url();
    let whole = run(tpro(&["show", &id, "--json"]).env("DATABASE_URL", &url).env("JAEGER_URL", trace))?
        .ended(0)?
        .json()?;
    assert_eq!(whole["published"]["body"], body);
    assert_eq!(whole["published"]["timeout_seconds"], json!(15));
    assert_eq!((&whole["status"], &whole["reply"]["status"]), (&json!("ok"), &json!("ok")));
    assert_eq!((&whole["attempts"], &whole["reply"]["error"]), (&json!(1), &json!(null)));
    assert!(whole["reply"]["result"]["sid"].is_string(), "{whole}");
    assert_eq!(whole["runs"][0]["run"], json!(1));
    assert!(whole["runs"][0]["outcome_at"].is_string(), "{whole}");
    let link = format!("{trace}trace/{}", whole["trace_id"].as_str().unwrap_or_default());
    assert_eq!((&whole["trace_url"], &whole["hidden"]), (&json!(link), &json!(null)));
    let shown = on(database, "postgres", &["show", &id])?.ended(0)?;
    for words in ["phnd26w", "analytic/", "run 1", "15s", "\"sid\""] {
        assert!(shown.out.contains(words), "{words} in {}", shown.out);
    }

    let part = on(database, &reader, &["show", &id, "--json"])?.ended(0)?.json()?;
    assert_eq!(
        (&part["published"], &part["reply"], &part["status"]),
        (&json!(null), &json!(null), &json!("ok"))
    );
    let part = on(database, &reader, &["show", &id])?.ended(0)?;
    assert!(
        part.out.contains(&format!(
            "GRANT SELECT ON main_service.mq_publish, main_service.mq_reply TO {reader};"
        )),
        "{}",
        part.out
    );
    assert!(!part.out.contains("phnd26w"), "{}", part.out);
    world.finish(&[&main, &analytic]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn one_that_is_sent_later_is_shown_with_its_time_and_found_by_its_state() -> Outcome {
    let database = Postgres::shared().await?.database().await?;
    database.create_service("main").await?;
    let later = "SELECT tpro.publish('a', 'b', 'c', '[7]', send_at => now() + interval '1 hour', priority => 1, ordering_key => 'k 1', sender => 'main')";
    database
        .connect()
        .await?
        .batch_execute(&format!("SELECT tpro.publish('a', 'b', 'c', sender => 'main'); {later}"))
        .await?;
    let shown = on(&database, "postgres", &["show", "2", "--json"])?.ended(0)?.json()?;
    assert_eq!((&shown["status"], &shown["published"]["body"]), (&json!("later"), &json!([7])));
    assert_eq!((&shown["published"]["uid"], &shown["published"]["priority"]), (&json!(null), &json!(1)));
    assert!(shown["published"]["send_at"].is_string(), "{shown}");
    assert_eq!(
        (&shown["published"]["ordering_key"], &shown["published"]["retry_of"]),
        (&json!("k 1"), &json!(null))
    );
    let shown = on(&database, "postgres", &["show", "2"])?.ended(0)?.out;
    assert!(shown.contains("send at") && shown.contains("ordering key  k 1"), "{shown}");
    let found = on(&database, "postgres", &["messages", "--status", "later", "--json"])?.ended(0)?.json()?;
    assert_eq!(
        (found["messages"].as_array().map(Vec::len), &found["messages"][0]["id"]),
        (Some(1), &json!(2))
    );
    Ok(())
}

#[tpro_testkit::test]
async fn an_id_that_is_missing_or_in_two_outboxes_is_told() -> Outcome {
    let database = Postgres::shared().await?.database().await?;
    for service in ["main", "co"] {
        database.create_service(service).await?;
    }
    let missing = on(&database, "postgres", &["show", "1"])?.ended(1)?;
    assert!(missing.err.contains("there is no message 1 in the outbox of co, main"), "{}", missing.err);
    for service in ["main", "co"] {
        database
            .connect()
            .await?
            .batch_execute(&format!("SELECT tpro.publish('x', 'a', 'b', sender => '{service}')"))
            .await?;
    }
    let several = on(&database, "postgres", &["show", "1"])?.ended(2)?;
    assert!(several.err.contains("of co, main") && several.err.contains("--sender NAME"), "{}", several.err);
    let one = on(&database, "postgres", &["show", "1", "--sender", "co", "--json"])?.ended(0)?.json()?;
    assert_eq!((&one["sender"], &one["reply"]), (&json!("co"), &json!(null)));
    assert_eq!(one["published"]["priority"], json!(0));
    let shown = on(&database, "postgres", &["show", "1", "--sender", "co"])?.ended(0)?;
    for unsaid in ["priority", "ordering key", "on reply", "retry of"] {
        assert!(!shown.out.contains(unsaid), "{}", shown.out);
    }
    database
        .connect()
        .await?
        .batch_execute(
            "SELECT tpro.publish('x', 'a', 'b', priority => 3, ordering_key => 'invoice 17', sender => 'co');
             SELECT tpro.cancel(2, 'co');
             SELECT tpro.retry(2, 'co')",
        )
        .await?;
    let shown = on(&database, "postgres", &["show", "3", "--sender", "co"])?.ended(0)?;
    for said in ["priority      3", "ordering key  invoice 17", "retry of      2"] {
        assert!(shown.out.contains(said), "{}", shown.out);
    }
    Ok(())
}
