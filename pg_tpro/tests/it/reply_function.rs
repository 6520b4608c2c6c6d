//! `on_reply`: a message that names the function which handles its reply.

use tokio_postgres::Client;
use tpro_testkit::{Database, Outcome};

use crate::refusal::refused_with;
use crate::roles::{all_refused, member};
use crate::service::database;

const SOON: &str = "send_at => now() + interval '1 hour'";
const KEPT: &str = "public.paid(tpro.reply_row)";

/// A session that publishes as `main`, and the function `public.paid`.
async fn publisher(database: &Database) -> Outcome<Client> {
    let session = database.connect().await?;
    session
        .batch_execute(
            "SET tpro.sender = 'main';
             CREATE FUNCTION public.paid(reply tpro.reply_row) RETURNS void LANGUAGE sql AS ''",
        )
        .await?;
    Ok(session)
}

/// The functions in a table, in the order of the ids; `-` for none.
async fn functions(session: &Client, table: &str) -> Outcome<Vec<String>> {
    let query = format!("SELECT coalesce(on_reply, '-') FROM main_service.{table} ORDER BY id");
    Ok(session.query(&query, &[]).await?.iter().map(|row| row.get(0)).collect())
}

/// The ways to publish with this function, given as SQL, now and later.
fn ways(function: &str) -> [Vec<String>; 2] {
    let (given, columns) = (format!("on_reply => {function}"), "service_name, entity, method_name, on_reply");
    let values = format!("'a', 'b', 'c', {function}");
    let now = vec![
        format!("SELECT tpro.publish('a', 'b', 'c', {given})"),
        format!("SELECT tpro.publish('a', 'b', 'c', '{{}}', {given}, priority => 1)"),
        format!("SELECT tpro.publish('a', 'b', 'c', json_build_object(), {given}, ordering_key => 'k')"),
        format!("SELECT tpro.publish('a', 'b', 'c', {given}, timeout => 0)"),
        format!("SELECT tpro.publish_many('[{{}}]', 'a', 'b', 'c', {given})"),
        format!(
            "SELECT tpro.publish_many(jsonb_build_array(jsonb_build_object('on_reply', {function})), 'a', 'b', 'c')"
        ),
        format!("SELECT tpro.publish_once('k1', 'a', 'b', 'c', {given})"),
        format!("SELECT tpro.publish_once('k2', 'a', 'b', 'c', '{{}}', {given})"),
        format!("INSERT INTO main_service.mq_publish ({columns}) VALUES ({values})"),
        format!("INSERT INTO main_service.mq_send ({columns}) VALUES ({values})"),
        format!("INSERT INTO main_service.mq_once (dedup_key, {columns}) VALUES ('k3', {values})"),
    ];
    let later = vec![
        format!("SELECT tpro.publish('a', 'b', 'c', {given}, {SOON})"),
        format!("SELECT tpro.publish_many('[{{}}]', 'a', 'b', 'c', {given}, {SOON})"),
        format!("SELECT tpro.publish_once('k4', 'a', 'b', 'c', {given}, {SOON})"),
        format!("INSERT INTO main_service.mq_later (send_at, {columns}) VALUES (now(), {values})"),
        format!(
            "INSERT INTO main_service.mq_once (dedup_key, send_at, {columns}) VALUES ('k5', now(), {values})"
        ),
    ];
    [now, later]
}

#[tpro_testkit::test]
async fn each_way_of_publishing_takes_a_function_and_keeps_it_as_tpro_on_reply_does() -> Outcome {
    let database = database().await?;
    let admin = publisher(&database).await?;
    // The service's own login, too, as which its program and most people publish.
    let main = database.connect_as("main").await?;
    for (session, keys) in [(&admin, 'k'), (&main, 'l')] {
        for way in ways("'public.paid'").iter().flatten() {
            session.batch_execute(&way.replace("'k", &format!("'{keys}"))).await?;
        }
    }
    let [now, later] = ways("'public.paid'");
    assert_eq!(functions(&admin, "mq_publish").await?, vec![KEPT; 2 * now.len()]);
    assert_eq!(functions(&admin, "mq_later").await?, vec![KEPT; 2 * later.len()]);
    Ok(())
}

#[tpro_testkit::test]
async fn a_name_is_read_as_sql_reads_it() -> Outcome {
    let admin = publisher(&database().await?).await?;
    admin
        .batch_execute(
            "CREATE SCHEMA \"Odd name\"; GRANT USAGE ON SCHEMA \"Odd name\" TO main_sidecar;
             CREATE FUNCTION \"Odd name\".\"a\"\"b\"(tpro.reply_row) RETURNS void LANGUAGE sql AS '';
             CREATE FUNCTION public.paid() RETURNS int LANGUAGE sql AS 'SELECT 1';
             CREATE FUNCTION public.paid(text) RETURNS int LANGUAGE sql AS 'SELECT 1'",
        )
        .await?;
    let odd = "\"Odd name\".\"a\"\"b\"";
    for given in
        ["public.paid", "PUBLIC.Paid", "\"public\".paid", KEPT, odd, &format!("{odd}(tpro.reply_row)")]
    {
        admin.batch_execute(&format!("SELECT tpro.publish('a', 'b', 'c', on_reply => '{given}')")).await?;
    }
    let odd = format!("{odd}(tpro.reply_row)");
    assert_eq!(functions(&admin, "mq_publish").await?, [KEPT, KEPT, KEPT, KEPT, &odd, &odd]);
    // None is named with null, nor by a message of many that leaves it out.
    admin
        .batch_execute(
            "TRUNCATE main_service.mq_publish; SELECT tpro.publish('a', 'b', 'c', on_reply => NULL);
             SELECT tpro.publish_many('[{}, {\"on_reply\": \"public.paid\"}, {\"on_reply\": null}]', 'a', 'b', 'c')",
        )
        .await?;
    assert_eq!(functions(&admin, "mq_publish").await?, ["-", "-", KEPT, "-"]);
    Ok(())
}

#[tpro_testkit::test]
async fn what_cannot_handle_a_reply_is_refused_by_its_rule_with_a_remedy() -> Outcome {
    let database = database().await?;
    let admin = publisher(&database).await?;
    admin
        .batch_execute(
            "CREATE FUNCTION public.nothing() RETURNS void LANGUAGE sql AS '';
             CREATE FUNCTION public.txt(reply tpro.reply_row) RETURNS text LANGUAGE sql AS 'SELECT reply.status';
             CREATE PROCEDURE public.proc(reply tpro.reply_row) LANGUAGE sql AS '';
             CREATE FUNCTION public.mine(reply tpro.reply_row) RETURNS void LANGUAGE sql AS '';
             REVOKE EXECUTE ON FUNCTION public.mine FROM PUBLIC;
             CREATE SCHEMA closed; CREATE FUNCTION closed.paid(reply tpro.reply_row) RETURNS void LANGUAGE sql AS '';
             CREATE FUNCTION public.lent(reply tpro.reply_row) RETURNS void LANGUAGE sql SECURITY DEFINER AS ''",
        )
        .await?;
    let must = "on_reply must be a function (tpro.reply_row) RETURNS void, and";
    let (form, none) = (
        "on_reply must be the name of a function behind that of its schema",
        "on_reply must be a function, and there is no function",
    );
    for (given, state, words) in [
        ("", "22023", format!("{form}, not \"\"")),
        ("paid", "22023", format!("{form}, not \"paid\"")),
        ("a.b.c", "22023", format!("{form}, not \"a.b.c\"")),
        ("public.paid()", "22023", form.to_owned()),
        ("public. paid", "22023", form.to_owned()),
        ("public.paid; canary", "22023", form.to_owned()),
        ("nowhere.paid", "42883", format!("{none} nowhere.paid")),
        ("public.\"Paid\"", "42883", format!("{none} public.\"Paid\"")),
        ("public.nothing", "22023", format!("{must} public.nothing is a function () RETURNS void")),
        ("public.txt", "22023", format!("{must} public.txt is a function (tpro.reply_row) RETURNS text")),
        ("public.proc", "22023", format!("{must} public.proc is a procedure (tpro.reply_row)")),
        ("public.mine", "42501", "on_reply public.mine may not be executed by role main_sidecar".to_owned()),
        (
            "closed.paid",
            "42501",
            "on_reply closed.paid is in a schema that role main_sidecar may not use".to_owned(),
        ),
        (
            "public.lent",
            "42501",
            "on_reply public.lent runs with the rights of superuser postgres, and pins no search_path"
                .to_owned(),
        ),
    ] {
        for call in ways(&format!("'{given}'")).iter().flatten() {
            let refusal = refused_with(&admin, state, call).await?;
            // Of many it has a place in front, unless it is about a right.
            assert!(refusal.message.ends_with(&words), "{call}: {refusal:?}");
            assert!(
                !refusal.hint.is_empty() && !refusal.everything.contains("canary"),
                "{call}: {refusal:?}"
            );
        }
    }
    let many = "SELECT tpro.publish_many('[{}, {\"on_reply\": \"paid\"}]', 'a', 'b', 'c')";
    assert_eq!(
        refused_with(&admin, "22023", many).await?.message,
        format!("messages[1]: {form}, not \"paid\"")
    );
    let many = "SELECT tpro.publish_many('[{\"on_reply\": 7}]', 'a', 'b', 'c')";
    let words = "messages[0].on_reply must be a string, and is number";
    assert_eq!(refused_with(&admin, "22023", many).await?.message, words);
    for table in ["mq_publish", "mq_later"] {
        assert_eq!(functions(&admin, table).await?, [""; 0]);
    }
    assert!(!database.cluster().log().contains("canary"));
    Ok(())
}

#[tpro_testkit::test]
async fn what_is_due_and_what_is_repeated_has_its_function() -> Outcome {
    let database = database().await?;
    let (admin, main) = (publisher(&database).await?, database.connect_as("main").await?);
    admin
        .batch_execute(
            "SELECT tpro.publish('a', 'b', 'c', on_reply => 'public.paid', send_at => now());
             SELECT tpro.publish('a', 'b', 'c', on_reply => 'public.paid', send_at => now() + interval '1 hour');
             SELECT tpro.publish('a', 'b', 'c', on_reply => 'public.paid'); SELECT tpro.cancel(3); SELECT tpro.retry(3);
             DROP FUNCTION public.paid",
        )
        .await?;
    // It was judged when it was published: a function that has gone since then holds up nothing.
    let sent: i64 = main.query_one("SELECT sent FROM tpro.send_due('main', NULL, 256)", &[]).await?.get(0);
    assert_eq!(sent, 1);
    admin.batch_execute("SELECT tpro.cancel(2)").await?;
    assert_eq!(functions(&admin, "mq_publish").await?, vec![KEPT; 4]);
    // A repeat is a publish.
    let refusal = refused_with(&admin, "42883", "SELECT tpro.retry(2)").await?;
    assert!(refusal.message.starts_with("on_reply"), "{refusal:?}");
    Ok(())
}

/// The function runs with the rights of the service: by a function of its own, a role that may
/// only publish would read bodies.
#[tpro_testkit::test]
async fn a_publisher_names_no_function_unless_that_is_granted() -> Outcome {
    let database = database().await?;
    let admin = publisher(&database).await?;
    let publisher = member(&database, "main_publisher").await?;
    let ways = ways("'public.paid'").concat();
    let statements: Vec<&str> = ways.iter().map(String::as_str).collect();
    all_refused(&publisher, &statements).await?;
    // Without one, and with one that is null, it publishes.
    publisher
        .batch_execute(
            "SELECT tpro.publish('a', 'b', 'c', on_reply => NULL, ordering_key => 'k');
             SELECT tpro.publish_many('[{\"on_reply\": null}]', 'a', 'b', 'c', ordering_key => 'k');
             SELECT tpro.publish_once('x', 'a', 'b', 'c', on_reply => NULL, ordering_key => 'k');
             INSERT INTO main_service.mq_send (service_name, entity, method_name, ordering_key) VALUES ('a', 'b', 'c', 'k') RETURNING *;
             INSERT INTO main_service.mq_once (dedup_key, service_name, entity, method_name, ordering_key)
             VALUES ('y', 'a', 'b', 'c', 'k') RETURNING *",
        )
        .await?;
    assert_eq!(functions(&admin, "mq_publish").await?, ["-"; 5]);
    for table in ["mq_publish", "mq_send", "mq_later", "mq_once"] {
        admin
            .batch_execute(&format!("GRANT INSERT (on_reply) ON main_service.{table} TO main_publisher"))
            .await?;
    }
    for way in &ways {
        publisher.batch_execute(way).await?;
    }
    Ok(())
}
