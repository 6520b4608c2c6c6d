//! Nobody who has a service's login can have others run code of his: he owns nothing that they touch, and alters nothing.

use tokio_postgres::Client;
use tpro_testkit::{Database, Outcome};

use crate::refusal::{refused, refused_with};
use crate::roles::member;
use crate::service::database;

/// Everything in the schemas of tpro and of its services that has an owner: what it is, and whose.
const OWNED: &str = "
    WITH ours AS (SELECT oid FROM pg_namespace WHERE nspname = 'tpro' OR nspname LIKE '%\\_service')
    SELECT 'schema ' || n.oid::regnamespace AS what, n.nspowner AS owner FROM pg_namespace n JOIN ours USING (oid)
    UNION ALL
    SELECT 'relation ' || c.oid::regclass, c.relowner FROM pg_class c JOIN ours ON ours.oid = c.relnamespace
    UNION ALL
    SELECT 'routine ' || p.oid::regprocedure, p.proowner FROM pg_proc p JOIN ours ON ours.oid = p.pronamespace
    UNION ALL
    SELECT 'type ' || t.oid::regtype, t.typowner FROM pg_type t JOIN ours ON ours.oid = t.typnamespace
    UNION ALL
    SELECT 'operator ' || o.oid::regoperator, o.oprowner FROM pg_operator o JOIN ours ON ours.oid = o.oprnamespace
    UNION ALL
    SELECT 'statistics ' || s.stxname, s.stxowner FROM pg_statistic_ext s JOIN ours ON ours.oid = s.stxnamespace
    UNION ALL
    SELECT 'extension ' || e.extname, e.extowner FROM pg_extension e WHERE e.extname = 'pg_tpro'
    UNION ALL
    -- Functions that a trigger, a default, a rule, a policy, an index or a domain of theirs runs, wherever these are.
    SELECT 'routine ' || p.oid::regprocedure || ' of ' || pg_describe_object(d.classid, d.objid, d.objsubid), p.proowner
      FROM pg_depend d JOIN pg_proc p ON d.refclassid = 'pg_proc'::regclass AND p.oid = d.refobjid
     WHERE (SELECT s.namespace FROM (
               SELECT c.relnamespace AS namespace FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid
                WHERE d.classid = 'pg_trigger'::regclass AND g.oid = d.objid
               UNION ALL SELECT c.relnamespace FROM pg_attrdef a JOIN pg_class c ON c.oid = a.adrelid
                WHERE d.classid = 'pg_attrdef'::regclass AND a.oid = d.objid
               UNION ALL SELECT c.relnamespace FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
                WHERE d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
               UNION ALL SELECT c.relnamespace FROM pg_policy y JOIN pg_class c ON c.oid = y.polrelid
                WHERE d.classid = 'pg_policy'::regclass AND y.oid = d.objid
               UNION ALL SELECT n.connamespace FROM pg_constraint n
                WHERE d.classid = 'pg_constraint'::regclass AND n.oid = d.objid
               UNION ALL SELECT c.relnamespace FROM pg_class c
                WHERE d.classid = 'pg_class'::regclass AND c.oid = d.objid) s LIMIT 1) IN (SELECT oid FROM ours)";

/// Every role that is a service's login, one of its groups, or somebody who looks after it.
const ROLES: &str =
    "SELECT r.rolname::text FROM pg_roles r WHERE r.rolname IN ('main', 'analytic', 'main_sidecar',
    'main_publisher', 'analytic_sidecar', 'analytic_publisher', 'tpro_reader', 'tpro_operator') ORDER BY 1";

async fn names(session: &Client, query: &str) -> Outcome<Vec<String>> {
    Ok(session.query(query, &[]).await?.iter().map(|row| row.get(0)).collect())
}

#[tpro_testkit::test]
async fn nothing_of_tpro_is_owned_by_a_role_that_a_services_login_can_become() -> Outcome {
    let database = database().await?;
    let admin = database.connect().await?;
    // What is made later is looked at, too.
    admin
        .batch_execute(
            "SELECT tpro.publish('a', 'b', 'c', sender => 'main') FROM generate_series(1, 10);
             SELECT tpro.make_partitions('main', t, 1000) FROM unnest(ARRAY['mq_publish', 'mq_reply']) t",
        )
        .await?;
    assert_eq!(names(&admin, ROLES).await?.len(), 8);
    assert!(names(&admin, OWNED).await?.len() > 200, "it looks at what there is");
    let theirs = format!(
        "SELECT r.role || ' may be the owner of ' || o.what FROM ({ROLES}) r(role)
           JOIN ({OWNED}) o ON pg_has_role(r.role, o.owner, 'MEMBER')"
    );
    assert_eq!(names(&admin, &theirs).await?, [""; 0]);
    // Nor do they become anything at all but the groups of their own service.
    let become_others = format!(
        "SELECT r.role || ' may become ' || o.rolname FROM ({ROLES}) r(role) JOIN pg_roles o
             ON o.rolname <> r.role AND pg_has_role(r.role, o.oid, 'MEMBER')
            AND o.rolname NOT IN (r.role || '_sidecar', r.role || '_publisher')"
    );
    assert_eq!(names(&admin, &become_others).await?, [""; 0]);
    Ok(())
}

#[tpro_testkit::test]
async fn nobody_may_make_or_alter_anything_in_the_schemas_of_tpro() -> Outcome {
    let admin = database().await?.connect().await?;
    let may = format!(
        "WITH ours AS (SELECT oid FROM pg_namespace WHERE nspname = 'tpro' OR nspname LIKE '%\\_service')
         SELECT r.role || ' may create in ' || n.oid::regnamespace FROM ({ROLES} ) r(role) CROSS JOIN ours n
          WHERE has_schema_privilege(r.role, n.oid, 'CREATE')
         UNION ALL
         SELECT r.role || ' may put something in the way of ' || c.oid::regclass FROM ({ROLES}) r(role)
           JOIN pg_class c ON c.relnamespace IN (SELECT oid FROM ours) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
          WHERE has_table_privilege(r.role, c.oid, 'TRIGGER, REFERENCES, TRUNCATE, DELETE')
         UNION ALL
         SELECT r.role || ' may write to the partition ' || c.oid::regclass FROM ({ROLES}) r(role)
           JOIN pg_class c ON c.relnamespace IN (SELECT oid FROM ours) AND c.relispartition AND c.relkind = 'r'
          WHERE has_table_privilege(r.role, c.oid, 'SELECT, INSERT, UPDATE')"
    );
    assert_eq!(names(&admin, &may).await?, [""; 0]);
    Ok(())
}

/// What would have others run the code of whoever can do it.
const TRAPS: [&str; 14] = [
    "SET ROLE main_maintainer",
    "SET ROLE tpro_owner",
    "SET SESSION AUTHORIZATION tpro_owner",
    "CREATE FUNCTION main_service.trap() RETURNS boolean LANGUAGE sql AS 'SELECT true'",
    "CREATE FUNCTION tpro.trap() RETURNS boolean LANGUAGE sql AS 'SELECT true'",
    "CREATE TABLE main_service.trap (a int)",
    "CREATE VIEW main_service.trap AS SELECT 1",
    "ALTER TABLE main_service.{table} ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE main_service.{table} FORCE ROW LEVEL SECURITY",
    "CREATE POLICY trap ON main_service.{table} USING (pg_temp.trap())",
    "CREATE TRIGGER trap BEFORE INSERT ON main_service.{table} FOR EACH ROW EXECUTE FUNCTION pg_temp.trap_trigger()",
    "CREATE RULE trap AS ON INSERT TO main_service.{table} DO ALSO SELECT pg_temp.trap()",
    "ALTER TABLE main_service.{table} ALTER COLUMN uid SET DEFAULT pg_temp.trap_uid()",
    "CREATE TABLE lent.refers (id bigint REFERENCES main_service.{table})",
];

/// Functions of the attacker, where everybody may make some.
const OWN: &str = "
    CREATE FUNCTION pg_temp.trap() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN CREATE ROLE trapped SUPERUSER; RETURN true; END $$;
    CREATE FUNCTION pg_temp.trap_uid() RETURNS uuid LANGUAGE sql AS 'SELECT gen_random_uuid()';
    CREATE FUNCTION pg_temp.trap_trigger() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_temp.trap(); RETURN NEW; END $$";

async fn attack(session: &Client, who: &str) -> Outcome {
    session.batch_execute(OWN).await?;
    for table in ["mq_publish", "mq_reply", "mq_publish_rest", "mq_status", "mq_cursor"] {
        for trap in TRAPS {
            let statement = trap.replace("{table}", table);
            let refusal = refused(session, &statement).await?;
            // 22023: there is no such role; 42P17, 42809, 42P16: not for a view, even its owner's.
            let states = ["42501", "22023", "42P17", "42809", "42P16"];
            assert!(states.contains(&refusal.state.as_str()), "{who}: {statement}: {refusal:?}");
        }
    }
    Ok(())
}

/// Looks, as they do who must not be tricked by it.
async fn look(database: &Database) -> Outcome {
    let admin = database.connect().await?;
    admin
        .batch_execute(
            "SELECT * FROM tpro.services; SELECT * FROM main_service.mq_status; SELECT tpro.cancel(1, 'main');
             SELECT * FROM tpro.partitions('main')",
        )
        .await?;
    member(database, "tpro_reader").await?.batch_execute("SELECT * FROM tpro.services").await?;
    let trapped = "SELECT count(*) FROM pg_roles WHERE rolname = 'trapped'";
    assert_eq!(admin.query_one(trapped, &[]).await?.get::<_, i64>(0), 0);
    let strange = "SELECT count(*) FROM pg_roles r JOIN pg_class c ON c.relowner = r.oid
         WHERE c.relnamespace IN ('tpro'::regnamespace, 'main_service'::regnamespace) AND NOT r.rolsuper AND r.rolname <> 'tpro_owner'";
    assert_eq!(admin.query_one(strange, &[]).await?.get::<_, i64>(0), 0);
    Ok(())
}

#[tpro_testkit::test]
async fn no_role_of_a_service_makes_others_run_its_code() -> Outcome {
    let database = database().await?;
    let admin = database.connect().await?;
    admin
        .batch_execute(
            "SELECT tpro.publish('a', 'b', 'c', sender => 'main'); CREATE SCHEMA lent; GRANT CREATE, USAGE ON SCHEMA lent TO PUBLIC",
        )
        .await?;
    for login in ["main", "analytic"] {
        attack(&database.connect_as(login).await?, login).await?;
    }
    for role in ["main_sidecar", "main_publisher", "tpro_reader", "tpro_operator"] {
        attack(&member(&database, role).await?, role).await?;
    }
    look(&database).await
}

#[tpro_testkit::test]
async fn a_services_login_maintains_its_own_service_and_changes_no_partition_but_by_the_functions() -> Outcome
{
    let database = database().await?;
    let main = database.connect_as("main").await?;
    let made: String =
        main.query_one("SELECT tpro.make_partitions('main', 'mq_publish', 1000)", &[]).await?.get(0);
    assert_eq!(made, "made 5 partitions ahead for mq_publish");
    for statement in [
        "SELECT tpro.make_partitions('analytic', 'mq_publish', 1000)",
        "SELECT tpro.trust_bound('main_service.mq_publish_rest')",
        "SELECT tpro.attach_partition('main_service', 'mq_publish', 'mine', 0, 1)",
        "DROP TABLE main_service.mq_publish_rest",
        "ALTER TABLE main_service.mq_publish DETACH PARTITION main_service.mq_publish_rest",
        "TRUNCATE main_service.mq_publish_rest",
        "DO $$ BEGIN LOCK TABLE main_service.mq_publish IN ACCESS EXCLUSIVE MODE; END $$",
    ] {
        refused_with(&main, "42501", statement).await?;
    }
    for statement in [
        "SELECT tpro.make_partitions('main', 'mq_cursor', 1000)",
        "SELECT tpro.make_partitions('main', 'mq_publish; DROP TABLE main_service.mq_cursor', 1000)",
        "SELECT tpro.make_partitions('main', 'mq_publish', 0)",
        "SELECT tpro.make_partitions('main', 'mq_receive', 7)",
        "SELECT tpro.mend_partitions('main', 'pg_class', 1)",
    ] {
        refused_with(&main, "22023", statement).await?;
    }
    refused_with(&main, "3F000", "SELECT tpro.make_partitions('main_service\".x', 'mq_publish', 1000)")
        .await?;
    Ok(())
}
