//! The ordering key of a message, the message that it repeats, and when ids are drawn.

use tokio_postgres::Client;
use tpro_testkit::{Outcome, Postgres};

use crate::refusal::refused_with;
use crate::service::{count, database, publisher};

const BEFORE: &str = "0.1.0";
const SOON: &str = "send_at => now() + interval '1 hour'";

/// The keys in a table, in the order of the ids; `-` for none.
async fn keys(session: &Client, table: &str) -> Outcome<String> {
    let query = format!(
        "SELECT coalesce(string_agg(coalesce(ordering_key, '-'), ' ' ORDER BY id), '') FROM main_service.{table}"
    );
    Ok(session.query_one(&query, &[]).await?.try_get(0)?)
}

#[tpro_testkit::test]
async fn each_way_of_publishing_takes_an_ordering_key() -> Outcome {
    let admin = publisher(&database().await?).await?;
    let columns = "service_name, entity, method_name, body, ordering_key";
    let values = "'a', 'b', 'c', '[1]', 'k'";
    let ways = |rest: &str, number: i32| {
        let given = format!("ordering_key => 'k'{rest}");
        vec![
            format!("SELECT tpro.publish('a', 'b', 'c', '[1]', {given})"),
            format!("SELECT tpro.publish('a', 'b', 'c', json_build_array(1), {given})"),
            format!("SELECT tpro.publish('a', 'b', 'c', jsonb_build_array(1), {given})"),
            format!("SELECT tpro.publish_many('[{{\"body\": [1]}}]', 'a', 'b', 'c', {given})"),
            format!("SELECT tpro.publish_many('[{{\"body\": [1]}}]'::json, 'a', 'b', 'c', {given})"),
            format!(
                "SELECT tpro.publish_many('[{{\"ordering_key\": \"k\"}}]'::jsonb, 'a', 'b', 'c', '[1]',
                                          ordering_key => 'x'{rest})"
            ),
            format!("SELECT tpro.publish_once('k{number}', 'a', 'b', 'c', '[1]', {given})"),
            format!("SELECT tpro.publish_once('l{number}', 'a', 'b', 'c', json_build_array(1), {given})"),
            format!("SELECT tpro.publish_once('m{number}', 'a', 'b', 'c', jsonb_build_array(1), {given})"),
        ]
    };
    let mut now = ways(", priority => 2", 1);
    now.extend([
        "SELECT tpro.publish('a', 'b', 'c', '[1]', '{}', 15, 'jsonrpc', NULL, 'main', NULL, NULL, NULL, 0, 'k')".to_owned(),
        "SELECT tpro.publish('a', 'b', 'c', '[1]', timeout => 0, ordering_key => 'k')".to_owned(),
        format!("INSERT INTO main_service.mq_publish ({columns}) VALUES ({values})"),
        format!("INSERT INTO main_service.mq_send ({columns}) VALUES ({values})"),
        format!("INSERT INTO main_service.mq_once (dedup_key, {columns}) VALUES ('o1', {values})"),
    ]);
    let mut later = ways(&format!(", {SOON}"), 2);
    later.extend([
        format!("INSERT INTO main_service.mq_later (send_at, {columns}) VALUES (now(), {values})"),
        format!(
            "INSERT INTO main_service.mq_once (dedup_key, send_at, {columns}) VALUES ('o2', now(), {values})"
        ),
    ]);
    for way in now.iter().chain(&later) {
        admin.batch_execute(way).await?;
    }
    for (table, ways) in [("mq_publish", &now), ("mq_later", &later)] {
        let told = format!(
            "SELECT count(*) FROM main_service.{table}
              WHERE (service_name, entity, method_name, body, ordering_key) = ('a', 'b', 'c', '[1]', 'k')
                AND on_reply IS NULL AND retry_of IS NULL"
        );
        assert_eq!(usize::try_from(count(&admin, &told).await?)?, ways.len(), "{table}");
    }
    let shown = "SELECT count(*) FROM main_service.mq_status WHERE ordering_key = 'k'";
    assert_eq!(usize::try_from(count(&admin, shown).await?)?, now.len() + later.len());
    Ok(())
}

#[tpro_testkit::test]
async fn without_a_key_or_with_null_there_is_none() -> Outcome {
    let admin = publisher(&database().await?).await?;
    admin
        .batch_execute(
            "SELECT tpro.publish('a', 'b', 'c'); SELECT tpro.publish('a', 'b', 'c', ordering_key => NULL);
             SELECT tpro.publish('a', 'b', 'c', priority => 1); SELECT tpro.publish_once('k', 'a', 'b', 'c');
             SELECT tpro.publish_many('[{}, {\"ordering_key\": null}, {\"ordering_key\": \"x\"}]', 'a', 'b', 'c', ordering_key => 'k');
             INSERT INTO main_service.mq_publish (service_name, entity, method_name, ordering_key) VALUES ('a', 'b', 'c', DEFAULT)",
        )
        .await?;
    assert_eq!(keys(&admin, "mq_publish").await?, "- - - - k - x -");
    Ok(())
}

#[tpro_testkit::test]
async fn a_bad_key_is_told_by_its_rule_never_shown_and_nothing_is_published() -> Outcome {
    let database = database().await?;
    let admin = publisher(&database).await?;
    for (value, words) in [
        ("''", "ordering_key must be 1 to 200 bytes, not 0"),
        ("'canary' || repeat('ä', 98)", "ordering_key must be 1 to 200 bytes, not 202"),
    ] {
        let given = format!("ordering_key => {value}");
        let columns = "service_name, entity, method_name, ordering_key";
        for call in [
            format!("SELECT tpro.publish('a', 'b', 'c', {given})"),
            format!("SELECT tpro.publish('a', 'b', 'c', '{{}}', {given})"),
            format!("SELECT tpro.publish('a', 'b', 'c', json_build_object(), {given})"),
            format!("SELECT tpro.publish('a', 'b', 'c', {given}, {SOON})"),
            format!("SELECT tpro.publish_many('[{{}}]', 'a', 'b', 'c', {given})"),
            format!("SELECT tpro.publish_many('[{{}}]', 'a', 'b', 'c', {given}, {SOON})"),
            format!("SELECT tpro.publish_once('k', 'a', 'b', 'c', {given})"),
            format!("SELECT tpro.publish_once('k', 'a', 'b', 'c', '{{}}', {given}, {SOON})"),
            format!("INSERT INTO main_service.mq_publish ({columns}) VALUES ('a', 'b', 'c', {value})"),
            format!("INSERT INTO main_service.mq_send ({columns}) VALUES ('a', 'b', 'c', {value})"),
            format!(
                "INSERT INTO main_service.mq_later (send_at, {columns}) VALUES (now(), 'a', 'b', 'c', {value})"
            ),
            format!(
                "INSERT INTO main_service.mq_once (dedup_key, {columns}) VALUES ('k', 'a', 'b', 'c', {value})"
            ),
        ] {
            let refusal = refused_with(&admin, "22023", &call).await?;
            assert!(refusal.message.ends_with(words), "{call}: {refusal:?}");
            assert!(refusal.hint.contains("Leave the column out"), "{call}: {refusal:?}");
            let told = &refusal.everything;
            assert!(!told.contains("Failing row") && !told.contains("canary"), "{call}: {refusal:?}");
        }
    }
    for (message, words) in [
        ("{\"ordering_key\": 7}", "messages[1].ordering_key must be a string, and is number"),
        ("{\"ordering_key\": \"\"}", "messages[1]: ordering_key must be 1 to 200 bytes, not 0"),
        ("{\"retry_of\": 7}", "messages[1] has a key that is no column of a message: retry_of"),
    ] {
        let call = format!("SELECT tpro.publish_many('[{{}}, {message}]', 'a', 'b', 'c')");
        assert_eq!(refused_with(&admin, "22023", &call).await?.message, words);
    }
    for table in ["mq_publish", "mq_later", "mq_dedup"] {
        assert_eq!(count(&admin, &format!("SELECT count(*) FROM main_service.{table}")).await?, 0);
    }
    assert!(!database.cluster().log().contains("canary"));
    Ok(())
}

#[tpro_testkit::test]
async fn what_is_due_goes_with_its_key_and_so_does_what_is_cancelled_before() -> Outcome {
    let database = database().await?;
    let (admin, main) = (publisher(&database).await?, database.connect_as("main").await?);
    admin
        .batch_execute(&format!(
            "SELECT tpro.publish('a', 'b', 'c', send_at => now(), ordering_key => 'first');
             SELECT tpro.publish('a', 'b', 'c', {SOON}, ordering_key => 'second');
             SELECT tpro.publish('a', 'b', 'c', {SOON}, ordering_key => 'third')"
        ))
        .await?;
    assert_eq!(count(&main, "SELECT sent FROM tpro.send_due('main', NULL, 256)").await?, 1);
    assert_eq!(keys(&admin, "mq_publish").await?, "first");
    assert_eq!(keys(&admin, "mq_later").await?, "second third");
    admin.batch_execute("SELECT tpro.cancel(2)").await?;
    assert_eq!(keys(&admin, "mq_publish").await?, "first second");
    Ok(())
}

#[tpro_testkit::test]
async fn a_retry_has_the_key_of_its_message_and_says_which_it_repeats() -> Outcome {
    let database = database().await?;
    let admin = publisher(&database).await?;
    admin
        .batch_execute(
            "SELECT tpro.publish('a', 'b', 'c', ordering_key => 'k', priority => 2); SELECT tpro.cancel(1); SELECT tpro.retry(1);
             SELECT tpro.cancel(2); SELECT tpro.retry(2); SELECT tpro.retry(1); SELECT tpro.publish('a', 'b', 'c')",
        )
        .await?;
    let repeats = "SELECT string_agg(concat_ws(' ', id, retry_of, ordering_key), ', ' ORDER BY id) FROM main_service.mq_status";
    let repeats: String = admin.query_one(repeats, &[]).await?.try_get(0)?;
    assert_eq!(repeats, "1 k, 2 1 k, 3 2 k, 4 1 k, 5");
    assert_eq!(count(&admin, "SELECT count(*) FROM main_service.mq_publish WHERE priority = 2").await?, 4);
    Ok(())
}

#[tpro_testkit::test]
async fn a_transaction_has_its_number_before_an_id_is_drawn() -> Outcome {
    let database = database().await?;
    let admin = publisher(&database).await?;
    // The columns get their values from the first to the last: without a number, tx would be null.
    let columns = "service_name, entity, method_name, tx";
    let values = "'a', 'b', 'c', pg_current_xact_id_if_assigned()";
    for insert in [
        format!("INSERT INTO main_service.mq_publish ({columns}) VALUES ({values})"),
        format!("INSERT INTO main_service.mq_publish ({columns}) SELECT {values} FROM generate_series(1, 3)"),
        format!("INSERT INTO main_service.mq_later (send_at, {columns}) VALUES (now(), {values})"),
    ] {
        admin.batch_execute(&insert).await?;
    }
    // The trigger runs when the id is drawn, and before the row itself takes a number.
    admin
        .batch_execute(
            "CREATE FUNCTION public.numbered() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN
                 IF pg_current_xact_id_if_assigned() IS NULL THEN RAISE 'drawn without a number'; END IF;
                 RETURN NEW;
             END $$;
             CREATE TRIGGER numbered BEFORE INSERT OR UPDATE ON main_service.mq_dedup FOR EACH ROW EXECUTE FUNCTION public.numbered();",
        )
        .await?;
    for _ in 0..2 {
        admin
            .batch_execute("SELECT tpro.publish_once('k', 'a', 'b', 'c', dedup_for => '1 microsecond')")
            .await?;
    }
    assert_eq!(count(&admin, "SELECT mq_id FROM main_service.mq_dedup").await?, 7);
    Ok(())
}

#[tpro_testkit::test]
async fn a_service_that_is_not_upgraded_takes_no_key_and_keeps_none_of_a_retry() -> Outcome {
    let database = Postgres::shared().await?.database_of(BEFORE).await?;
    database.create_service_of(BEFORE, "unordered").await?;
    let admin = database.connect().await?;
    admin.batch_execute("ALTER EXTENSION pg_tpro UPDATE; SET tpro.sender = 'unordered'").await?;
    let calls = [
        "SELECT tpro.publish('a', 'b', 'c', ordering_key => 'k')",
        "SELECT tpro.publish_many('[{\"ordering_key\": \"k\"}]', 'a', 'b', 'c')",
        "SELECT tpro.publish_once('k', 'a', 'b', 'c', ordering_key => 'k')",
        "SELECT tpro.publish('a', 'b', 'c', on_reply => 'public.paid')",
    ];
    for call in calls {
        let refusal = refused_with(&admin, "55000", call).await?;
        assert!(refusal.hint.contains("tpro.upgrade_service('unordered')"), "{refusal:?}");
    }
    admin
        .batch_execute("SELECT tpro.publish('a', 'b', 'c'); SELECT tpro.cancel(1); SELECT tpro.retry(1)")
        .await?;
    let detach = "ALTER TABLE unordered_service.mq_publish DETACH PARTITION unordered_service.mq_publish_p000001000000_000002000000";
    admin.batch_execute(detach).await?;
    admin.batch_execute("CALL tpro.upgrade_services()").await?;
    admin
        .batch_execute("CREATE FUNCTION public.paid(reply tpro.reply_row) RETURNS void LANGUAGE sql AS ''")
        .await?;
    for call in calls {
        admin.batch_execute(call).await?;
    }
    admin.batch_execute("SELECT tpro.cancel(2); SELECT tpro.retry(2)").await?;
    let repeats = "SELECT string_agg(concat_ws(' ', id, retry_of, ordering_key, on_reply), ', ' ORDER BY id)
                     FROM unordered_service.mq_publish";
    let repeats: String = admin.query_one(repeats, &[]).await?.try_get(0)?;
    assert_eq!(repeats, "1, 2, 3 k, 4 k, 5 k, 6 public.paid(tpro.reply_row), 7 2");
    // A partition that was away meanwhile comes back.
    let login = database.connect_as("unordered").await?;
    let mended = login
        .query_one("SELECT said FROM tpro.mend_partitions('unordered', 'mq_publish', 3600)", &[])
        .await?;
    assert!(mended.get::<_, &str>(0).contains("again: it was detached"), "{mended:?}");
    Ok(())
}
