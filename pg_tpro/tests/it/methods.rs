//! The catalogue of methods: `tpro.serves`, `tpro.describe`, `tpro.methods`.

use tokio_postgres::Client;
use tpro_testkit::Outcome;

use crate::refusal::refused_with;
use crate::roles::{all_refused, member};
use crate::service::{count, database};

/// Says as the sidecar of `analytic` that a copy answers `example.simple`, with the schema of a
/// login.
pub fn serves(copy: &str, release: &str, login: &str) -> String {
    format!(
        r#"SELECT tpro.serves('analytic', 'tpro', '{copy}', '{release}', '[
            {{"entity": "example", "method_name": "simple", "mode": "default", "description": "logs in",
              "body_schema": {{"type": "object", "properties": {{"login": {login}}}, "required": ["login"]}},
              "result_schema": {{"type": "object"}}}},
            {{"entity": "example", "method_name": "any", "mode": "stateless"}}]')"#
    )
}

/// The methods, each as one text.
async fn methods(session: &Client) -> Outcome<Vec<String>> {
    let rows = "SELECT concat_ws(' ', space_name, service_name, entity, method_name, mode, description, body_schema IS NOT NULL,
                                 releases, copies, trusted) FROM tpro.methods ORDER BY 1";
    Ok(session.query(rows, &[]).await?.iter().map(|row| row.get(0)).collect())
}

#[tpro_testkit::test]
async fn a_copy_says_what_it_answers_and_takes_it_back() -> Outcome {
    let database = database().await?;
    let sidecar = database.connect_as("analytic").await?;
    let admin = database.connect().await?;
    let is_there = "SELECT tpro.serves('analytic', 'tpro', 'one', '1.0')::int::bigint";
    assert_eq!(count(&sidecar, is_there).await?, 0, "its methods are not known yet");
    sidecar.batch_execute(&serves("one", "1.0", r#"{"type": "string"}"#)).await?;
    sidecar.batch_execute(&serves("two", "2.0", r#"{"type": "string"}"#)).await?;
    assert_eq!(count(&sidecar, is_there).await?, 1);
    let both = [
        "tpro analytic example any stateless f {1.0,2.0} 2 t",
        "tpro analytic example simple default logs in t {1.0,2.0} 2 t",
    ];
    assert_eq!(methods(&admin).await?, both);
    // Said again, it takes the place of what was said before.
    sidecar.batch_execute("SELECT tpro.serves('analytic', 'tpro', 'one', '1.1', '[]')").await?;
    assert_eq!(methods(&admin).await?[0], "tpro analytic example any stateless f {2.0} 1 t");
    sidecar.batch_execute("SELECT tpro.serves_no_more('analytic', 'tpro', 'two')").await?;
    assert_eq!(methods(&admin).await?, Vec::<String>::new());
    // The other service has nothing to say about this one, and a publisher about none.
    let other = database.connect_as("main").await?;
    let publisher = member(&database, "analytic_publisher").await?;
    for session in [&other, &publisher] {
        all_refused(
            session,
            &[
                &serves("evil", "1", "{}"),
                "SELECT tpro.serves_no_more('analytic', 'tpro', 'one')",
                "INSERT INTO tpro.known_copy VALUES ('analytic', 'tpro', 'evil', '1', true)",
                "SELECT * FROM tpro.known_copy",
                "SELECT * FROM tpro.known_method",
            ],
        )
        .await?;
        assert_eq!(methods(session).await?, Vec::<String>::new(), "everybody may read what is known");
    }
    Ok(())
}

#[tpro_testkit::test]
async fn a_copy_that_says_nothing_does_not_count_and_goes_in_the_end() -> Outcome {
    let database = database().await?;
    let sidecar = database.connect_as("analytic").await?;
    let admin = database.connect().await?;
    sidecar.batch_execute(&serves("one", "1.0", "{}")).await?;
    admin.batch_execute("UPDATE tpro.known_copy SET seen_at = now() - interval '121 seconds'").await?;
    assert_eq!(
        methods(&admin).await?,
        [
            "tpro analytic example any stateless f {} 0 t",
            "tpro analytic example simple default logs in t {} 0 t"
        ]
    );
    admin.batch_execute("UPDATE tpro.known_copy SET seen_at = now() - interval '25 hours'").await?;
    sidecar.batch_execute("SELECT tpro.heard('analytic', '[]')").await?;
    assert_eq!(count(&admin, "SELECT count(*) FROM tpro.known_copy WHERE copy = 'one'").await?, 0);
    sidecar.batch_execute(&serves("two", "1.0", "{}")).await?;
    admin.batch_execute("SELECT tpro.drop_service('analytic')").await?;
    assert_eq!(count(&admin, "SELECT count(*) FROM tpro.known_method").await?, 0);
    Ok(())
}

#[tpro_testkit::test]
async fn a_method_in_sql_is_described_in_sql() -> Outcome {
    let database = database().await?;
    let admin = database.connect().await?;
    let sidecar = database.connect_as("analytic").await?;
    admin
        .batch_execute(
            "SET tpro.sender = 'analytic';
             CREATE FUNCTION public.price(body jsonb, request tpro.request_row) RETURNS jsonb LANGUAGE sql AS 'SELECT body';
             COMMENT ON FUNCTION public.price IS 'the price of an item';
             SELECT tpro.handle('item', 'price', 'price'::regproc)",
        )
        .await?;
    assert_eq!(methods(&admin).await?, Vec::<String>::new(), "no copy has been seen");
    sidecar.batch_execute("SELECT tpro.serves('analytic', 'tpro', 'one', '1.0', '[]')").await?;
    let price = "tpro analytic item price transactional the price of an item f {1.0} 1 t";
    assert_eq!(methods(&admin).await?, [price]);
    admin.batch_execute(r#"SELECT tpro.describe('item', 'price', 'prices', '{"type": "object"}')"#).await?;
    let described = "tpro analytic item price transactional prices t {1.0} 1 t";
    assert_eq!(methods(&admin).await?, [described]);
    // The function is replaced, and what is said of the method stays.
    admin.batch_execute("SELECT tpro.handle('item', 'price', 'price'::regproc)").await?;
    assert_eq!(methods(&admin).await?, [described]);
    // A method of the program goes before one in SQL.
    let own = r#"[{"entity": "item", "method_name": "price", "mode": "default"}]"#;
    sidecar.batch_execute(&format!("SELECT tpro.serves('analytic', 'tpro', 'one', '1.0', '{own}')")).await?;
    assert_eq!(methods(&admin).await?, ["tpro analytic item price default f {1.0} 1 t"]);
    Ok(())
}

#[tpro_testkit::test]
async fn what_describes_nothing_is_refused_with_a_remedy() -> Outcome {
    let database = database().await?;
    let admin = database.connect().await?;
    admin
        .batch_execute(
            "SET tpro.sender = 'main';
             CREATE FUNCTION public.price(body jsonb, request tpro.request_row) RETURNS jsonb LANGUAGE sql AS 'SELECT body';
             SELECT tpro.handle('item', 'price', 'price'::regproc)",
        )
        .await?;
    let unknown = refused_with(&admin, "P0002", "SELECT tpro.describe('item', 'prize')").await?;
    assert_eq!(unknown.message, "no function in SQL answers item.prize of main_service");
    assert!(unknown.hint.starts_with("SELECT tpro.handle"), "{unknown:?}");
    for (argument, text) in [
        ("body_schema => '7'", "body_schema must be a JSON Schema: a schema is an object or a boolean"),
        ("result_schema => '[]'", "result_schema must be a JSON Schema: a schema is an object or a boolean"),
        (
            r#"body_schema => '{"properties": {"a": {"type": "text"}}}'"#,
            "body_schema must be a JSON Schema: type at /properties/a must be the name of a kind of JSON values, or an \
             array of them",
        ),
        (
            "body_schema => jsonb_build_object('description', repeat('a', 40000))",
            "body_schema must be a JSON Schema: a schema has at most 32768 bytes of JSON, not 40018",
        ),
    ] {
        let call = format!("SELECT tpro.describe('item', 'price', {argument})");
        let refusal = refused_with(&admin, "22023", &call).await?;
        assert_eq!(refusal.message, text, "{refusal:?}");
    }
    refused_with(&admin, "3F000", "SELECT tpro.describe('item', 'price', service => 'nobody')").await?;
    let publisher = member(&database, "main_publisher").await?;
    refused_with(&publisher, "42501", "SELECT tpro.describe('item', 'price')").await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_table_that_somebody_else_has_made_is_not_read() -> Outcome {
    let database = database().await?;
    let admin = database.connect().await?;
    database.create_role("stranger").await?;
    admin.batch_execute("CREATE SCHEMA evil_service AUTHORIZATION stranger").await?;
    let stranger = database.connect_as("stranger").await?;
    stranger
        .batch_execute(
            "CREATE FUNCTION evil_service.who() RETURNS text LANGUAGE plpgsql AS
                 'BEGIN RAISE EXCEPTION ''run as %'', current_user; END';
             CREATE VIEW evil_service.mq_handler AS SELECT 'a'::text AS entity, 'b'::text AS method_name, evil_service.who() AS handler,
                 'stateless'::text AS mode, ''::text AS description, '{}'::jsonb AS body_schema, '{}'::jsonb AS result_schema",
        )
        .await?;
    admin
        .batch_execute("INSERT INTO tpro.known_copy (service_name, space_name, copy, release, trusted) VALUES ('evil', 'tpro', '1', '1', true)")
        .await?;
    let said = "SELECT count(*) FROM tpro.check('evil', 'a', 'b', '{}')";
    assert_eq!(count(&stranger, said).await?, 1, "no running copy answers it");
    assert_eq!(methods(&stranger).await?, Vec::<String>::new());
    Ok(())
}

/// Says as the sidecar of `main` that a copy of a service was heard.
fn heard(service: &str, copy: &str, schema: &str) -> String {
    format!(
        r#"SELECT tpro.heard('main', '[{{"service_name": "{service}", "space_name": "tpro", "copy": "{copy}", "release": "9",
            "methods": [{{"entity": "example", "method_name": "simple", "mode": "default", "description": "a lie",
                          "body_schema": {schema}}}]}}]')"#
    )
}

#[tpro_testkit::test]
async fn what_was_heard_hides_nothing_that_a_copy_has_said_and_is_bounded() -> Outcome {
    let database = database().await?;
    let admin = database.connect().await?;
    let main = database.connect_as("main").await?;
    let analytic = database.connect_as("analytic").await?;
    main.batch_execute(&heard("analytic", "liar", "false")).await?;
    assert_eq!(methods(&admin).await?, ["tpro analytic example simple default a lie t {9} 1 f"]);
    analytic.batch_execute(&serves("one", "1.0", r#"{"type": "string"}"#)).await?;
    main.batch_execute(&heard("analytic", "liar", "false")).await?;
    main.batch_execute(&heard("analytic", "one", "false")).await?;
    assert_eq!(methods(&admin).await?[1], "tpro analytic example simple default logs in t {1.0} 1 t");
    // A copy that has lost its database is heard, and then nobody is sure.
    admin
        .batch_execute("UPDATE tpro.known_copy SET seen_at = now() - interval '3 minutes' WHERE trusted")
        .await?;
    main.batch_execute(&heard("analytic", "one", "{}")).await?;
    assert_eq!(
        count(&admin, "SELECT count(*) FROM tpro.known_copy WHERE copy = 'one' AND NOT trusted").await?,
        1
    );
    let is_there = "SELECT tpro.serves('analytic', 'tpro', 'one', '1.0')::int::bigint";
    assert_eq!(count(&analytic, is_there).await?, 0, "it says its methods again");
    // A flood.
    for n in 0..30 {
        main.batch_execute(&heard("analytic", &format!("liar{n}"), "{}")).await?;
        for service in 0..10 {
            main.batch_execute(&heard(&format!("nobody{service}"), &n.to_string(), "{}")).await?;
        }
    }
    let of_analytic = "SELECT count(*) FROM tpro.known_copy WHERE service_name = 'analytic' AND NOT trusted";
    assert_eq!(count(&admin, of_analytic).await?, 20);
    assert_eq!(count(&admin, "SELECT count(*) FROM tpro.known_copy WHERE NOT trusted").await?, 200);
    admin.batch_execute("UPDATE tpro.known_copy SET seen_at = now() - interval '11 minutes'").await?;
    main.batch_execute("SELECT tpro.heard('main', '[]')").await?;
    assert_eq!(count(&admin, "SELECT count(*) FROM tpro.known_copy WHERE NOT trusted").await?, 0);
    refused_with(&analytic, "42501", &heard("main", "x", "{}")).await?;
    Ok(())
}
