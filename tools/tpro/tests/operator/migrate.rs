//! `tpro migrate`, and `sql/from_go.sql` by psql: the schema of a Go service becomes one of tpro.

use serde_json::json;
use tokio_postgres::Client;
use tpro_testkit::{Database, Outcome, Postgres, go};

use crate::tool::{member, on};

/// A database with the schema of a Go service, in which three messages wait after two that were
/// sent.
async fn old() -> Outcome<(Database, Client)> {
    let database = Postgres::shared().await?.database().await?;
    let admin = database.connect().await?;
    go::create_schema(&admin, "main").await?;
    let zone = format!("ALTER DATABASE {} SET TimeZone = 'Asia/Tokyo'", database.name());
    let rows = "INSERT INTO main_service.mq_publish
                    (protocol, space_name, service_name, entity, method_name, timeout, headers, body, reply_to, created_at)
                SELECT 'jsonrpc', 'tpro', 'analytic', 'example', 'simple', CASE n WHEN 4 THEN -1 ELSE 15 END,
                       '{\"request\":{\"type\":\"single\"}}', jsonb_build_object('n', n), CASE n WHEN 5 THEN 'orders' END,
                       '2024-01-01 09:00:00'
                  FROM generate_series(1, 5) n";
    admin.batch_execute(&zone).await?;
    admin.batch_execute(rows).await?;
    // The way of a service that calls another one: a row that was never to be sent.
    let direct = "INSERT INTO main_service.mq_publish
                      (protocol, space_name, service_name, method_name, timeout, headers, body, direct)
                  VALUES ('', '', 'co', '', 0, '{}', '{}', true)";
    admin.batch_execute(direct).await?;
    // A number beyond all ids.
    admin.batch_execute("UPDATE main_service.mq_publish SET mq_id = 6000000 WHERE id = 6").await?;
    Ok((database, admin))
}

async fn rows(admin: &Client, query: &str) -> Outcome<Vec<String>> {
    Ok(admin.query(query, &[]).await?.iter().map(|row| row.get(0)).collect())
}

#[tpro_testkit::test]
async fn what_was_not_sent_is_published_and_the_history_stays() -> Outcome {
    let (database, admin) = old().await?;
    database.create_role("go_app").await?;
    let ask = |arguments: &[&str]| on(&database, "postgres", arguments);
    let fine = ask(&["migrate", "check", "main"])?.ended(0)?;
    assert_eq!(fine.out, "main: nothing that the rules of tpro would refuse\n");
    assert_eq!(ask(&["migrate", "mark", "main"])?.ended(0)?.out, "6\n");
    let done = ask(&["migrate", "run", "main", "--after", "2", "--login", "go_app", "--json"])?.ended(0)?;
    assert_eq!(done.json()?, json!({"service": "main", "taken": 3, "next_id": 6_000_001}));
    let taken = "SELECT format('%s %s %s %s', id, timeout, body->>'n', coalesce(reply_to, '-')) FROM main_service.mq_publish ORDER BY id";
    assert_eq!(rows(&admin, taken).await?, ["6000001 15 3 -", "6000002 0 4 -", "6000003 15 5 orders"]);
    // Times without a zone were of the database's zone.
    let times = "SELECT DISTINCT (created_at AT TIME ZONE 'UTC')::text FROM main_service.mq_publish";
    assert_eq!(rows(&admin, times).await?, ["2024-01-01 00:00:00"]);
    // Ids beyond the first partitions have one of their own.
    assert_eq!(rows(&admin, "SELECT count(*)::text FROM main_service.mq_publish_rest").await?, ["0"]);
    assert_eq!(rows(&admin, "SELECT count(*)::text FROM main_service_go.mq_publish").await?, ["6"]);
    // The application goes on inserting, with its old statement and its old login.
    let app = database.connect_as("go_app").await?;
    app.batch_execute(
        "INSERT INTO main_service.mq_publish (protocol,space_name,service_name,entity,method_name,timeout,headers,body)
         VALUES ('jsonrpc','tpro','analytic','example','simple',15,'{\"request\":{\"type\":\"single\"}}','{\"a\":1}')",
    )
    .await?;
    assert_eq!(rows(&app, "SHOW tpro.sender").await?, ["main"]);
    let again = ask(&["migrate", "check", "main"])?.ended(1)?;
    assert!(again.err.contains("schema main_service is a service of tpro already"), "{}", again.err);
    assert!(again.err.contains("schema main_service_go is there"), "{}", again.err);
    Ok(())
}

#[tpro_testkit::test]
async fn what_the_rules_would_refuse_is_shown_before_and_stops_the_take_over() -> Outcome {
    let (database, admin) = old().await?;
    admin
        .batch_execute(
            "UPDATE main_service.mq_publish SET protocol = 'soap' WHERE id IN (1, 3);
             UPDATE main_service.mq_publish SET body = '7' WHERE id = 4;
             UPDATE main_service.mq_publish SET headers = '{\"request\":{\"type\":\"batch\"}}' WHERE id IN (2, 5);
             UPDATE main_service.mq_publish SET body = '[1]' WHERE id = 2;
             UPDATE main_service.mq_publish SET body = '[{\"n\":5}]', reply_to = NULL WHERE id = 5;
             UPDATE main_service.mq_publish SET headers = '{\"request\":{\"type\":\"multi\"}}' WHERE direct;
             CREATE VIEW public.waiting AS SELECT id FROM main_service.mq_publish;",
        )
        .await?;
    let ask = |arguments: &[&str]| on(&database, "postgres", arguments);
    let found = ask(&["migrate", "check", "main"])?.ended(1)?.out;
    for text in [
        "refused: protocol must be",
        "(2 messages, such as 3)",
        "refused: body must be an array of 1 to 1000 objects or arrays when request.type is batch (1 messages, such as 2)",
        "look: request.type is multi",
        "rule _RETURN on view public.waiting",
    ] {
        assert!(found.contains(text), "{text}: {found}");
    }
    // A batch that tpro takes is no finding.
    assert!(!found.contains("look: request.type is batch"), "{found}");
    let unsent = ask(&["migrate", "run", "main", "--after", "1"])?.ended(1)?;
    assert!(
        unsent.err.contains("3 messages that were not sent break a rule of tpro, the first is 2"),
        "{}",
        unsent.err
    );
    let refused = ask(&["migrate", "run", "main", "--after", "2"])?.ended(1)?;
    assert!(
        refused.err.contains("2 messages that were not sent break a rule of tpro, the first is 3"),
        "{}",
        refused.err
    );
    // Nothing has changed: the old schema is there under its name.
    assert_eq!(rows(&admin, "SELECT count(*)::text FROM main_service.mq_publish").await?, ["6"]);
    // With a later id, what is refused counts as sent.
    ask(&["migrate", "run", "main", "--after", "4"])?.ended(0)?;
    let taken = "SELECT concat(headers #>> '{request,type}', ' ', body) FROM main_service.mq_publish";
    assert_eq!(rows(&admin, taken).await?, ["batch [{\"n\": 5}]"]);
    Ok(())
}

#[tpro_testkit::test]
async fn what_was_found_instead_of_a_go_schema_is_said() -> Outcome {
    let (database, admin) = old().await?;
    let ask = |arguments: &[&str]| on(&database, "postgres", arguments);
    let said = |arguments: &[&str], text: &str| -> Outcome {
        let ran = ask(arguments)?;
        assert!(ran.code == 1 && ran.err.contains(text), "{text}: {ran:?}");
        Ok(())
    };
    said(&["migrate", "check", "co"], "there is no schema co_service")?;
    admin
        .batch_execute("CREATE SCHEMA co_service; CREATE TABLE co_service.mq_publish (id int, body text)")
        .await?;
    said(&["migrate", "check", "co"], "its mq_publish lacks mq_id, protocol, space_name")?;
    said(
        &["migrate", "run", "main", "--after", "1", "--login", "nobody_here"],
        "there is no role nobody_here",
    )?;
    let stranger = member(&database, "tpro_owner").await?;
    let refused = on(&database, &stranger, &["migrate", "check", "main"])?.ended(1)?;
    assert!(refused.err.contains("is no superuser"), "{}", refused.err);
    admin.batch_execute("CREATE SCHEMA main_service_go").await?;
    said(&["migrate", "run", "main", "--after", "1"], "schema main_service_go is there already")?;
    Ok(())
}

#[tpro_testkit::test]
async fn the_take_over_waits_for_an_open_publish_and_loses_it_not() -> Outcome {
    let (database, admin) = old().await?;
    let mut publisher = database.connect().await?;
    let open = publisher.transaction().await?;
    open.batch_execute(
        "INSERT INTO main_service.mq_publish (protocol, space_name, service_name, entity, method_name, timeout, headers, body)
         VALUES ('jsonrpc', 'tpro', 'analytic', 'example', 'simple', 15, '{}', '{\"n\": 7}')",
    )
    .await?;
    let database = std::sync::Arc::new(database);
    let running = tokio::task::spawn_blocking({
        let database = database.clone();
        move || on(&database, "postgres", &["migrate", "run", "main", "--after", "5"])
    });
    // It has tried, and others go on: nobody queues behind its lock for long.
    tpro_testkit::eventually("the take-over has met the open transaction", async || {
        let query = "SELECT count(*)::text FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%from_go_try_run%'";
        Ok(rows(&admin, query).await? != ["0"])
    })
    .await?;
    open.commit().await?;
    running.await??.ended(0)?;
    assert_eq!(rows(&admin, "SELECT body->>'n' FROM main_service.mq_publish").await?, ["7"]);
    Ok(())
}

#[tpro_testkit::test]
async fn psql_does_it_too() -> Outcome {
    let (database, admin) = old().await?;
    database.psql("sql/from_go.sql", &[("name", "main"), ("check", "yes")])?;
    assert_eq!(rows(&admin, "SELECT count(*)::text FROM main_service.mq_publish").await?, ["6"]);
    database.psql("sql/from_go.sql", &[("name", "main"), ("after", "4")])?;
    assert_eq!(rows(&admin, "SELECT body->>'n' FROM main_service.mq_publish").await?, ["5"]);
    Ok(())
}

#[tpro_testkit::test]
async fn the_way_back_takes_what_waits_and_leads_over_again() -> Outcome {
    let (database, admin) = old().await?;
    let ask = |arguments: &[&str]| on(&database, "postgres", arguments);
    let no = ask(&["migrate", "back", "main"])?.ended(1)?;
    assert!(no.err.contains("schema main_service is not a service of tpro"), "{}", no.err);
    ask(&["migrate", "run", "main", "--after", "4"])?.ended(0)?;
    // 6000001 waits, 6000002 is settled, and the Go system can send none of the other three.
    for statement in [
        "INSERT INTO main_service.mq_publish (service_name, entity, method_name) VALUES ('co', 'a', 'b')",
        "SELECT tpro.cancel(6000002, 'main')",
        "INSERT INTO main_service.mq_publish (service_name, entity, method_name, body) VALUES ('co', 'a', 'b', '[1]')",
        "INSERT INTO main_service.mq_publish (service_name, entity, method_name, timeout) VALUES ('co', 'a', 'b', 0)",
        "INSERT INTO main_service.mq_later (service_name, entity, method_name, send_at)
         VALUES ('co', 'a', 'b', now() + interval '1 day')",
    ] {
        admin.batch_execute(statement).await?;
    }
    let back = ask(&["migrate", "back", "main", "--json"])?.ended(0)?;
    assert_eq!(back.json()?, json!({"service": "main", "after": 6_000_005, "taken": 1, "left_behind": 3}));
    let there = "SELECT format('%s %s %s', id, body->>'n', created_at) FROM main_service.mq_publish ORDER BY id DESC LIMIT 1";
    assert_eq!(rows(&admin, there).await?, ["6000006 5 2024-01-01 09:00:00"]);
    let told = ask(&["migrate", "send", "main", "--after", "6000005"])?.ended(1)?;
    assert!(told.err.contains("no Go copy of main listens to task_for_main_service"), "{}", told.err);
    let listening = database.connect().await?;
    listening.batch_execute("listen task_for_main_service").await?;
    let told = ask(&["migrate", "send", "main", "--after", "6000005"])?.ended(0)?;
    assert_eq!(told.out, "1 messages were told to the Go copies of main\n");
    // And over again: no id is given out a second time.
    let over = ask(&["migrate", "run", "main", "--after", "6000006", "--json"])?.ended(0)?;
    assert_eq!(over.json()?, json!({"service": "main", "taken": 0, "next_id": 6_000_007}));
    let again = ask(&["migrate", "back", "main"])?.ended(1)?;
    assert!(again.err.contains("schema main_service_new is there already"), "{}", again.err);
    Ok(())
}
