//! What CREATE EXTENSION and create_service() leave in the catalogue.

use tokio_postgres::Client;
use tpro_testkit::Outcome;

use crate::refusal::refused;
use crate::service::database;

async fn names(session: &Client, query: &str) -> Outcome<Vec<String>> {
    let rows = session.query(query, &[]).await?;
    Ok(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
}

#[tpro_testkit::test]
async fn what_runs_for_every_row_is_in_the_library() -> Outcome {
    let admin = database().await?.connect().await?;
    let elsewhere = "SELECT p.proname::text FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
                      WHERE p.pronamespace = 'tpro'::regnamespace AND l.lanname <> 'c'
                        -- What the planner replaces by a call of the one in the library.
                        AND NOT (p.proname = 'publish' AND l.lanname = 'sql' AND p.proconfig IS NULL)
                        AND (p.proname IN ('publish', 'bell', 'uuid7', 'new_traceparent', 'new_tracestate', 'space')
                             OR p.proname LIKE 'check\\_%')";
    assert_eq!(names(&admin, elsewhere).await?, [""; 0]);
    let rules =
        "SELECT count(*) FROM pg_proc WHERE pronamespace = 'tpro'::regnamespace AND proname LIKE 'check\\_%'";
    assert_eq!(admin.query_one(rules, &[]).await?.try_get::<_, i64>(0)?, 16);
    // And nothing else does: one trigger for each row, without a WHEN, and no NOT NULL but the primary key's.
    let triggers =
        "SELECT tgname::text FROM pg_trigger WHERE tgrelid = 'main_service.mq_publish'::regclass ORDER BY 1";
    assert_eq!(names(&admin, triggers).await?, ["bell"]);
    // (A view has no rows of its own: mq_once runs its trigger for a publish that asks for it.)
    let always = "SELECT count(*) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
                   WHERE c.relnamespace = 'main_service'::regnamespace AND c.relkind <> 'v' AND t.tgtype & 1 = 1
                     AND (t.tgqual IS NOT NULL OR t.tgfoid <> 'tpro.bell()'::regprocedure)";
    assert_eq!(admin.query_one(always, &[]).await?.try_get::<_, i64>(0)?, 0);
    let not_null = "SELECT attname::text FROM pg_attribute
                     WHERE attrelid IN ('main_service.mq_publish'::regclass, 'main_service.mq_reply'::regclass)
                       AND attnum > 0 AND attnotnull ORDER BY 1";
    assert_eq!(names(&admin, not_null).await?, ["id", "mq_id"]);
    Ok(())
}

#[tpro_testkit::test]
async fn every_object_has_a_comment() -> Outcome {
    let admin = database().await?.connect().await?;
    let bare = "
        WITH ours AS (SELECT oid FROM pg_namespace WHERE nspname IN ('tpro', 'main_service'))
        SELECT 'schema ' || oid::regnamespace FROM ours WHERE obj_description(oid, 'pg_namespace') IS NULL
        UNION ALL
        SELECT 'routine ' || p.oid::regprocedure FROM pg_proc p JOIN ours ON ours.oid = p.pronamespace
         WHERE obj_description(p.oid, 'pg_proc') IS NULL
        UNION ALL
        SELECT 'domain ' || t.oid::regtype FROM pg_type t JOIN ours ON ours.oid = t.typnamespace
         WHERE t.typtype = 'd' AND obj_description(t.oid, 'pg_type') IS NULL
        UNION ALL
        SELECT 'relation ' || c.oid::regclass FROM pg_class c JOIN ours ON ours.oid = c.relnamespace
         WHERE c.relkind IN ('r', 'p', 'v', 'S') AND obj_description(c.oid, 'pg_class') IS NULL
        UNION ALL
        SELECT 'column ' || c.oid::regclass || '.' || a.attname
          FROM pg_class c JOIN ours ON ours.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
         WHERE c.relkind IN ('r', 'p', 'v') AND NOT c.relispartition AND a.attnum > 0 AND NOT a.attisdropped
           AND col_description(c.oid, a.attnum) IS NULL
        UNION ALL
        SELECT 'trigger ' || g.tgname FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid
          JOIN ours ON ours.oid = c.relnamespace
         WHERE NOT g.tgisinternal AND g.tgparentid = 0 AND obj_description(g.oid, 'pg_trigger') IS NULL
        UNION ALL
        SELECT 'role ' || r.rolname FROM pg_roles r
         WHERE (r.rolname LIKE 'tpro\\_%' OR r.rolname LIKE 'main\\_%')
           AND shobj_description(r.oid, 'pg_authid') IS NULL";
    assert_eq!(names(&admin, bare).await?, [""; 0]);
    Ok(())
}

#[tpro_testkit::test]
async fn the_public_may_call_only_what_judges_and_makes_values_and_read_only_what_everybody_knows() -> Outcome
{
    let admin = database().await?.connect().await?;
    let open = "SELECT p.proname::text FROM pg_proc p
                 WHERE p.pronamespace = 'tpro'::regnamespace AND has_function_privilege('public', p.oid, 'EXECUTE')
                   AND p.proname NOT LIKE 'check\\_%' ORDER BY 1";
    assert_eq!(
        names(&admin, open).await?,
        [
            // It looks for a table with the rights of who calls it.
            "callbacks_of",
            // It asks for what everybody may read in tpro.methods.
            "check",
            // It writes with the rights of who calls it.
            "describe",
            "faults",
            "foreign_code",
            // Both write with the rights of who calls them.
            "handle",
            "handlers_of",
            // They read with the rights of who calls them.
            "has_later",
            // It returns the rows of tpro.methods.
            "known_methods",
            "later_tx",
            "max_body",
            // They look at their arguments, and misfits_of at what tpro.methods shows.
            "misfits",
            "misfits_of",
            "must_be_messages",
            "must_be_name",
            "must_be_schema",
            // It reads the catalogues.
            "must_run",
            "new_traceparent",
            "new_tracestate",
            // They write with the rights of who calls them.
            "off_reply",
            "on_reply",
            "outdated",
            // The overloads that hand on to the one with jsonb, by which rights go.
            "publish",
            "publish",
            // They insert, and those that wait read replies, with the rights of who calls them.
            "publish",
            "publish",
            "publish",
            "publish_many",
            "publish_many",
            "publish_many",
            "publish_once",
            "publish_once",
            "publish_once",
            // It only raises.
            "raise_fault",
            // It reads the catalogues.
            "reply_function",
            "request",
            "request",
            "request",
            // A waiter sleeps by it.
            "rest",
            "sender_schema",
            "space",
            "unhandle",
            "unwatch",
            "uuid7",
            "wait_all",
            "wait_any",
            "wait_for",
            "watch",
            // It writes with the rights of who calls it.
            "write_callback"
        ]
    );
    let open = "SELECT c.oid::regclass::text FROM pg_class c
                 WHERE c.relnamespace IN ('tpro'::regnamespace, 'main_service'::regnamespace) AND c.relkind IN ('r', 'p', 'v')
                   AND has_table_privilege('public', c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
                 ORDER BY c.relname";
    // A part of pg_locks, which the public may read; and what services say on NATS, too.
    assert_eq!(names(&admin, open).await?, ["tpro.locks", "tpro.methods"]);
    Ok(())
}

#[tpro_testkit::test]
async fn whatever_is_not_in_the_library_pins_its_search_path() -> Outcome {
    let admin = database().await?.connect().await?;
    let loose = "SELECT p.proname::text FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
                  WHERE p.pronamespace = 'tpro'::regnamespace AND l.lanname <> 'c'
                    AND NOT coalesce(p.proconfig @> ARRAY['search_path=pg_catalog, pg_temp'], false) ORDER BY 1";
    // They commit, which a procedure with settings of its own cannot; they name everything in full.
    assert_eq!(
        names(&admin, loose).await?,
        [
            "publish",
            "publish",
            "publish",
            "publish",
            "request",
            "request",
            "request",
            "request",
            "upgrade_services"
        ]
    );
    Ok(())
}

/// Another list of arguments is another function: to change one, a release has to drop it, with the rights that users have
/// granted on it.
#[tpro_testkit::test]
async fn the_arguments_of_what_publishes_are_settled() -> Outcome {
    let admin = database().await?.connect().await?;
    let of_before =
        "headers jsonb, timeout integer, protocol text, reply_to text, sender text, space_name text";
    let requests = format!("{of_before}, expires_at timestamp with time zone, priority integer");
    let message = format!(
        "{of_before}, send_at timestamp with time zone, expires_at timestamp with time zone, priority integer, \
         ordering_key text, on_reply text"
    );
    let target = "service_name text, entity text, method_name text";
    // By the type of a column, so that no call can mean both.
    let ranked = "service_name tpro.service_name, entity text, method_name text";
    let mut settled = Vec::new();
    for kind in ["json", "jsonb", "text"] {
        let requested = if kind == "jsonb" { ranked } else { target };
        settled.extend([
            format!("publish({target}, body {kind}, {of_before})"),
            format!("publish({ranked}, body {kind}, {message})"),
            format!("publish_many(messages {kind}, {target}, body jsonb, {message})"),
            format!("publish_once(dedup_key text, {target}, body {kind}, {message}, dedup_for interval)"),
            format!("request({requested}, body {kind}, {requests}, INOUT reply jsonb)"),
        ]);
    }
    settled.push(format!("request({target}, body jsonb, {of_before}, INOUT reply jsonb)"));
    settled.sort();
    let arguments =
        "SELECT p.proname || '(' || replace(pg_get_function_identity_arguments(p.oid), 'IN ', '') || ')' FROM pg_proc p
          WHERE p.pronamespace = 'tpro'::regnamespace AND (p.proname LIKE 'publish%' OR p.proname = 'request')";
    let mut found = names(&admin, arguments).await?;
    found.sort();
    assert_eq!(found, settled);
    Ok(())
}

#[tpro_testkit::test]
async fn the_extension_has_nothing_of_a_service_and_can_be_dropped_after_it() -> Outcome {
    let admin = database().await?.connect().await?;
    let members = "SELECT c.oid::regclass::text FROM pg_depend d JOIN pg_class c ON c.oid = d.objid
                    WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND d.classid = 'pg_class'::regclass
                      AND c.relnamespace <> 'tpro'::regnamespace";
    assert_eq!(names(&admin, members).await?, [""; 0]);
    admin
        .batch_execute("DROP EXTENSION pg_tpro CASCADE; DROP SCHEMA IF EXISTS tpro; CREATE EXTENSION pg_tpro")
        .await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_database_of_another_encoding_is_refused() -> Outcome {
    let database = database().await?;
    let admin = database.connect().await?;
    let other = format!("{}_latin", database.name());
    admin
        .batch_execute(&format!(
            "CREATE DATABASE {other} ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
        ))
        .await?;
    let there = tpro_testkit::postgres::connect(&database.cluster().superuser_url(&other)).await?;
    let refusal = refused(&there, "CREATE EXTENSION pg_tpro").await?;
    assert_eq!(
        (refusal.state.as_str(), refusal.message.as_str()),
        ("0A000", "pg_tpro needs a database in UTF8")
    );
    Ok(())
}

#[tpro_testkit::test]
async fn a_schema_that_somebody_else_has_made_is_refused() -> Outcome {
    let database = database().await?;
    database.create_role("stranger").await?;
    let admin = database.connect().await?;
    let refusal = refused(
        &admin,
        "DROP EXTENSION pg_tpro CASCADE; DROP SCHEMA tpro; CREATE SCHEMA tpro AUTHORIZATION stranger; CREATE EXTENSION pg_tpro",
    )
    .await?;
    assert_eq!(refusal.message, "schema tpro belongs to another role");
    Ok(())
}

#[tpro_testkit::test]
async fn the_prefix_of_the_settings_is_reserved() -> Outcome {
    let admin = database().await?.connect().await?;
    admin.batch_execute("SELECT tpro.uuid7()").await?;
    assert_eq!(refused(&admin, "SET tpro.sendr = 'main'").await?.state, "42602");
    Ok(())
}
