//! A database of the release before becomes one of this release.

use std::collections::BTreeSet;
use std::fs;

use tokio_postgres::{Client, types::FromSqlOwned};
use tpro_testkit::{Context, Database, Failure, Outcome, Postgres, paths};

use crate::agreement::is_wrapper;
use crate::description::Description;
use crate::identity::restored_as;
use crate::refusal::refused_with;

const BEFORE: &str = "0.1.0";

/// A database of the release before, with this service. Roles belong to the cluster, so that each test has names of its own.
async fn aged(service: &str) -> Outcome<Database> {
    let database = Postgres::shared().await?.database_of(BEFORE).await?;
    database.create_service_of(BEFORE, service).await?;
    Ok(database)
}

async fn update(admin: &Client) -> Outcome {
    Ok(admin.batch_execute("ALTER EXTENSION pg_tpro UPDATE").await?)
}

async fn lines(session: &Client, query: &str) -> Outcome<Vec<String>> {
    let rows = session.query(query, &[]).await?;
    Ok(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
}

/// What is left to do after a call.
async fn upgrade(session: &Client, service: &str) -> Outcome<Vec<String>> {
    lines(session, &format!("SELECT tpro.upgrade_service('{service}')")).await
}

/// Calls until nothing is left: on a slow machine one call stops early, so that nobody waits for long.
async fn upgrade_whole(session: &Client, service: &str) -> Outcome {
    for _ in 0..200 {
        if upgrade(session, service).await?.is_empty() {
            return Ok(());
        }
    }
    Err(Failure::new(format!("{service} is not upgraded: {:?}", upgrade(session, service).await?)))
}

async fn one<T: FromSqlOwned>(session: &Client, query: &str) -> Outcome<T> {
    Ok(session.query_one(query, &[]).await?.try_get(0)?)
}

#[tpro_testkit::test]
async fn before_the_extension_is_updated_no_service_is_made() -> Outcome {
    let database = aged("early").await?;
    let admin = database.connect().await?;
    let refusal = refused_with(&admin, "55000", "SELECT tpro.create_service('late')").await?;
    assert!(refusal.message.contains(BEFORE), "{refusal:?}");
    assert!(refusal.hint.contains("ALTER EXTENSION pg_tpro UPDATE"), "{refusal:?}");
    // What there is works on with the new library.
    let publisher = database.connect_as("early").await?;
    let publish = "SELECT tpro.publish('a', 'b', 'c', '{\"untyped\": true}')";
    publisher.batch_execute(publish).await?;
    update(&admin).await?;
    // By an overload that is new, and to which the service's roles have no right of their own.
    publisher.batch_execute(publish).await?;
    admin.batch_execute("SELECT tpro.create_service('late')").await?;
    Ok(())
}

/// A service as this release makes it.
async fn fresh(service: &str) -> Outcome<(Database, Description)> {
    let database = Postgres::shared().await?.database().await?;
    database.create_service(service).await?;
    let described = Description::of(&database.connect().await?, service).await?;
    assert!(described.facts() > 1000, "{} facts", described.facts());
    Ok((database, described))
}

/// Fails with what differs, a line each.
async fn is_like(admin: &Client, service: &str, fresh: &Description) -> Outcome {
    let described = Description::of(admin, service).await?;
    let difference = described.difference(fresh);
    assert!(difference.is_none(), "- in a fresh database only, + with {service} only\n{difference}");
    Ok(())
}

#[tpro_testkit::test]
async fn an_upgraded_catalogue_equals_a_fresh_one() -> Outcome {
    let (_, fresh) = fresh("unaged").await?;
    let admin = aged("aged").await?.connect().await?;
    update(&admin).await?;
    admin.batch_execute("CALL tpro.upgrade_services()").await?;
    is_like(&admin, "aged", &fresh).await
}

#[tpro_testkit::test]
async fn dumps_of_before_and_after_an_upgrade_are_restored_with_every_right() -> Outcome {
    let (_, fresh) = fresh("unarchived").await?;
    let database = aged("archived").await?;
    let original = database.connect().await?;
    original.batch_execute("SELECT tpro.publish('a', 'b', 'c', sender => 'archived')").await?;
    let (before, after) = (format!("{}_before", database.name()), format!("{}_after", database.name()));
    let of_before = restored_as(&database, &before).await?;
    let version = "SELECT extversion FROM pg_extension WHERE extname = 'pg_tpro'";
    assert_ne!(one::<String>(&of_before, version).await?, BEFORE);
    of_before.batch_execute("SELECT tpro.adopt()").await?;
    of_before.batch_execute("CALL tpro.upgrade_services()").await?;
    update(&original).await?;
    original.batch_execute("CALL tpro.upgrade_services()").await?;
    let of_after = restored_as(&database, &after).await?;

    for (session, name) in [(&of_before, before.as_str()), (&original, database.name()), (&of_after, &after)]
    {
        // The setting of the login is not in a dump of one database.
        let login = format!("ALTER ROLE archived IN DATABASE {name} SET tpro.sender = 'archived'");
        session.batch_execute(&login).await?;
        is_like(session, "archived", &fresh).await?;
        assert_eq!(one::<i64>(session, "SELECT count(*) FROM archived_service.mq_publish").await?, 1);
    }
    Ok(())
}

#[tpro_testkit::test]
async fn a_table_that_is_not_of_the_owner_is_named_and_comes_back() -> Outcome {
    let (database, fresh) = fresh("strayed").await?;
    let admin = database.connect().await?;
    assert_eq!(lines(&admin, "SELECT what FROM tpro.outdated('strayed')").await?, [""; 0]);
    // As a dump leaves it that is restored without owners.
    admin
        .batch_execute(
            "ALTER SCHEMA strayed_service OWNER TO postgres; ALTER TABLE strayed_service.mq_reply OWNER TO postgres;
             ALTER TABLE strayed_service.mq_receive_rest OWNER TO postgres; ALTER VIEW strayed_service.mq_status OWNER TO postgres",
        )
        .await?;
    let named = lines(&admin, "SELECT what FROM tpro.outdated('strayed')").await?;
    for what in
        ["schema strayed_service belongs to postgres", "mq_reply, or", "mq_receive, or", "mq_status, or"]
    {
        assert!(named.iter().any(|line| line.starts_with(what)), "{what}: {named:?}");
    }
    upgrade_whole(&admin, "strayed").await?;
    is_like(&admin, "strayed", &fresh).await
}

#[tpro_testkit::test]
async fn grants_of_users_and_what_waits_survive_an_upgrade() -> Outcome {
    let database = aged("keeping").await?;
    for role in ["keeping_reporter", "keeping_app"] {
        database.create_role(role).await?;
    }
    let admin = database.connect().await?;
    admin
        .batch_execute(
            "GRANT USAGE ON SCHEMA keeping_service TO keeping_reporter;
             GRANT SELECT ON keeping_service.mq_reply TO keeping_reporter WITH GRANT OPTION;
             GRANT SELECT (id, target, status) ON keeping_service.mq_status TO keeping_reporter;
             GRANT SELECT ON tpro.services TO keeping_reporter;
             GRANT EXECUTE ON FUNCTION tpro.service_state() TO keeping_reporter;
             GRANT EXECUTE ON FUNCTION tpro.cancel(bigint, text) TO keeping_reporter;
             GRANT keeping_publisher TO keeping_app;
             CREATE INDEX mine ON keeping_service.mq_reply (replied_at);
             SELECT tpro.publish('a', 'b', 'c', sender => 'keeping') FROM generate_series(1, 10);
             INSERT INTO keeping_service.mq_reply (mq_id, uid, status)
             SELECT id, uid, 'ok' FROM keeping_service.mq_publish WHERE id <= 4;
             INSERT INTO keeping_service.mq_receive (uid, run, copy_key, target, attempt, deadline)
             VALUES (tpro.uuid7(), 1, 1, 'a.b.c.d', 1, now());
             UPDATE keeping_service.mq_cursor SET snapshot = pg_current_snapshot(), pending = '{5, 6, 7, 8, 9, 10}'",
        )
        .await?;
    let data = "SELECT md5(string_agg(t.row, ',' ORDER BY t.row)) FROM (
        SELECT (to_jsonb(p) - '{priority,ordering_key,on_reply,retry_of}'::text[])::text AS row FROM keeping_service.mq_publish p UNION ALL SELECT r::text FROM keeping_service.mq_reply r
        UNION ALL SELECT c::text FROM keeping_service.mq_cursor c UNION ALL SELECT b::text FROM keeping_service.mq_backlog b
        UNION ALL SELECT (i.uid, i.run, i.copy_key, i.target, i.deadline)::text FROM keeping_service.mq_receive i
        UNION ALL SELECT s.last_value::text FROM keeping_service.mq_publish_id_seq s
        UNION ALL SELECT tpro.instance()::text) t";
    let before: String = one(&admin, data).await?;
    let app = database.connect_as("keeping_app").await?;
    app.batch_execute("SET tpro.sender = 'keeping'; SELECT tpro.trace_id(1)").await?;

    update(&admin).await?;
    let once = "SELECT id, created FROM tpro.publish_once('k', 'a', 'b', 'c')";
    let refusal = refused_with(&app, "55000", once).await?;
    assert!(refusal.hint.contains("tpro.upgrade_service('keeping')"), "{refusal:?}");
    upgrade_whole(&admin, "keeping").await?;
    assert_eq!(one::<String>(&admin, data).await?, before);
    assert_eq!(one::<i64>(&admin, "SELECT unsettled FROM tpro.services WHERE name = 'keeping'").await?, 6);
    let indexes =
        "SELECT count(*) FROM pg_indexes WHERE schemaname = 'keeping_service' AND indexname = 'mine'";
    assert_eq!(one::<i64>(&admin, indexes).await?, 1);
    let reporter = database.connect_as("keeping_reporter").await?;
    reporter
        .batch_execute(
            "SELECT count(*) FROM keeping_service.mq_reply; SELECT status FROM keeping_service.mq_status;
             SELECT * FROM tpro.services; SELECT tpro.cancel(5, 'keeping'); GRANT SELECT ON keeping_service.mq_reply TO keeping_app",
        )
        .await?;
    app.batch_execute("SELECT tpro.publish('a', 'b', 'c')").await?;
    app.batch_execute(once).await?;
    assert!(!app.query_one(once, &[]).await?.try_get::<_, bool>(1)?);
    let login = database.connect_as("keeping").await?;
    login.batch_execute("SELECT tpro.lead('keeping'); SELECT tpro.publish('a', 'b', 'c')").await?;

    // What is done stays done, and nothing is done twice.
    let written = "SELECT string_agg(c.xmin::text, ',' ORDER BY c.oid) FROM pg_class c
        WHERE c.relnamespace = 'keeping_service'::regnamespace";
    let before: String = one(&admin, written).await?;
    upgrade_whole(&admin, "keeping").await?;
    admin.batch_execute("CALL tpro.upgrade_services()").await?;
    assert_eq!(one::<String>(&admin, written).await?, before);
    Ok(())
}

/// What a login of 0.1.0 could leave behind as the maintainer, and what takes it away.
const LEFTOVERS: [(&str, &str, &str); 11] = [
    (
        "ALTER TABLE haunted_service.mq_publish ENABLE ROW LEVEL SECURITY",
        "row-level security of mq_publish",
        "ALTER TABLE haunted_service.mq_publish DISABLE ROW LEVEL SECURITY",
    ),
    (
        "CREATE POLICY p ON haunted_service.mq_reply USING (haunted_service.evil())",
        "policy p of mq_reply",
        "DROP POLICY p ON haunted_service.mq_reply",
    ),
    (
        "CREATE TRIGGER t BEFORE INSERT ON haunted_service.mq_reply_rest FOR EACH ROW EXECUTE FUNCTION haunted_service.evil_trigger()",
        "trigger t of mq_reply_rest: haunted_service.evil_trigger()",
        "DROP TRIGGER t ON haunted_service.mq_reply_rest",
    ),
    (
        "CREATE RULE r AS ON INSERT TO haunted_service.mq_receive DO ALSO SELECT 1",
        "rule r of mq_receive",
        "DROP RULE r ON haunted_service.mq_receive",
    ),
    (
        "ALTER TABLE haunted_service.mq_publish ALTER headers SET DEFAULT query_to_xml('SELECT 1', true, true, '')::text::jsonb",
        "default of mq_publish.headers: ((query_to_xml(",
        "ALTER TABLE haunted_service.mq_publish ALTER headers SET DEFAULT '{}'",
    ),
    (
        "ALTER TABLE haunted_service.mq_publish ADD CONSTRAINT k CHECK (haunted_service.evil())",
        "constraint k of mq_publish: CHECK (haunted_service.evil())",
        "ALTER TABLE haunted_service.mq_publish DROP CONSTRAINT k",
    ),
    (
        "CREATE INDEX x ON haunted_service.mq_outcome ((md5(answer::text)))",
        "index haunted_service.x of mq_outcome",
        "DROP INDEX haunted_service.x",
    ),
    (
        "CREATE STATISTICS haunted_service.s ON (md5(answer::text)), run FROM haunted_service.mq_outcome",
        "statistics s of mq_outcome",
        "DROP STATISTICS haunted_service.s",
    ),
    (
        "CREATE DOMAIN haunted_service.d AS text CHECK (haunted_service.evil());
         ALTER TABLE haunted_service.mq_reply ADD COLUMN more haunted_service.d",
        "type of mq_reply.more: haunted_service.d",
        "ALTER TABLE haunted_service.mq_reply DROP COLUMN more",
    ),
    (
        "CREATE VIEW haunted_service.mq_statistics AS SELECT 1 AS one",
        "view haunted_service.mq_statistics, which belongs to haunted_maintainer",
        "DROP VIEW haunted_service.mq_statistics",
    ),
    (
        "CREATE TABLE haunted_service.mine (a int)",
        "table haunted_service.mine, which belongs to haunted_maintainer",
        "DROP TABLE haunted_service.mine",
    ),
];

#[tpro_testkit::test]
async fn what_a_maintainer_has_left_behind_is_named_and_not_taken_over() -> Outcome {
    let database = aged("haunted").await?;
    let (admin, login) = (database.connect().await?, database.connect_as("haunted").await?);
    login
        .batch_execute(
            "SET ROLE haunted_maintainer; SET check_function_bodies = off;
             CREATE FUNCTION haunted_service.evil() RETURNS boolean LANGUAGE sql AS 'SELECT true';
             CREATE FUNCTION haunted_service.evil_trigger() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        )
        .await?;
    for (leave, ..) in LEFTOVERS {
        login.batch_execute(leave).await?;
    }
    update(&admin).await?;
    // What an expression looks like must not hang on the settings of the caller.
    admin.batch_execute("SET standard_conforming_strings = off; SET quote_all_identifiers = on").await?;
    let left = upgrade(&admin, "haunted").await?;
    for (_, named, _) in LEFTOVERS {
        assert!(left.iter().any(|line| line.contains(named)), "{named} is not named: {left:#?}");
    }
    // Nobody becomes the maintainer any more, and tpro_owner has taken over nothing.
    for statement in ["RESET ROLE; SET ROLE haunted_maintainer", "CREATE TABLE haunted_service.more (a int)"]
    {
        refused_with(&login, "42501", statement).await?;
    }
    let taken = "SELECT count(*) FROM pg_class c WHERE c.relnamespace = 'haunted_service'::regnamespace
        AND c.relname ~ '^mq_(publish|reply|receive|outcome)(_p[0-9]|_rest|$)' AND c.relowner <> 'haunted_maintainer'::regrole AND c.relkind <> 'i'";
    assert_eq!(one::<i64>(&admin, taken).await?, 0);

    for (_, named, away) in LEFTOVERS {
        assert_ne!(upgrade(&admin, "haunted").await?, [""; 0], "with {named}");
        admin.batch_execute(away).await?;
    }
    let functions =
        "DROP DOMAIN haunted_service.d; DROP FUNCTION haunted_service.evil, haunted_service.evil_trigger";
    admin.batch_execute(functions).await?;
    upgrade_whole(&admin, "haunted").await?;
    let role = "SELECT count(*) FROM pg_roles WHERE rolname = 'haunted_maintainer'";
    assert_eq!(one::<i64>(&admin, role).await?, 0);
    Ok(())
}

#[tpro_testkit::test]
async fn an_open_transaction_is_named_and_holds_up_nobody_but_the_upgrade() -> Outcome {
    let database = aged("held").await?;
    let (admin, reader) = (database.connect().await?, database.connect().await?);
    let publisher = database.connect_as("held").await?;
    update(&admin).await?;
    reader.batch_execute("BEGIN; SELECT count(*) FROM held_service.mq_publish").await?;
    let pid: i32 = one(&reader, "SELECT pg_backend_pid()").await?;
    publisher.batch_execute("SET statement_timeout = '30s'").await?;
    let publishing = async {
        for _ in 0..20 {
            publisher.batch_execute("SELECT tpro.publish('a', 'b', 'c')").await?;
        }
        Outcome::Ok(())
    };
    let named = async {
        for _ in 0..200 {
            let left = upgrade(&admin, "held").await?;
            if left[0].contains("mq_publish is in use by") && left[0].contains(&format!("process {pid}")) {
                return Ok(());
            }
            assert!(left[0].starts_with("it stopped"), "{left:?}");
        }
        Err(Failure::new("the reader is not named"))
    };
    let (named, published) = tokio::join!(named, publishing);
    published?;
    named?;
    let refusal = refused_with(&admin, "55006", "CALL tpro.upgrade_services('0')").await?;
    assert!(refusal.message.contains("held: mq_publish is in use"), "{refusal:?}");
    reader.batch_execute("COMMIT").await?;
    admin.batch_execute("CALL tpro.upgrade_services()").await?;
    assert_eq!(lines(&publisher, "SELECT what FROM tpro.outdated('held')").await?, [""; 0]);
    Ok(())
}

#[tpro_testkit::test]
async fn only_superusers_and_owners_upgrade_a_service() -> Outcome {
    let database = aged("guarded").await?;
    let admin = database.connect().await?;
    update(&admin).await?;
    let login = database.connect_as("guarded").await?;
    refused_with(&login, "42501", "SELECT tpro.upgrade_service('guarded')").await?;
    refused_with(&login, "42501", "CALL tpro.upgrade_services()").await?;
    refused_with(&admin, "3F000", "SELECT tpro.upgrade_service('nobody')").await?;
    database.create_role("guarded_deployer").await?;
    admin.batch_execute("GRANT tpro_owner TO guarded_deployer").await?;
    let deployer = database.connect_as("guarded_deployer").await?;
    assert_ne!(lines(&deployer, "SELECT what FROM tpro.outdated('guarded')").await?, [""; 0]);
    deployer.batch_execute("CALL tpro.upgrade_services()").await?;
    assert_eq!(lines(&deployer, "SELECT what FROM tpro.outdated('guarded')").await?, [""; 0]);
    Ok(())
}

#[tpro_testkit::test]
async fn another_database_of_the_cluster_goes_on_with_the_release_before() -> Outcome {
    let (first, second) = (aged("twin").await?, aged("twin").await?);
    let (here, there) = (first.connect().await?, second.connect().await?);
    update(&here).await?;
    upgrade_whole(&here, "twin").await?;
    // As in that release: what is to be maintained, and what is read as tpro_owner.
    let login = second.connect_as("twin").await?;
    login
        .batch_execute(
            "SELECT tpro.publish('a', 'b', 'c');
             SET ROLE twin_maintainer; ALTER TABLE twin_service.mq_publish_rest SET (fillfactor = 90)",
        )
        .await?;
    there.batch_execute("SELECT tpro.cancel(1, 'twin'); SELECT * FROM tpro.services").await?;
    update(&there).await?;
    upgrade_whole(&there, "twin").await?;
    let role = "SELECT count(*) FROM pg_roles WHERE rolname = 'twin_maintainer'";
    assert_eq!(one::<i64>(&there, role).await?, 0);
    Ok(())
}

/// The names that a script calls functions of the library by.
fn wrappers(script: &str) -> Outcome<BTreeSet<String>> {
    let script = fs::read_to_string(paths::checkout().join("sql").join(script))?;
    Ok(script.split('\'').filter(|text| is_wrapper(text)).map(str::to_owned).collect())
}

/// The library without the functions that have come since the release before: their names are spoilt.
fn library_of_before() -> Outcome<Vec<u8>> {
    let mut library = fs::read(paths::extension_library()?)?;
    let before = wrappers("pg_tpro--0.1.0.sql")?;
    for name in wrappers("pg_tpro--0.1.1.sql")?.difference(&before) {
        let end = format!("{name}\0");
        let places: Vec<usize> = (0..library.len() - end.len())
            .filter(|place| library[*place..].starts_with(end.as_bytes()))
            .collect();
        assert!(!places.is_empty(), "{name} is not in the library");
        places.iter().for_each(|place| library[place + name.len() - 1] = b'_');
    }
    Ok(library)
}

/// Runs statements, each in a transaction of its own.
async fn each(session: &Client, statements: &str) -> Outcome {
    for statement in statements.split(';') {
        session.batch_execute(statement).await.context(statement)?;
    }
    Ok(())
}

#[tpro_testkit::test]
async fn sessions_that_have_loaded_the_library_of_before_work_on() -> Outcome {
    let cluster = Postgres::own().apart().start().await?;
    cluster.install_library_of_before(&library_of_before()?)?;
    let database = cluster.database_of(BEFORE).await?;
    database.create_service_of(BEFORE, "main").await?;
    let (admin, publisher) = (database.connect().await?, database.connect_as("main").await?);
    let everyday = "SELECT tpro.publish('a', 'b', 'c', '{}');
        INSERT INTO main_service.mq_publish (service_name, entity, method_name, body)
        SELECT 'a', 'b', 'c', jsonb_build_object('text', repeat('x', n)) FROM unnest(ARRAY[1, 100000, 800000]) n;
        SELECT tpro.backlog('main'); SELECT tpro.trace_id(1); SELECT * FROM tpro.reply(1); SELECT * FROM tpro.wait(1, 0);
        SELECT * FROM main_service.mq_status";
    let mine =
        "SELECT * FROM tpro.services; SELECT tpro.cancel(max(id), 'main') FROM main_service.mq_publish;
        SELECT tpro.retry(max(mq_id), 'main') FROM main_service.mq_reply; SELECT tpro.adopt()";
    each(&publisher, everyday).await?;
    each(&admin, mine).await?;
    cluster.install_library_of_before(&fs::read(paths::extension_library()?)?)?;
    let later = database.connect().await?;
    update(&later).await?;
    each(&publisher, everyday).await?;
    each(&admin, mine).await?;
    later.batch_execute("CALL tpro.upgrade_services()").await?;
    each(&publisher, everyday).await?;
    each(&admin, mine).await?;
    for body in ["", ", '{}'", ", '{}'::jsonb"] {
        let request = format!("CALL tpro.request('a', 'b', 'c'{body}, timeout => -14)");
        let refusal = refused_with(&publisher, "22023", &request).await?;
        assert!(refusal.message.starts_with("timeout must be"), "{refusal:?}");
    }
    // The session has loaded the new library beside the old one, and has its functions, too.
    for call in ["'a', 'b', 'c', priority => 1", "'a', 'b', 'c', '{}', expires_at => now() + '1 hour'"] {
        publisher.batch_execute(&format!("SELECT tpro.publish({call})")).await?;
    }
    // The settings are those of the library that defined them.
    admin
        .batch_execute("SET tpro.sender = 'main'; SET tpro.space = 'elsewhere'; SET tpro.max_body = 2000")
        .await?;
    admin.batch_execute("SELECT tpro.publish('a', 'b', 'here')").await?;
    let large = "SELECT tpro.publish('a', 'b', 'c', to_jsonb(repeat('x', 3000)), protocol => 'json')";
    refused_with(&admin, "54000", large).await?;
    refused_with(&admin, "22023", "SELECT tpro.publish('a', 'b', 'c', priority => 4)").await?;
    let spaces = "SELECT count(*) FROM main_service.mq_publish WHERE method_name = 'here' AND space_name = 'elsewhere'";
    assert_eq!(one::<i64>(&admin, spaces).await?, 1);
    admin.batch_execute("SET tpro.max_backlog = 3").await?;
    refused_with(&admin, "53400", "SELECT tpro.publish('a', 'b', 'c')").await?;
    admin.batch_execute("SET tpro.journaling = on; SELECT tpro.publish('a', 'b', 'c')").await?;
    // A parallel worker loads both as well.
    // It has the second name from PostgreSQL 16 on.
    let forced = "SELECT set_config(name, 'on', false) FROM pg_settings
                   WHERE name IN ('force_parallel_mode', 'debug_parallel_query')";
    admin.batch_execute(forced).await?;
    let checked = "SELECT count(*) FROM main_service.mq_publish WHERE tpro.check_entity(entity) AND tpro.space() = 'elsewhere'";
    let plan = lines(&admin, &format!("EXPLAIN {checked}")).await?;
    assert!(plan.iter().any(|line| line.contains("Gather")), "{plan:?}");
    assert!(one::<i64>(&admin, checked).await? > 4);
    Ok(())
}
