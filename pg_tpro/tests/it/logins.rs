//! `sql/login.sql` and `sql/logout.sql`: the logins of services, and what is none of theirs.

use tokio_postgres::Client;
use tpro_testkit::{Context, Database, Failure, Outcome, Postgres};

/// A cluster of the test's own: roles are the cluster's.
async fn cluster_and_database() -> Outcome<(std::sync::Arc<Postgres>, Database, Client)> {
    let cluster = Postgres::own().start().await?;
    let database = cluster.database().await?;
    let admin = database.connect().await?;
    Ok((cluster, database, admin))
}

/// What psql says of a script that must fail.
async fn refused(database: &Database, script: &str, service: &str) -> Outcome<String> {
    match database.psql(script, &[("name", service)]) {
        Ok(_) => Err(Failure::new(format!("{script} took {service}"))),
        Err(failure) => Ok(failure.to_string()),
    }
}

/// All of a role that counts, and the relations it owns.
async fn state_of(admin: &Client, role: &str) -> Outcome<String> {
    let query = "SELECT concat_ws(' ', to_jsonb(a) - 'oid', shobj_description(a.oid, 'pg_authid'),
                        (SELECT string_agg(c.oid::regclass::text, ',' ORDER BY 1) FROM pg_class c WHERE c.relowner = a.oid),
                        (SELECT string_agg(m.roleid::regrole::text, ',' ORDER BY 1) FROM pg_auth_members m WHERE m.member = a.oid),
                        (SELECT string_agg(s.setconfig::text, ',' ORDER BY 1) FROM pg_db_role_setting s WHERE s.setrole = a.oid))
                   FROM pg_authid a WHERE a.rolname = $1";
    Ok(admin.query_opt(query, &[&role]).await?.context(format!("there is no role {role}"))?.get(0))
}

async fn exists(admin: &Client, query: &str) -> Outcome<bool> {
    Ok(admin.query_one(&format!("SELECT EXISTS ({query})"), &[]).await.context(query)?.get(0))
}

#[tpro_testkit::test]
async fn an_applications_role_survives_both_scripts_untouched_and_the_error_names_it() -> Outcome {
    let (_cluster, database, admin) = cluster_and_database().await?;
    admin
        .batch_execute(
            "CREATE ROLE billing LOGIN PASSWORD 'its own';
             CREATE SCHEMA AUTHORIZATION billing;
             CREATE TABLE billing.invoices (id int); ALTER TABLE billing.invoices OWNER TO billing;
             INSERT INTO billing.invoices VALUES (1);
             CREATE ROLE shop LOGIN SUPERUSER; COMMENT ON ROLE shop IS 'the shop''s own'",
        )
        .await?;
    for role in ["billing", "shop"] {
        let before = state_of(&admin, role).await?;
        for script in ["sql/login.sql", "sql/logout.sql"] {
            let said = refused(&database, script, role).await?;
            assert!(said.contains(&format!("role {role}")) && said.contains("not made by tpro"), "{said}");
            assert_eq!(state_of(&admin, role).await?, before, "{script}");
        }
        assert!(
            !exists(&admin, &format!("SELECT FROM pg_namespace WHERE nspname = '{role}_service'")).await?
        );
    }
    // Nor when the service itself is there, made by the function, and the application publishes on its behalf.
    admin.batch_execute("SELECT tpro.create_service('billing'); GRANT billing_publisher TO billing").await?;
    let before = state_of(&admin, "billing").await?;
    let said = refused(&database, "sql/login.sql", "billing").await?;
    assert!(said.contains("role billing") && said.contains("not made by tpro"), "{said}");
    assert_eq!(state_of(&admin, "billing").await?, before);
    let said = database.forget_service("billing").await?;
    assert!(said.contains("role billing stays: it was not made by tpro"), "{said}");
    assert!(exists(&admin, "SELECT FROM billing.invoices").await?);
    assert!(!exists(&admin, "SELECT FROM pg_namespace WHERE nspname = 'billing_service'").await?);
    Ok(())
}

#[tpro_testkit::test]
async fn a_schema_that_is_not_tpros_is_named_and_left_alone() -> Outcome {
    let (_cluster, database, admin) = cluster_and_database().await?;
    admin
        .batch_execute("CREATE SCHEMA ledger_service; CREATE TABLE ledger_service.mq_publish (id int)")
        .await?;
    for script in ["sql/login.sql", "sql/logout.sql"] {
        let said = refused(&database, script, "ledger").await?;
        assert!(said.contains("schema ledger_service") && said.contains("not made by tpro"), "{said}");
    }
    assert!(exists(&admin, "SELECT FROM pg_class WHERE oid = 'ledger_service.mq_publish'::regclass").await?);
    assert!(!exists(&admin, "SELECT FROM pg_roles WHERE rolname = 'ledger'").await?);
    Ok(())
}

#[tpro_testkit::test]
async fn a_service_in_two_databases_keeps_its_login_in_both_until_the_last_goes() -> Outcome {
    let (cluster, production, admin) = cluster_and_database().await?;
    let staging = cluster.database().await?;
    production.create_service("main").await?;
    let before: String =
        admin.query_one("SELECT rolpassword FROM pg_authid WHERE rolname = 'main'", &[]).await?.get(0);
    let said = staging.psql("sql/login.sql", &[("name", "main")])?;
    assert!(said.contains("main is also the login of this service in test_"), "{said}");
    let after: String =
        admin.query_one("SELECT rolpassword FROM pg_authid WHERE rolname = 'main'", &[]).await?.get(0);
    assert_eq!(before, after, "production's password");
    staging.connect_as("main").await?.batch_execute("SELECT tpro.publish('a', 'b', 'c')").await?;

    let said = staging.forget_service("main").await?;
    assert!(
        said.contains(&format!("role main stays: it is used in database {}", production.name())),
        "{said}"
    );
    let main = production.connect_as("main").await?;
    main.batch_execute("SELECT tpro.publish('a', 'b', 'c'); SELECT count(*) FROM main_service.mq_status")
        .await?;
    // And the other way round, by the tables alone: a setting of the database is not restored with it.
    admin.batch_execute(&format!("ALTER ROLE main IN DATABASE {} RESET ALL", production.name())).await?;
    let elsewhere = cluster.database().await?;
    elsewhere.create_service("main").await?;
    let said = elsewhere.forget_service("main").await?;
    assert!(said.contains("role main stays"), "{said}");

    let said = production.forget_service("main").await?;
    assert!(!said.contains("stays"), "{said}");
    assert!(!exists(&admin, "SELECT FROM pg_roles WHERE rolname ~ '^main(_|$)'").await?);
    // Once more there is nothing to do.
    production.forget_service("main").await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_login_of_release_0_1_0_is_known_by_its_memberships() -> Outcome {
    let (cluster, database, admin) = cluster_and_database().await?;
    database.create_service("old").await?;
    admin.batch_execute("COMMENT ON ROLE old IS NULL").await?;
    // Made again, it has the mark.
    let url = cluster.role_url("old", database.name());
    database.create_service("old").await?;
    let mark = "SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = 'old'";
    assert_eq!(admin.query_one(mark, &[]).await?.get::<_, &str>(0), "tpro: login of service old");
    tpro_testkit::postgres::connect(&url).await?;
    admin.batch_execute("COMMENT ON ROLE old IS NULL").await?;
    database.forget_service("old").await?;
    assert!(!exists(&admin, "SELECT FROM pg_roles WHERE rolname ~ '^old(_|$)'").await?);
    // Somebody with more rights was not made by it.
    admin
        .batch_execute(
            "SELECT tpro.create_service('old'); CREATE ROLE old LOGIN CREATEROLE; GRANT old_sidecar TO old",
        )
        .await?;
    let said = refused(&database, "sql/login.sql", "old").await?;
    assert!(said.contains("role old is there already"), "{said}");
    Ok(())
}

#[tpro_testkit::test]
async fn what_hangs_on_a_service_from_outside_of_its_schema_is_named_and_not_dropped() -> Outcome {
    let (_cluster, database, admin) = cluster_and_database().await?;
    for (what, make, remove) in [
        (
            "view public.waiting",
            "CREATE VIEW waiting AS SELECT id FROM main_service.mq_status",
            "DROP VIEW waiting",
        ),
        (
            "function public.taken(main_service.mq_receive)",
            "CREATE FUNCTION taken(main_service.mq_receive) RETURNS int LANGUAGE sql AS 'SELECT 1'",
            "DROP FUNCTION taken",
        ),
        ("table public.kept", "CREATE TABLE kept (status main_service.mq_cursor)", "DROP TABLE kept"),
        (
            "default value for column n of table public.counted",
            "CREATE TABLE counted (n bigint DEFAULT nextval('main_service.mq_publish_id_seq'))",
            "DROP TABLE counted",
        ),
    ] {
        database.create_service("main").await?;
        admin.batch_execute(make).await?;
        let said = refused(&database, "sql/logout.sql", "main").await?;
        let name = what.rsplit(' ').next().unwrap_or_default().trim_start_matches("public.");
        assert!(said.contains("outside of schema main_service") && said.contains(name), "{what}: {said}");
        database.connect_as("main").await?.batch_execute("SELECT tpro.publish('a', 'b', 'c')").await?;
        admin.batch_execute(remove).await?;
        database.forget_service("main").await?;
        assert!(!exists(&admin, "SELECT FROM pg_namespace WHERE nspname = 'main_service'").await?);
    }
    Ok(())
}

#[tpro_testkit::test]
async fn a_role_that_owns_something_of_its_own_stays_and_so_does_that() -> Outcome {
    let (_cluster, database, admin) = cluster_and_database().await?;
    database.create_service("main").await?;
    admin
        .batch_execute(
            "CREATE TABLE notes (id int); ALTER TABLE notes OWNER TO main;
             CREATE TABLE rates (id int); GRANT SELECT ON rates TO main, main_sidecar;
             CREATE TABLE guarded (id int); CREATE POLICY mine ON guarded TO main_publisher USING (true)",
        )
        .await?;
    let said = database.forget_service("main").await?;
    assert!(said.contains("role main stays: it owns, or a policy names it: table public.notes"), "{said}");
    assert!(exists(&admin, "SELECT FROM pg_policy WHERE polname = 'mine'").await?);
    assert!(exists(&admin, "SELECT FROM pg_class WHERE relname = 'notes'").await?);
    assert!(
        !exists(&admin, "SELECT FROM pg_roles WHERE rolname = 'main_sidecar'").await?,
        "a mere right keeps nobody"
    );
    // It can be given a service again.
    database.create_service("main").await?;
    admin.batch_execute("DROP TABLE notes; DROP POLICY mine ON guarded").await?;
    let said = database.forget_service("main").await?;
    assert!(!said.contains("stays"), "{said}");
    assert!(!exists(&admin, "SELECT FROM pg_roles WHERE rolname ~ '^main(_|$)'").await?);
    assert!(exists(&admin, "SELECT FROM pg_class WHERE relname = 'rates'").await?);
    Ok(())
}

#[tpro_testkit::test]
async fn a_reserved_name_is_refused_by_both_scripts_and_every_function() -> Outcome {
    let (_cluster, database, admin) = cluster_and_database().await?;
    database.create_service("main").await?;
    let lines = include_str!("../../../sidecar/wire/src/reserved.txt").lines();
    let names =
        lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(|line| line.replace('*', "main"));
    let roles = admin.query("SELECT rolname::text FROM pg_roles WHERE rolname <> 'main'", &[]).await?;
    let names: Vec<String> = names.chain(roles.iter().map(|row| row.get(0))).collect();
    let before: i64 = admin.query_one("SELECT count(*) FROM pg_roles", &[]).await?.get(0);
    assert!(names.len() > 30, "{names:?}");
    for name in &names {
        for script in ["sql/login.sql", "sql/logout.sql"] {
            let said = refused(&database, script, name).await?;
            assert!(said.contains(&format!("the name {name} is reserved")), "{name}: {said}");
        }
        crate::refusal::refused_with(&admin, "42939", &format!("SELECT tpro.create_service('{name}')"))
            .await?;
        crate::refusal::refused_with(&admin, "42939", &format!("SELECT tpro.must_be_name('{name}')")).await?;
    }
    for name in ["Main", "a b", "x'; DROP TABLE y; --", "x\"", ""] {
        let said = refused(&database, "sql/login.sql", name).await?;
        assert!(said.contains("a service name is a small letter"), "{name}: {said}");
    }
    assert_eq!(admin.query_one("SELECT count(*) FROM pg_roles", &[]).await?.get::<_, i64>(0), before);
    Ok(())
}
