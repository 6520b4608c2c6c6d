//! What is refused, with which words, and that no body is ever among them.

use tpro_testkit::Outcome;

use crate::refusal::{refused, refused_with};
use crate::service::database;

/// A column, a value in SQL, the SQLSTATE, the message.
const REFUSED: &[(&str, &str, &str, &str)] = &[
    ("protocol", "'soap'", "22023", "protocol must be jsonrpc or json, not \"soap\""),
    ("protocol", "NULL", "22023", "protocol must not be null"),
    ("space_name", "'Tpro'", "22023", "space_name must match ^[a-z][a-z0-9_]{0,39}$, not \"Tpro\""),
    ("space_name", "NULL", "22023", "space_name must not be null"),
    ("service_name", "'a.b'", "22023", "service_name must match ^[a-z][a-z0-9_]{0,39}$, not \"a.b\""),
    ("service_name", "'*'", "22023", "service_name must match ^[a-z][a-z0-9_]{0,39}$"),
    ("service_name", "NULL", "22023", "service_name must not be null"),
    ("service_name", "DEFAULT", "22023", "service_name must not be null"),
    ("entity", "'>'", "22023", "entity must match ^[A-Za-z0-9_-]{1,100}$"),
    ("entity", "''", "22023", "entity must match ^[A-Za-z0-9_-]{1,100}$, not \"\""),
    ("entity", "DEFAULT", "22023", "entity must not be null"),
    ("method_name", "E'a\\r\\nb'", "22023", "method_name must match ^[A-Za-z0-9_-]{1,100}$"),
    ("method_name", "DEFAULT", "22023", "method_name must not be null"),
    ("timeout", "-1", "22023", "timeout must be 0 to 86400 seconds, not -1"),
    ("timeout", "86401", "22023", "timeout must be 0 to 86400 seconds, not 86401"),
    ("timeout", "NULL", "22023", "timeout must not be null"),
    ("headers", "'[]'", "22023", "headers must be a JSON object, and its member request one too"),
    ("headers", "NULL", "22023", "headers must not be null"),
    (
        "headers",
        "'{\"request\":{\"type\":\"many\"}}'",
        "22023",
        "headers must have single or batch as its request.type",
    ),
    (
        "headers",
        "'{\"event\":{\"ack\":\"yes\"}}'",
        "22023",
        "headers must have true or false as its event.ack",
    ),
    (
        "headers",
        "'{\"ordering\":{\"on_error\":\"stop\"}}'",
        "22023",
        "headers must have continue or hold as its ordering.on_error",
    ),
    (
        "headers",
        "'{\"ordering\":{\"on_error\":\"hold\"}}'",
        "22023",
        "ordering_key must not be null when ordering.on_error is hold",
    ),
    (
        "headers",
        "jsonb_build_object('a', repeat('x', 8192))",
        "54000",
        "headers must be at most 8192 bytes of JSON text, not 8201",
    ),
    ("body", "'3'", "22023", "body must be a JSON object or array when the protocol is jsonrpc"),
    ("body", "NULL", "22023", "body must not be null"),
    (
        "body",
        "jsonb_build_object('a', repeat('x', 900000))",
        "54000",
        "body must be at most 900000 bytes of JSON text, not 900009",
    ),
    (
        "body",
        "(repeat('[', 128) || repeat(']', 128))::jsonb",
        "54000",
        "body must be nested at most 127 deep",
    ),
    ("created_at", "'infinity'", "22023", "created_at must be finite"),
    ("created_at", "NULL", "22023", "created_at must not be null"),
    ("expires_at", "'-infinity'", "22023", "expires_at must be finite"),
    ("priority", "4", "22023", "priority must be 0 to 3, not 4"),
    ("priority", "-1", "22023", "priority must be 0 to 3, not -1"),
    ("priority", "NULL", "22023", "priority must not be null"),
    ("ordering_key", "''", "22023", "ordering_key must be 1 to 200 bytes, not 0"),
    ("ordering_key", "repeat('ä', 101)", "22023", "ordering_key must be 1 to 200 bytes, not 202"),
    (
        "on_reply",
        "'paid'",
        "22023",
        "on_reply must be the name of a function behind that of its schema, not \"paid\"",
    ),
    (
        "on_reply",
        "'public.nobody'",
        "42883",
        "on_reply must be a function, and there is no function public.nobody",
    ),
    (
        "reply_to",
        "'a..b'",
        "22023",
        "reply_to must be a label of at most 255 bytes: letters, digits, underscores and dashes, with single dots between \
         them, and no underscore first, not \"a..b\"",
    ),
    (
        "reply_to",
        "'$$.nats-pwl-reply.canary'",
        "22023",
        "reply_to must be a label of at most 255 bytes: letters, digits, underscores and dashes, with single dots between \
         them, and no underscore first",
    ),
    (
        "traceparent",
        "'00-0'",
        "22023",
        "traceparent must be a W3C traceparent of version 00, in small letters, neither id zero",
    ),
    ("traceparent", "NULL", "22023", "traceparent must not be null"),
    ("tracestate", "'='", "22023", "tracestate must be a W3C tracestate of at most 32 members and 512 bytes"),
    ("uid", "gen_random_uuid()", "22023", "uid must be a uuid of version 7"),
    ("uid", "NULL", "22023", "uid must not be null"),
    ("id", "NULL", "23502", "domain tpro.message_id does not allow null values"),
    ("tx", "NULL", "23502", "domain tpro.transaction_id does not allow null values"),
    ("direct", "NULL", "23502", "domain tpro.direct does not allow null values"),
];

/// The INSERT with this column's value; every row carries a secret, in the body unless that is the column.
fn insert(column: &str, value: &str) -> String {
    let mut columns = vec![
        ("service_name", "'analytic'"),
        ("entity", "'example'"),
        ("method_name", "'simple'"),
        ("headers", "'{\"x\":\"canary-header-90aa\"}'"),
        ("body", "'{\"password\":\"canary-body-41c7\"}'"),
    ];
    columns.retain(|(name, _)| *name != column);
    columns.push((column, value));
    let (names, values): (Vec<&str>, Vec<&str>) = columns.into_iter().unzip();
    format!("INSERT INTO main_service.mq_publish ({}) VALUES ({})", names.join(", "), values.join(", "))
}

#[tpro_testkit::test]
async fn a_bad_value_is_refused_by_column_and_rule_and_its_row_is_not_shown() -> Outcome {
    let database = database().await?;
    let admin = database.connect().await?;
    for (column, value, state, message) in REFUSED {
        let refusal = refused_with(&admin, state, &insert(column, value)).await?;
        assert_eq!(refusal.message, *message, "{column} = {value}");
        assert!(!refusal.everything.contains("canary"), "{refusal:?}");
        assert!(!refusal.everything.contains("Failing row"), "{refusal:?}");
    }
    assert!(!database.cluster().log().contains("canary"));
    Ok(())
}

/// What may end up in a wrong column: a body, a piece of one, a password, a token, a line of a log.
const STRAY: [&str; 6] = [
    r#"{"password": "canary-stray-6b3d", "login": "x"}"#,
    r#"canary-stray-6b3d", "login": "#,
    "canary-stray-6b3d!",
    "Bearer canary-stray-6b3d",
    // A label of reply_to would be one without the last dot.
    "canary-stray-6b3d.0123456789.0123456789.",
    "canary-stray-6b3d\nERROR:  made up",
];

#[tpro_testkit::test]
async fn what_was_put_into_a_wrong_column_is_repeated_neither_in_the_error_nor_in_the_log() -> Outcome {
    let database = database().await?;
    let admin = database.connect().await?;
    // Every column of text that a publisher or a sidecar writes; numbers, times and JSON are PostgreSQL's own to read.
    let columns = admin
        .query(
            "SELECT c.oid::regclass::text, a.attname::text
               FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid JOIN pg_type t ON t.oid = a.atttypid
              WHERE c.relnamespace = 'main_service'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
                AND a.attnum > 0 AND t.typtype = 'd' AND t.typbasetype = 'text'::regtype
              ORDER BY 1, 2",
            &[],
        )
        .await?;
    assert!(columns.len() >= 9, "{columns:?}");
    for row in &columns {
        let (table, column): (String, String) = (row.get(0), row.get(1));
        for stray in STRAY {
            let value = format!("$stray${stray}$stray$");
            let statement = match table.as_str() {
                "main_service.mq_publish" => insert(&column, &value),
                "main_service.mq_later" => insert(&column, &value)
                    .replace("main_service.mq_publish (", "main_service.mq_later (send_at, ")
                    .replace("VALUES (", "VALUES (now(), "),
                "main_service.mq_reply" => {
                    format!("INSERT INTO {table} (mq_id, uid, {column}) VALUES (1, tpro.uuid7(), {value})")
                }
                "main_service.mq_handler" => {
                    let (entity, method) = match column.as_str() {
                        "entity" => (value.as_str(), "'a'"),
                        _ => ("'a'", value.as_str()),
                    };
                    format!(
                        "INSERT INTO {table} (entity, method_name, handler, mode) VALUES ({entity}, {method}, 'f', 'stateless')"
                    )
                }
                "main_service.mq_callback" => {
                    let of = |name: &str| if column == name { value.as_str() } else { "'a'" };
                    format!(
                        "INSERT INTO {table} (service_name, entity, method_name) VALUES ({}, {}, {})",
                        of("service_name"),
                        of("entity"),
                        of("method_name")
                    )
                }
                "main_service.mq_hold" => {
                    let of = |name: &str| if column == name { value.as_str() } else { "'a'" };
                    format!(
                        "INSERT INTO {table} (id, space_name, service_name, ordering_key) VALUES (1, {}, {}, 'k')",
                        of("space_name"),
                        of("service_name")
                    )
                }
                _ => panic!("a column of a new table, {table}.{column}: add how it is filled"),
            };
            let refusal = refused(&admin, &statement).await?;
            assert!(refusal.message.starts_with(&column), "{column} is not named: {refusal:?}");
            assert!(!refusal.everything.contains("canary"), "{column}: {refusal:?}");
        }
    }
    for stray in STRAY {
        for arguments in [
            "$stray$, 'b', 'c'",
            "'a', $stray$, 'c'",
            "'a', 'b', $stray$",
            "'a', 'b', 'c', protocol => $stray$",
            "'a', 'b', 'c', reply_to => $stray$",
            "'a', 'b', 'c', sender => $stray$",
            "'a', 'b', 'c', space_name => $stray$",
            "'a', 'b', 'c', on_reply => $stray$",
        ] {
            let arguments = arguments.replace("$stray$", &format!("$stray${stray}$stray$"));
            let sender = if arguments.contains("sender") { "" } else { ", sender => 'main'" };
            let refusal = refused(&admin, &format!("SELECT tpro.publish({arguments}{sender})")).await?;
            assert!(!refusal.everything.contains("canary"), "{arguments}: {refusal:?}");
        }
        for function in ["create_service", "drop_service", "must_be_name", "lead", "adopt", "sender_schema"] {
            let call = format!("SELECT tpro.{function}($stray${stray}$stray$)");
            let refusal = refused(&admin, &call).await?;
            assert!(!refusal.everything.contains("canary"), "{call}: {refusal:?}");
        }
    }
    assert!(!database.cluster().log().contains("canary-stray"), "PostgreSQL's log has it");
    Ok(())
}

#[tpro_testkit::test]
async fn a_number_of_many_digits_counts_by_its_text() -> Outcome {
    let admin = database().await?.connect().await?;
    // A few bytes as jsonb, 130,000 as text.
    admin.batch_execute(&insert("body", "'[1e130000]'")).await?;
    let ten = format!("'[{}]'", ["1e130000"; 10].join(","));
    let refusal = refused_with(&admin, "54000", &insert("body", &ten)).await?;
    assert!(
        refusal.message.starts_with("body must be at most 900000 bytes of JSON text, not 1300"),
        "{refusal:?}"
    );
    Ok(())
}

#[tpro_testkit::test]
async fn what_is_just_allowed_is_taken() -> Outcome {
    let admin = database().await?.connect().await?;
    for (column, value) in [
        ("service_name", "'a123456789_123456789_123456789_123456789'"),
        ("entity", "repeat('-', 100)"),
        ("method_name", "'Some_Method-1'"),
        ("timeout", "0"),
        ("timeout", "86400"),
        ("headers", "'{}'"),
        ("headers", "jsonb_build_object('a', repeat('x', 8183))"),
        ("headers", "'{\"request\":{\"type\":\"single\"}, \"content-language\":\"ru-RU\"}'"),
        ("body", "'[]'"),
        ("body", "jsonb_build_object('a', repeat('x', 899991))"),
        ("body", "(repeat('[', 127) || repeat(']', 127))::jsonb"),
        ("expires_at", "NULL"),
        ("priority", "0"),
        ("priority", "3"),
        ("priority", "DEFAULT"),
        ("ordering_key", "NULL"),
        ("ordering_key", "' '"),
        ("ordering_key", "repeat('ä', 100)"),
        ("on_reply", "NULL"),
        ("retry_of", "DEFAULT"),
        ("tracestate", "NULL"),
        ("tracestate", "'vendor=1,other=2'"),
        ("reply_to", "NULL"),
        ("reply_to", "'1'"),
        ("reply_to", "'orders.42.A-b_c'"),
        ("reply_to", "repeat('a', 255)"),
    ] {
        admin.batch_execute(&insert(column, value)).await?;
    }
    admin
        .batch_execute("SELECT tpro.publish('a', 'b', 'c', '\"text\"', protocol => 'json', sender => 'main')")
        .await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_copy_that_leaves_a_column_out_is_judged_too() -> Outcome {
    let database = database().await?;
    let admin = database.connect().await?;
    // PostgreSQL itself does not ask the domain of a column that COPY leaves out; its DEFAULT NULL does.
    let line = "FROM PROGRAM 'printf \"a\\\\tb\\\\n\"'";
    let refusal =
        refused_with(&admin, "22023", &format!("COPY main_service.mq_publish (entity, method_name) {line}"))
            .await?;
    assert_eq!(refusal.message, "service_name must not be null");
    refused_with(&admin, "22023", &format!("COPY main_service.mq_publish (service_name, entity) {line}"))
        .await?;
    Ok(())
}

#[tpro_testkit::test]
async fn the_limit_of_the_body_is_a_superusers() -> Outcome {
    let database = database().await?;
    let admin = database.connect().await?;
    let publish =
        "SELECT tpro.publish('a', 'b', 'c', jsonb_build_object('a', repeat('x', 1100)), sender => 'main')";
    admin.batch_execute("SELECT tpro.uuid7(); SET tpro.max_body = '1kB'").await?;
    let refusal = refused_with(&admin, "54000", publish).await?;
    assert_eq!(refusal.message, "body must be at most 1024 bytes of JSON text, not 1109");
    admin.batch_execute("RESET tpro.max_body").await?;
    admin.batch_execute(publish).await?;
    let main = database.connect_as("main").await?;
    main.batch_execute("SELECT tpro.uuid7()").await?;
    assert_eq!(refused(&main, "SET tpro.max_body = '2MB'").await?.state, "42501");
    Ok(())
}

#[tpro_testkit::test]
async fn a_reply_has_one_of_the_six_statuses() -> Outcome {
    let admin = database().await?.connect().await?;
    for status in ["'done'", "NULL", "''", "'OK'"] {
        let insert = format!(
            "INSERT INTO main_service.mq_reply (mq_id, uid, status, result)
             VALUES (1, tpro.uuid7(), {status}, '{{\"a\":\"canary-result-3e0f\"}}')"
        );
        let refusal = refused_with(&admin, "22023", &insert).await?;
        assert_eq!(refusal.message, "status must be ok, error, timeout, unavailable, expired or cancelled");
        assert!(!refusal.everything.contains("canary"), "{refusal:?}");
    }
    Ok(())
}
