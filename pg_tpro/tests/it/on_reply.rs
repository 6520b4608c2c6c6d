//! `tpro.on_reply` and `tpro.off_reply`.

use tokio_postgres::Client;
use tpro_testkit::Outcome;

use crate::refusal::refused_with;
use crate::roles::{all_refused, member};
use crate::service::database;

const PAID: &str = "CREATE FUNCTION public.paid(reply tpro.reply_row) RETURNS void LANGUAGE sql AS ''; SET tpro.sender = 'main'";

/// The rows of the table, each as one text.
async fn callbacks(session: &Client) -> Outcome<Vec<String>> {
    let rows = "SELECT concat_ws(' ', service_name, entity, method_name, coalesce(ok, '-'), coalesce(failed, '-'), number)
                  FROM main_service.mq_callback ORDER BY 1";
    Ok(session.query(rows, &[]).await?.iter().map(|row| row.get(0)).collect())
}

#[tpro_testkit::test]
async fn a_method_has_two_functions_and_each_change_a_number() -> Outcome {
    let database = database().await?;
    let admin = database.connect().await?;
    admin.batch_execute(PAID).await?;
    admin
        .batch_execute(
            "SELECT tpro.on_reply('shop', 'bill', 'pay', 'paid(tpro.reply_row)');
             SELECT tpro.on_reply('shop', 'bill', 'send', NULL, 'paid'::regproc, 'main');
             CREATE SCHEMA \"Odd name\"; GRANT USAGE ON SCHEMA \"Odd name\" TO main_sidecar;
             CREATE FUNCTION \"Odd name\".\"a\"\"b\"(tpro.reply_row) RETURNS void LANGUAGE sql AS '';
             SELECT tpro.on_reply('odd', 'na-me', 'x', '\"Odd name\".\"a\"\"b\"'::regproc, 'paid'::regproc);",
        )
        .await?;
    let odd = "odd na-me x \"Odd name\".\"a\"\"b\"(tpro.reply_row) public.paid(tpro.reply_row) 3";
    assert_eq!(
        callbacks(&admin).await?,
        [
            odd,
            "shop bill pay public.paid(tpro.reply_row) - 1",
            "shop bill send - public.paid(tpro.reply_row) 2",
        ]
    );
    // Said again, it is replaced. Taken back, the row stays for its number.
    admin.batch_execute("SELECT tpro.on_reply('shop', 'bill', 'send', 'paid'::regproc)").await?;
    let off = "SELECT tpro.off_reply('shop', 'bill', 'pay'), tpro.off_reply('shop', 'bill', 'pay'), tpro.off_reply('no', 'no', 'no')";
    let off = admin.query_one(off, &[]).await?;
    assert_eq!((off.get::<_, bool>(0), off.get::<_, bool>(1), off.get::<_, bool>(2)), (true, false, false));
    // One that is replaced draws two numbers.
    let now = [odd, "shop bill pay - - 7", "shop bill send public.paid(tpro.reply_row) - 5"];
    assert_eq!(callbacks(&admin).await?, now);
    // The sidecar reads it.
    assert_eq!(callbacks(&database.connect_as("main").await?).await?, now);
    Ok(())
}

#[tpro_testkit::test]
async fn changes_come_one_after_the_other_and_their_numbers_in_the_order_of_their_commits() -> Outcome {
    let database = database().await?;
    let (first, second) = (database.connect().await?, database.connect().await?);
    first.batch_execute(PAID).await?;
    first.batch_execute("BEGIN; SELECT tpro.on_reply('shop', 'bill', 'pay', 'paid'::regproc)").await?;
    let late = "SET tpro.sender = 'main'; SELECT tpro.on_reply('shop', 'bill', 'send', 'paid'::regproc)";
    let (waited, committed) = tokio::join!(second.batch_execute(late), async {
        tpro_testkit::eventually("the second waits for the first", async || {
            let waits = "SELECT count(*) FROM pg_locks WHERE relation = 'main_service.mq_callback'::regclass AND NOT granted";
            Ok(first.query_one(waits, &[]).await?.get::<_, i64>(0) == 1)
        })
        .await?;
        first.batch_execute("COMMIT").await.map_err(tpro_testkit::Failure::from)
    });
    waited?;
    committed?;
    let names =
        ["shop bill pay public.paid(tpro.reply_row) - 1", "shop bill send public.paid(tpro.reply_row) - 2"];
    assert_eq!(callbacks(&first).await?, names);
    Ok(())
}

#[tpro_testkit::test]
async fn no_number_comes_twice_whatever_the_snapshot_and_whoever_has_deleted_rows() -> Outcome {
    let database = database().await?;
    let (old, new) = (database.connect().await?, database.connect().await?);
    old.batch_execute(PAID).await?;
    new.batch_execute("SET tpro.sender = 'main'").await?;
    let newest = "SELECT max(number) FROM main_service.mq_callback";
    let on = |method: &str| format!("SELECT tpro.on_reply('shop', 'bill', '{method}', 'paid'::regproc)");
    old.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT FROM main_service.mq_callback").await?;
    for _ in 0..2 {
        new.batch_execute(&on("pay")).await?;
    }
    let known: i64 = new.query_one(newest, &[]).await?.get(0);
    old.batch_execute(&on("send")).await?;
    old.batch_execute("COMMIT").await?;
    let last: i64 = new.query_one(newest, &[]).await?.get(0);
    assert!(last > known, "{last} after {known}");
    new.batch_execute("DELETE FROM main_service.mq_callback").await?;
    new.batch_execute(&on("other")).await?;
    assert!(new.query_one(newest, &[]).await?.get::<_, i64>(0) > last);
    Ok(())
}

#[tpro_testkit::test]
async fn what_cannot_handle_a_reply_is_refused_with_its_argument_its_rule_and_a_remedy() -> Outcome {
    let admin = database().await?.connect().await?;
    admin.batch_execute(PAID).await?;
    admin
        .batch_execute(
            "CREATE FUNCTION public.nothing() RETURNS void LANGUAGE sql AS '';
             CREATE FUNCTION public.txt(reply tpro.reply_row) RETURNS text LANGUAGE sql AS 'SELECT reply.status';
             CREATE PROCEDURE public.proc(reply tpro.reply_row) LANGUAGE sql AS '';",
        )
        .await?;
    let must = "must be a function (tpro.reply_row) RETURNS void, and";
    for (functions, words) in [
        ("NULL", "ok or failed must be a function, and both are null".to_owned()),
        ("'nothing'::regproc", format!("ok {must} public.nothing is a function () RETURNS void")),
        (
            "'paid'::regproc, 'txt'::regproc",
            format!("failed {must} public.txt is a function (tpro.reply_row) RETURNS text"),
        ),
        ("NULL, 'proc'::regproc", format!("failed {must} public.proc is a procedure (tpro.reply_row)")),
    ] {
        let call = format!("SELECT tpro.on_reply('shop', 'bill', 'pay', {functions})");
        let refusal = refused_with(&admin, "22023", &call).await?;
        assert_eq!(refusal.message, words);
        assert!(!refusal.hint.is_empty(), "{refusal:?}");
    }
    for (names, words) in [
        ("NULL, 'bill', 'pay'", "service_name must not be null"),
        ("'Shop', 'bill', 'pay'", "service_name"),
        ("'shop', 'bi.ll', 'pay'", "entity"),
        ("'shop', 'bill', '*'", "method_name"),
        ("'shop', 'bill', repeat('x', 101)", "method_name"),
    ] {
        let call = format!("SELECT tpro.on_reply({names}, 'paid'::regproc)");
        let refusal = refused_with(&admin, "22023", &call).await?;
        assert!(refusal.message.starts_with(words), "{refusal:?}");
    }
    let of = |function: &str| format!("SELECT tpro.on_reply('shop', 'bill', 'pay', {function})");
    refused_with(&admin, "42883", &of("'987654321'")).await?;
    refused_with(&admin, "3F000", &of("'paid'::regproc, sender => 'nobody'")).await?;
    refused_with(&admin, "55000", &format!("RESET tpro.sender; {}", of("'paid'::regproc"))).await?;
    admin
        .batch_execute("SET tpro.sender = 'main'; REVOKE EXECUTE ON FUNCTION public.paid FROM PUBLIC")
        .await?;
    let refusal = refused_with(&admin, "42501", &of("NULL, 'paid'::regproc")).await?;
    assert_eq!(refusal.message, "failed public.paid may not be executed by role main_sidecar");
    assert_eq!(refusal.hint, "GRANT EXECUTE ON FUNCTION public.paid(tpro.reply_row) TO main_sidecar.");
    assert_eq!(callbacks(&admin).await?, [""; 0]);
    Ok(())
}

#[tpro_testkit::test]
async fn only_who_may_write_the_table_says_what_handles_replies() -> Outcome {
    let database = database().await?;
    let admin = database.connect().await?;
    admin.batch_execute(PAID).await?;
    let (on, off) = (
        "SELECT tpro.on_reply('shop', 'bill', 'pay', 'public.paid'::regproc)",
        "SELECT tpro.off_reply('shop', 'bill', 'pay')",
    );
    admin.batch_execute(on).await?;
    for role in ["main_publisher", "main_sidecar", "tpro_reader", "tpro_operator"] {
        all_refused(&member(&database, role).await?, &[on, off]).await?;
    }
    let owner = member(&database, "tpro_owner").await?;
    owner.batch_execute(on).await?;
    owner.batch_execute(off).await?;
    Ok(())
}
