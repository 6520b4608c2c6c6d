//! `tpro.handle`, `tpro.unhandle` and `tpro.raise_fault`.

use tokio_postgres::Client;
use tpro_testkit::Outcome;

use crate::refusal::refused_with;
use crate::roles::{all_refused, member};
use crate::service::database;

const PRICE: &str = "CREATE FUNCTION public.price(body jsonb, request tpro.request_row) RETURNS jsonb
    LANGUAGE sql AS 'SELECT body'; SET tpro.sender = 'main'";

/// The rows of the table, each as one text.
async fn handlers(session: &Client) -> Outcome<Vec<String>> {
    let rows = "SELECT concat_ws(' ', entity, method_name, handler, mode, timeout) FROM main_service.mq_handler ORDER BY 1";
    Ok(session.query(rows, &[]).await?.iter().map(|row| row.get(0)).collect())
}

#[tpro_testkit::test]
async fn a_method_has_one_function_which_is_kept_by_its_full_name() -> Outcome {
    let database = database().await?;
    let admin = database.connect().await?;
    admin.batch_execute(PRICE).await?;
    admin
        .batch_execute(
            "SELECT tpro.handle('item', 'price', 'price(jsonb, tpro.request_row)');
             SELECT tpro.handle('item', 'other', 'price'::regproc, 'stateless', 86400, 'main');
             CREATE SCHEMA \"Odd name\"; GRANT USAGE ON SCHEMA \"Odd name\" TO main_sidecar;
             CREATE FUNCTION \"Odd name\".\"a\"\"b\"(jsonb, tpro.request_row) RETURNS jsonb LANGUAGE sql AS 'SELECT $1';
             SELECT tpro.handle('odd', 'name', '\"Odd name\".\"a\"\"b\"'::regproc, timeout => 1);",
        )
        .await?;
    assert_eq!(
        handlers(&admin).await?,
        [
            "item other public.price(jsonb,tpro.request_row) stateless 86400",
            "item price public.price(jsonb,tpro.request_row) transactional",
            "odd name \"Odd name\".\"a\"\"b\"(jsonb,tpro.request_row) transactional 1",
        ]
    );
    // Said again, it is replaced.
    admin.batch_execute("SELECT tpro.handle('item', 'other', 'price'::regproc, timeout => 5)").await?;
    assert!(
        handlers(&admin)
            .await?
            .contains(&"item other public.price(jsonb,tpro.request_row) transactional 5".to_owned())
    );
    let gone =
        admin.query_one("SELECT tpro.unhandle('item', 'other'), tpro.unhandle('item', 'other')", &[]).await?;
    assert_eq!((gone.get::<_, bool>(0), gone.get::<_, bool>(1)), (true, false));
    assert_eq!(handlers(&admin).await?.len(), 2);
    // The sidecar reads it.
    assert_eq!(handlers(&database.connect_as("main").await?).await?.len(), 2);
    Ok(())
}

#[tpro_testkit::test]
async fn what_cannot_answer_is_refused_with_its_argument_its_rule_and_a_remedy() -> Outcome {
    let admin = database().await?.connect().await?;
    admin.batch_execute(PRICE).await?;
    admin
        .batch_execute(
            "CREATE FUNCTION public.one(body jsonb) RETURNS jsonb LANGUAGE sql AS 'SELECT body';
             CREATE FUNCTION public.txt(body jsonb, request tpro.request_row) RETURNS text LANGUAGE sql AS 'SELECT body::text';
             CREATE FUNCTION public.many(body jsonb, request tpro.request_row) RETURNS SETOF jsonb LANGUAGE sql AS 'SELECT body';
             CREATE PROCEDURE public.proc(body jsonb, request tpro.request_row) LANGUAGE sql AS 'SELECT body';",
        )
        .await?;
    let price = "'price'::regproc";
    let must = "handler must be a function (jsonb, tpro.request_row) RETURNS jsonb, and";
    for (arguments, words) in [
        (
            format!("'item', 'price', {price}, 'fast'"),
            "mode must be transactional or stateless, not 'fast'".to_owned(),
        ),
        (
            format!("'item', 'price', {price}, NULL"),
            "mode must be transactional or stateless, not null".to_owned(),
        ),
        (
            format!("'item', 'price', {price}, timeout => 0"),
            "timeout must be 1 to 86400 seconds, not 0".to_owned(),
        ),
        (
            format!("'item', 'price', {price}, timeout => 86401"),
            "timeout must be 1 to 86400 seconds, not 86401".to_owned(),
        ),
        ("'item', 'price', NULL".to_owned(), "handler must be a function, not null".to_owned()),
        (
            "'item', 'price', 'one'::regproc".to_owned(),
            format!("{must} public.one is a function (jsonb) RETURNS jsonb"),
        ),
        (
            "'item', 'price', 'txt'::regproc".to_owned(),
            format!("{must} public.txt is a function (jsonb, tpro.request_row) RETURNS text"),
        ),
        (
            "'item', 'price', 'many'::regproc".to_owned(),
            format!("{must} public.many is a function (jsonb, tpro.request_row) RETURNS SETOF jsonb"),
        ),
        (
            "'item', 'price', 'proc'::regproc".to_owned(),
            format!("{must} public.proc is a procedure (jsonb, tpro.request_row)"),
        ),
    ] {
        let refusal = refused_with(&admin, "22023", &format!("SELECT tpro.handle({arguments})")).await?;
        assert_eq!(refusal.message, words);
        assert!(!refusal.hint.is_empty(), "{refusal:?}");
    }
    // The rules of a publish.
    for (entity, method, words) in [
        ("'it.em'", "'price'", "entity"),
        ("NULL", "'price'", "entity must not be null"),
        ("''", "'price'", "entity"),
        ("'item'", "'*'", "method_name"),
        ("'item'", "NULL", "method_name must not be null"),
        ("'item'", "repeat('x', 101)", "method_name"),
    ] {
        let refusal =
            refused_with(&admin, "22023", &format!("SELECT tpro.handle({entity}, {method}, {price})"))
                .await?;
        assert!(refusal.message.starts_with(words), "{refusal:?}");
    }
    let refusal = refused_with(&admin, "42883", "SELECT tpro.handle('item', 'price', '987654321')").await?;
    assert!(refusal.message.contains("no function has the oid 987654321"), "{refusal:?}");
    refused_with(&admin, "42883", "SELECT tpro.handle('item', 'price', 'nothing(jsonb, tpro.request_row)')")
        .await?;
    refused_with(
        &admin,
        "3F000",
        &format!("SELECT tpro.handle('item', 'price', {price}, service => 'nobody')"),
    )
    .await?;
    let refusal = refused_with(
        &admin,
        "55000",
        &format!("RESET tpro.sender; SELECT tpro.handle('item', 'price', {price})"),
    )
    .await?;
    assert_eq!(refusal.message, "no service is given");
    assert_eq!(handlers(&admin).await?, [""; 0]);
    Ok(())
}

#[tpro_testkit::test]
async fn a_function_that_the_service_may_not_run_or_that_would_lend_it_too_much_is_refused() -> Outcome {
    let admin = database().await?.connect().await?;
    admin.batch_execute(PRICE).await?;
    let handle = "SELECT tpro.handle('item', 'price', 'price'::regproc)";
    for (before, words, hint) in [
        (
            "REVOKE EXECUTE ON FUNCTION public.price FROM PUBLIC",
            "handler public.price may not be executed by role main_sidecar",
            "GRANT EXECUTE ON FUNCTION public.price(jsonb, tpro.request_row) TO main_sidecar.",
        ),
        (
            "GRANT EXECUTE ON FUNCTION public.price TO main_sidecar; ALTER FUNCTION public.price SECURITY DEFINER",
            "handler public.price runs with the rights of superuser",
            "ALTER FUNCTION public.price(jsonb, tpro.request_row) SET search_path",
        ),
        (
            "ALTER FUNCTION public.price SET search_path = pg_catalog, pg_temp; CREATE SCHEMA closed;
             ALTER FUNCTION public.price SET SCHEMA closed; SET search_path = closed",
            "handler closed.price is in a schema that role main_sidecar may not use",
            "GRANT USAGE ON SCHEMA closed TO main_sidecar.",
        ),
    ] {
        admin.batch_execute(before).await?;
        let refusal = refused_with(&admin, "42501", handle).await?;
        assert!(refusal.message.starts_with(words) && refusal.hint.starts_with(hint), "{refusal:?}");
    }
    admin.batch_execute("GRANT USAGE ON SCHEMA closed TO main_sidecar").await?;
    admin.batch_execute(handle).await?;
    // Of an owner who is no superuser it lends what that owner has.
    admin
        .batch_execute(
            "ALTER FUNCTION closed.price RESET ALL; ALTER FUNCTION closed.price OWNER TO tpro_owner",
        )
        .await?;
    admin.batch_execute(handle).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn only_who_may_write_the_table_says_what_a_service_runs() -> Outcome {
    let database = database().await?;
    let admin = database.connect().await?;
    admin.batch_execute(PRICE).await?;
    let (handle, unhandle) = (
        "SELECT tpro.handle('item', 'price', 'public.price'::regproc)",
        "SELECT tpro.unhandle('item', 'price')",
    );
    for role in ["main_publisher", "main_sidecar", "tpro_reader", "tpro_operator"] {
        all_refused(&member(&database, role).await?, &[handle, unhandle]).await?;
    }
    let owner = member(&database, "tpro_owner").await?;
    owner.batch_execute(handle).await?;
    owner.batch_execute(unhandle).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_fault_is_an_error_with_a_state_of_its_own_and_keeps_its_data_off_the_log() -> Outcome {
    let database = database().await?;
    let session = database.connect_as("main").await?;
    let raise = "SELECT tpro.raise_fault(7, 'no more seats', jsonb_build_object('seat', 'can' || 'ary'))";
    let error = session.batch_execute(raise).await.expect_err("it raises");
    let error = error.as_db_error().expect("an error of the server");
    assert_eq!((error.code().code(), error.message()), ("TP001", "no more seats"));
    assert_eq!(error.detail(), Some("The caller is told this as JSON-RPC error 7."));
    assert_eq!(error.datatype(), Some(r#"{"code": 7, "data": {"seat": "canary"}}"#));
    assert!(!database.cluster().log().contains("canary"));
    for (arguments, words) in [
        ("NULL, 'no'", "code must be outside -32768 to -32000"),
        ("-32603, 'no'", "code must be outside -32768 to -32000"),
        ("7, NULL", "message must be a text"),
        ("7, ''", "message must be a text"),
    ] {
        let refusal =
            refused_with(&session, "22023", &format!("SELECT tpro.raise_fault({arguments})")).await?;
        assert!(refusal.message.starts_with(words), "{refusal:?}");
    }
    refused_with(&session, "TP001", "SELECT tpro.raise_fault(-32602, 'the field is missing')").await?;
    Ok(())
}
