//! Messages that are sent later: how they are published, and how they go into the outbox at their time.

use tokio_postgres::Client;
use tpro_testkit::{Outcome, Postgres};

use crate::listener::Listener;
use crate::refusal::refused_with;
use crate::service::{count, database, publisher};

const BEFORE: &str = "0.1.0";
const SOON: &str = "send_at => now() + interval '1 hour'";

/// The ids that are in a table, in order.
async fn ids(session: &Client, table: &str) -> Outcome<String> {
    let query =
        format!("SELECT coalesce(string_agg(id::text, ' ' ORDER BY id), '') FROM main_service.{table}");
    Ok(session.query_one(&query, &[]).await?.try_get(0)?)
}

/// Has so many sent that are due, from the begin. Rows, least id, and whether there are more.
async fn send_due(session: &Client, at_most: i32) -> Outcome<(i64, Option<i64>, Option<i64>)> {
    let query = "SELECT sent, least_id, next_in_ms FROM tpro.send_due('main', NULL, $1)";
    let row = session.query_one(query, &[&at_most]).await?;
    Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?))
}

#[tpro_testkit::test]
async fn each_way_of_publishing_takes_a_time_to_be_sent_at() -> Outcome {
    let admin = publisher(&database().await?).await?;
    let columns = "service_name, entity, method_name, body, send_at, priority";
    let values = "'a', 'b', 'c', '[1]', now() + interval '1 hour', 1";
    let both = format!("{SOON}, priority => 1");
    let ways = [
        format!("SELECT tpro.publish('a', 'b', 'c', '[1]', {both})"),
        format!("SELECT tpro.publish('a', 'b', 'c', json_build_array(1), {both})"),
        format!("SELECT tpro.publish('a', 'b', 'c', jsonb_build_array(1), {both})"),
        "SELECT tpro.publish('a', 'b', 'c', '[1]', '{}', 15, 'jsonrpc', NULL, 'main', NULL, now() + interval '1 hour', NULL, 1)".to_owned(),
        format!("SELECT tpro.publish_many('[{{\"body\": [1]}}]', 'a', 'b', 'c', {both})"),
        format!("SELECT tpro.publish_many('[{{\"body\": [1]}}]'::json, 'a', 'b', 'c', {both})"),
        "SELECT tpro.publish_many(jsonb_build_array(jsonb_build_object('send_at', now() + interval '1 hour')), 'a', 'b', 'c', '[1]', priority => 1)".to_owned(),
        format!("SELECT tpro.publish_once('k1', 'a', 'b', 'c', '[1]', {both})"),
        format!("SELECT tpro.publish_once('k2', 'a', 'b', 'c', json_build_array(1), {both})"),
        format!("SELECT tpro.publish_once('k3', 'a', 'b', 'c', jsonb_build_array(1), {both}, dedup_for => '1 hour')"),
        format!("INSERT INTO main_service.mq_later ({columns}) VALUES ({values})"),
        format!("INSERT INTO main_service.mq_once (dedup_key, {columns}) VALUES ('k4', {values})"),
    ];
    for way in &ways {
        admin.batch_execute(way).await?;
    }
    let told = "SELECT count(*) FROM main_service.mq_later
          WHERE (service_name, entity, method_name, body, timeout, priority) = ('a', 'b', 'c', '[1]', 15, 1)
            AND space_name = tpro.space() AND send_at BETWEEN now() + interval '59 minutes' AND now() + interval '1 hour'";
    assert_eq!(usize::try_from(count(&admin, told).await?)?, ways.len());
    assert_eq!(ids(&admin, "mq_publish").await?, "");
    // A key is held by what is sent later as well.
    let again = admin
        .query_one(&format!("SELECT * FROM tpro.publish_once('k1', 'a', 'b', 'c', {SOON})"), &[])
        .await?;
    assert_eq!((again.get::<_, i64>(0), again.get::<_, bool>(1)), (8, false));
    // Without a time it goes at once.
    for way in [
        "SELECT tpro.publish('a', 'b', 'c', send_at => NULL)",
        "SELECT tpro.publish_many('[{}, {\"send_at\": null}]', 'a', 'b', 'c')",
        "SELECT tpro.publish_once('k5', 'a', 'b', 'c', send_at => NULL)",
    ] {
        admin.batch_execute(way).await?;
    }
    assert_eq!(count(&admin, "SELECT count(*) FROM main_service.mq_publish").await?, 4);
    Ok(())
}

#[tpro_testkit::test]
async fn many_get_their_ids_in_the_order_of_the_array_whichever_go_later() -> Outcome {
    let admin = publisher(&database().await?).await?;
    let messages = r#"[{"method_name": "m0"}, {"method_name": "m1", "send_at": "2100-01-01"}, {"method_name": "m2", "send_at": null},
        {"method_name": "m3", "send_at": "2100-01-01"}, {"method_name": "m4"}]"#.replace("2100-01-01", "tomorrow");
    for (default, later) in [("NULL", "m1 m3"), ("now() + interval '1 day'", "m0 m1 m3 m4")] {
        // The rows are visible to the next statement only.
        let published = format!(
            "CREATE TEMP TABLE m AS SELECT * FROM tpro.publish_many('{messages}', 'a', 'b', send_at => {default}) WITH ORDINALITY AS m (id, place)"
        );
        admin.batch_execute(&published).await?;
        let names = "SELECT string_agg(coalesce(o.method_name, l.method_name), ' ' ORDER BY m.place), string_agg(l.method_name, ' ' ORDER BY m.place)
              FROM m LEFT JOIN main_service.mq_publish o ON o.id = m.id LEFT JOIN main_service.mq_later l ON l.id = m.id";
        let row = admin.query_one(names, &[]).await?;
        assert_eq!((row.get::<_, &str>(0), row.get::<_, &str>(1)), ("m0 m1 m2 m3 m4", later));
        admin.batch_execute("DROP TABLE m").await?;
    }
    let bad = "SELECT tpro.publish_many('[{}, {\"send_at\": \"tomorrow\"}, {\"send_at\": \"tomorrow\", \"priority\": 7}]', 'a', 'b', 'c')";
    assert_eq!(
        refused_with(&admin, "22023", bad).await?.message,
        "messages[2]: priority must be 0 to 3, not 7"
    );
    let number = "SELECT tpro.publish_many('[{\"send_at\": 7}]', 'a', 'b', 'c')";
    assert_eq!(
        refused_with(&admin, "22023", number).await?.message,
        "messages[0].send_at must be a string, and is number"
    );
    Ok(())
}

#[tpro_testkit::test]
async fn a_bad_time_is_told_by_its_rule_and_nothing_is_published() -> Outcome {
    let admin = publisher(&database().await?).await?;
    let far = "send_at must be a time at most 30 days ahead";
    for (given, words) in [
        ("send_at => 'infinity'", far),
        ("send_at => '-infinity'", far),
        ("send_at => now() + interval '30 days 1 minute'", far),
        (
            "send_at => now() + interval '1 hour', expires_at => now() + interval '59 minutes'",
            "expires_at must be later than send_at",
        ),
        ("send_at => now() + interval '1 hour', expires_at => 'infinity'", "expires_at must be finite"),
        ("send_at => now(), priority => 9", "priority must be 0 to 3, not 9"),
    ] {
        for call in [
            format!("SELECT tpro.publish('a', 'b', 'c', {given})"),
            format!("SELECT tpro.publish_many('[{{}}]', 'a', 'b', 'c', {given})"),
            format!("SELECT tpro.publish_once('k', 'a', 'b', 'c', {given})"),
        ] {
            let refusal = refused_with(&admin, "22023", &call).await?;
            assert!(refusal.message.ends_with(words), "{call}: {refusal:?}");
            assert!(
                !refusal.hint.is_empty() && !refusal.everything.contains("Failing row"),
                "{call}: {refusal:?}"
            );
        }
    }
    let insert = "INSERT INTO main_service.mq_later (service_name, entity, method_name, send_at) VALUES ('a', 'b', 'c'";
    assert_eq!(
        refused_with(&admin, "22023", &format!("{insert}, NULL)")).await?.message,
        "send_at must not be null"
    );
    refused_with(&admin, "22023", &format!("{insert}, now() + interval '31 days')")).await?;
    let body = "SELECT tpro.publish('a', 'b', 'c', '7', send_at => now())";
    refused_with(&admin, "22023", body).await?;
    let large = "SET tpro.max_body = 1024; SELECT tpro.publish('a', 'b', 'c', jsonb_build_array(repeat('x', 2000)), send_at => now())";
    refused_with(&admin, "54000", large).await?;
    for table in ["mq_publish", "mq_later"] {
        assert_eq!(ids(&admin, table).await?, "");
    }
    Ok(())
}

#[tpro_testkit::test]
async fn what_is_due_goes_into_the_outbox_as_it_was_published_and_the_rest_stays() -> Outcome {
    let database = database().await?;
    let (admin, main) = (publisher(&database).await?, database.connect_as("main").await?);
    admin
        .batch_execute(
            "SELECT tpro.publish('a', 'b', 'c', '[1]', '{\"x\": 1}', 7, 'json', 'label', NULL, 'there', now() - interval '1 second', now() + interval '1 hour', 3);
             SELECT tpro.publish('a', 'b', 'c', send_at => now() + interval '1 hour');
             SELECT tpro.publish('a', 'b', 'c');
             SELECT tpro.publish('a', 'b', 'c', send_at => now() - interval '2 seconds');
             SELECT tpro.publish('a', 'b', 'c', send_at => now() + interval '2 hours')",
        )
        .await?;
    let told = "SELECT format('%s %s %s %s %s %s %s %s %s %s %s %s', id, protocol, space_name, headers, body, timeout, reply_to,
                              priority, expires_at, created_at, traceparent, tracestate) FROM main_service.";
    let before: String = admin.query_one(&format!("{told}mq_later WHERE id = 1"), &[]).await?.get(0);
    // The sidecar does it, one at a time here: the first that is due goes first.
    assert_eq!(send_due(&main, 1).await?, (1, Some(4), Some(0)));
    let (sent, least, next) = send_due(&main, 256).await?;
    assert_eq!((sent, least), (1, Some(1)));
    assert!(next.is_some_and(|next| (3_590_000..=3_600_000).contains(&next)), "{next:?}");
    assert_eq!(
        (ids(&admin, "mq_publish").await?, ids(&admin, "mq_later").await?),
        ("1 3 4".to_owned(), "2 5".to_owned())
    );
    let after: String = admin.query_one(&format!("{told}mq_publish WHERE id = 1"), &[]).await?.get(0);
    assert_eq!(after, before);
    // Its uid says when it went, and its transaction is the one that moved it.
    let fresh = "SELECT count(*) FROM main_service.mq_publish a, main_service.mq_publish b
                  WHERE a.id = 1 AND b.id = 4 AND a.uid > b.uid AND a.tx > b.tx AND NOT a.direct";
    assert_eq!(count(&admin, fresh).await?, 1);
    // From a time on, what lies before it is not looked for.
    let from = "SELECT sent, next_at IS NULL FROM tpro.send_due('main', now() + interval '3 hours', 256)";
    let row = main.query_one(from, &[]).await?;
    assert_eq!((row.get::<_, i64>(0), row.get::<_, bool>(1)), (0, true));
    let upto = "SELECT upto >= now() + interval '89 minutes', next_in_ms > 7100000
                  FROM tpro.send_due('main', now() + interval '90 minutes', 256)";
    let row = main.query_one(upto, &[]).await?;
    assert_eq!((row.get::<_, bool>(0), row.get::<_, bool>(1)), (true, true));
    Ok(())
}

#[tpro_testkit::test]
async fn what_was_taken_when_it_was_published_goes_whatever_the_limits_are_by_then() -> Outcome {
    let database = database().await?;
    let first = publisher(&database).await?;
    let large = "jsonb_build_array(repeat('x', 2000))";
    let publish = format!(
        "SELECT tpro.publish('a', 'b', 'c', {large}, send_at => now()) FROM generate_series(1, 3);
         SELECT tpro.publish('a', 'b', 'c') FROM generate_series(1, 9)"
    );
    first.batch_execute(&publish).await?;
    // A session asks how much waits, and remembers it for a second.
    let admin = publisher(&database).await?;
    admin.batch_execute("SET tpro.max_body = 1024; SET tpro.max_backlog = 5").await?;
    assert_eq!(send_due(&admin, 1).await?.0, 1);
    // The same transaction is judged again afterwards.
    let now = format!("SELECT tpro.publish('a', 'b', 'c', {large})");
    let send = "SELECT tpro.send_due('main', NULL, 1)";
    refused_with(&admin, "54000", &format!("{send}; {now}")).await?;
    refused_with(&admin, "53400", &format!("{send}; SELECT tpro.publish('a', 'b', 'c')")).await?;
    refused_with(&admin, "53400", &format!("SELECT tpro.publish('a', 'b', 'c', {SOON})")).await?;
    // A savepoint that is rolled back to leaves nothing behind.
    let caught = format!("BEGIN; SAVEPOINT s; SELECT tpro.let_pass(true); ROLLBACK TO s; {now}");
    refused_with(&admin, "54000", &caught).await?;
    admin.batch_execute("ROLLBACK").await?;
    // An error within leaves nothing behind either.
    refused_with(&admin, "22023", "SELECT tpro.let_pass(true), tpro.publish('A', 'b', 'c')").await?;
    refused_with(&admin, "54000", &now).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn one_that_cannot_go_holds_up_no_other_and_is_named() -> Outcome {
    let database = database().await?;
    let admin = publisher(&database).await?;
    admin
        .batch_execute(
            "SELECT tpro.publish('a', 'b', 'c', send_at => now()) FROM generate_series(1, 4);
             ALTER TABLE main_service.mq_publish ADD CONSTRAINT of_the_user CHECK (id NOT IN (2, 3))",
        )
        .await?;
    let query = "SELECT sent, least_id, next_in_ms, refused FROM tpro.send_due('main', NULL, 256)";
    let row = admin.query_one(query, &[]).await?;
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (2, 1));
    assert!((59_000..=60_000).contains(&row.get::<_, i64>(2)), "{row:?}");
    let refused: &str = row.get(3);
    assert!(refused.starts_with("message 2: new row") && refused.contains("\"of_the_user\""), "{refused}");
    assert!(refused.ends_with("; it is tried again in a minute (and 1 others)"), "{refused}");
    assert_eq!(
        (ids(&admin, "mq_publish").await?.as_str(), ids(&admin, "mq_later").await?.as_str()),
        ("1 4", "2 3")
    );
    // Times that nobody can publish, but who goes past the rules, are no reason to stop either.
    admin
        .batch_execute(
            "UPDATE main_service.mq_later SET send_at = NULL; SELECT tpro.publish('a', 'b', 'c', send_at => now()) FROM generate_series(1, 3);
             UPDATE main_service.mq_later SET send_at = 'infinity' WHERE id = 5; UPDATE main_service.mq_later SET send_at = '-infinity' WHERE id = 6",
        )
        .await?;
    assert_eq!(send_due(&admin, 256).await?, (2, Some(6), None));
    Ok(())
}

#[tpro_testkit::test]
async fn one_whose_id_was_given_out_twice_goes_with_another() -> Outcome {
    let database = database().await?;
    let admin = publisher(&database).await?;
    let other = "INSERT INTO main_service.mq_publish (id, service_name, entity, method_name, body) VALUES (2, 'a', 'b', 'c', '[0]')";
    admin
        .batch_execute(
            "SELECT tpro.publish('a', 'b', 'c', jsonb_build_array(n), send_at => now()) FROM generate_series(1, 3) AS n",
        )
        .await?;
    // Nobody knows how the one who has drawn it ends: send_due does not wait for him for long.
    let open = publisher(&database).await?;
    open.batch_execute("BEGIN").await?;
    open.batch_execute(other).await?;
    let main = database.connect_as("main").await?;
    refused_with(&main, "55P03", "SELECT FROM tpro.send_due('main', NULL, 256)").await?;
    open.batch_execute("COMMIT").await?;
    let row =
        main.query_one("SELECT sent, next_in_ms, refused FROM tpro.send_due('main', NULL, 256)", &[]).await?;
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (2, 100));
    let words = "message 2: another message has its id, so it is sent as message 4";
    assert_eq!(row.get::<_, &str>(2), words);
    assert_eq!(send_due(&main, 256).await?, (1, Some(4), None));
    let bodies = "SELECT string_agg(id || ' ' || body, ', ' ORDER BY id) FROM main_service.mq_publish";
    let bodies: String = admin.query_one(bodies, &[]).await?.get(0);
    assert_eq!(bodies, "1 [1], 2 [0], 3 [3], 4 [2]");
    assert_eq!(count(&admin, "SELECT count(*) FROM main_service.mq_later").await?, 0);
    Ok(())
}

#[tpro_testkit::test]
async fn large_ones_go_in_parts_and_a_table_that_is_locked_is_not_waited_for() -> Outcome {
    let database = database().await?;
    let (admin, main) = (publisher(&database).await?, database.connect_as("main").await?);
    // A text that does not shrink.
    let large = "SELECT tpro.publish('a', 'b', 'c', jsonb_build_array((SELECT string_agg(md5(n::text || m::text), '') FROM generate_series(1, 25000) AS n)), send_at => now())
                   FROM generate_series(1, 12) AS m";
    admin.batch_execute(large).await?;
    let (sent, least, next) = send_due(&main, 256).await?;
    assert!((5..12).contains(&sent) && least == Some(1) && next == Some(100), "{sent} {next:?}");
    let (rest, _, next) = send_due(&main, 256).await?;
    assert_eq!((sent + rest, next), (12, None));
    admin.batch_execute("BEGIN; LOCK TABLE main_service.mq_later").await?;
    refused_with(&main, "55P03", "SELECT tpro.send_due('main', NULL, 256)").await?;
    admin.batch_execute("ROLLBACK").await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_commit_tells_of_the_first_that_is_due_soon_and_of_nothing_else() -> Outcome {
    let database = database().await?;
    let mut listener = Listener::of(&database, &["main"]).await?;
    let admin = publisher(&database).await?;
    let at = |seconds: i32| {
        format!(
            "SELECT tpro.publish('a', 'b', 'c', send_at => clock_timestamp() + make_interval(secs => {seconds}))"
        )
    };
    admin.batch_execute(&format!("{}; BEGIN; {}; {}; ROLLBACK", at(90), at(1), at(2))).await?;
    assert_eq!(listener.due().await?, [0; 0], "one is late enough to be found by looking, two are not there");
    admin.batch_execute(&format!("BEGIN; {}; {}; {}; COMMIT", at(90), at(50), at(55))).await?;
    let due = listener.due().await?;
    let ahead = "SELECT $1::bigint / 1e6::float8 - extract(epoch FROM clock_timestamp() - '2000-01-01 00:00:00+00'::timestamptz)::float8";
    let ahead: f64 = admin.query_one(ahead, &[&due[0]]).await?.get(0);
    assert!(due.len() == 1 && (40.0..=50.0).contains(&ahead), "{due:?} is {ahead} s ahead");
    // It counts when it is committed. The insert knows a time long ago as well.
    admin.batch_execute(&at(-7)).await?;
    assert_eq!(listener.due().await?.len(), 1);
    // The bell does not ring for it, and PREPARE is not refused.
    assert_eq!(listener.rung().await?, [""; 0]);
    Ok(())
}

#[tpro_testkit::test]
async fn the_right_to_publish_for_later_is_that_of_a_publisher_and_to_send_that_of_the_sidecar() -> Outcome {
    let database = database().await?;
    database.create_role("later_app").await?;
    let (admin, app) = (publisher(&database).await?, database.connect_as("later_app").await?);
    let calls = [
        format!("SELECT tpro.publish('a', 'b', 'c', {SOON}, sender => 'main')"),
        format!("SELECT tpro.publish_many('[{{}}]', 'a', 'b', 'c', {SOON}, sender => 'main')"),
        format!("SELECT tpro.publish_once('k', 'a', 'b', 'c', {SOON}, sender => 'main')"),
        "INSERT INTO main_service.mq_later (service_name, entity, method_name, send_at) VALUES ('a', 'b', 'c', now()) RETURNING id".to_owned(),
    ];
    for call in &calls {
        refused_with(&app, "42501", call).await?;
    }
    admin.batch_execute("GRANT main_publisher TO later_app").await?;
    for call in &calls {
        app.batch_execute(call).await?;
    }
    // It learns the traces of both, and that there is no other.
    let id: i64 = app.query_one("SELECT tpro.publish('a', 'b', 'c', sender => 'main')", &[]).await?.get(0);
    let traces =
        "SELECT length(tpro.trace_id($1::int8 - 1, 'main')) + length(tpro.trace_id($1::int8, 'main'))";
    assert_eq!(app.query_one(traces, &[&id]).await?.get::<_, i32>(0), 64);
    refused_with(&app, "P0002", "SELECT tpro.trace_id(77, 'main')").await?;
    for call in [
        "SELECT body FROM main_service.mq_later",
        "DELETE FROM main_service.mq_later",
        "UPDATE main_service.mq_later SET send_at = now()",
        "INSERT INTO main_service.mq_later (id, service_name, entity, method_name, send_at) VALUES (9, 'a', 'b', 'c', now())",
        "SELECT tpro.send_due('main', NULL, 256)",
        "SELECT tpro.let_pass(true)",
    ] {
        refused_with(&app, "42501", call).await?;
    }
    // Of another service than its own a sidecar sends nothing, and it lets nothing pass either.
    let analytic = database.connect_as("analytic").await?;
    refused_with(&analytic, "42501", "SELECT tpro.send_due('main', NULL, 256)").await?;
    refused_with(&analytic, "42501", "SELECT tpro.let_pass(true)").await?;
    refused_with(&database.connect_as("main").await?, "42501", "DELETE FROM main_service.mq_later").await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_service_that_is_not_upgraded_sends_nothing_later_and_says_so() -> Outcome {
    let database = Postgres::shared().await?.database_of(BEFORE).await?;
    database.create_service_of(BEFORE, "latecomer").await?;
    let admin = database.connect().await?;
    admin.batch_execute("ALTER EXTENSION pg_tpro UPDATE; SET tpro.sender = 'latecomer'").await?;
    let calls = [
        format!("SELECT tpro.publish('a', 'b', 'c', {SOON})"),
        format!("SELECT tpro.publish_many('[{{}}]', 'a', 'b', 'c', {SOON})"),
        format!("SELECT tpro.publish_once('k', 'a', 'b', 'c', {SOON})"),
    ];
    for call in &calls {
        let refusal = refused_with(&admin, "55000", call).await?;
        assert!(refusal.hint.contains("tpro.upgrade_service('latecomer')"), "{refusal:?}");
    }
    admin
        .batch_execute("SELECT tpro.publish('a', 'b', 'c'); SELECT tpro.reply(1); SELECT tpro.cancel(1)")
        .await?;
    refused_with(&admin, "P0002", "SELECT tpro.reply(7)").await?;
    refused_with(&admin, "P0002", "SELECT tpro.cancel(7)").await?;
    assert_eq!(admin.query("SELECT * FROM tpro.send_due('latecomer', NULL, 256)", &[]).await?.len(), 0);
    admin.batch_execute("CALL tpro.upgrade_services()").await?;
    for call in &calls {
        admin.batch_execute(call).await?;
    }
    assert_eq!(count(&admin, "SELECT count(*) FROM latecomer_service.mq_later").await?, 3);
    Ok(())
}
