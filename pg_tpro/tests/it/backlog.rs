//! Publishers are refused when too much waits.

use tpro_testkit::{Database, Outcome};

use crate::refusal::refused_with;
use crate::service::database;

/// A database where a hundred messages may wait.
async fn bounded() -> Outcome<Database> {
    let database = database().await?;
    let admin = database.connect().await?;
    let name: String = admin.query_one("SELECT quote_ident(current_database())", &[]).await?.get(0);
    admin.batch_execute(&format!("LOAD 'pg_tpro'; ALTER DATABASE {name} SET tpro.max_backlog = 100")).await?;
    // In a session whose limit is off.
    admin.batch_execute("SET tpro.max_backlog = 0").await?;
    admin.batch_execute(MANY).await?;
    Ok(database)
}

const MANY: &str = "INSERT INTO main_service.mq_publish (service_name, entity, method_name)
    SELECT 'a', 'b', 'c' FROM generate_series(1, 150)";

#[tpro_testkit::test]
async fn a_publisher_is_refused_above_the_limit_and_told_what_to_do() -> Outcome {
    let database = bounded().await?;
    // Each session asks when it publishes first, and then once a second. What it publishes counts.
    for (statement, waiting) in [
        ("SELECT tpro.publish('a', 'b', 'c', '{\"password\": \"canary\"}', sender => 'main')", 151),
        (
            "INSERT INTO main_service.mq_publish (service_name, entity, method_name) VALUES ('a', 'b', 'c')",
            152,
        ),
    ] {
        let refusal = refused_with(&database.connect_as("main").await?, "53400", statement).await?;
        assert_eq!(
            refusal.message,
            format!("about {waiting} messages of service main are unsettled, and tpro.max_backlog is 100")
        );
        assert!(refusal.hint.contains("tpro.services"), "{refusal:?}");
        assert!(!refusal.everything.contains("canary"), "{refusal:?}");
    }
    // Another service has a backlog of its own.
    let other = "SELECT tpro.publish('a', 'b', 'c', sender => 'analytic')";
    database.connect_as("analytic").await?.batch_execute(other).await?;
    // The leader notes that they are settled.
    let leader = database.connect_as("main").await?;
    leader.batch_execute("UPDATE main_service.mq_backlog SET unsettled = 7, upto = 152").await?;
    assert_eq!(leader.query_one("SELECT tpro.backlog('main')", &[]).await?.get::<_, i64>(0), 7);
    leader.batch_execute("SELECT tpro.publish('a', 'b', 'c', sender => 'main')").await?;
    Ok(())
}

#[tpro_testkit::test]
async fn the_limit_is_a_superusers_and_zero_is_none() -> Outcome {
    let database = bounded().await?;
    let session = database.connect_as("main").await?;
    refused_with(&session, "42501", "SELECT tpro.space(); SET tpro.max_backlog = 0").await?;
    // Set before the library knows its settings, it is not taken over.
    let session = database.connect_as("main").await?;
    let publish = "SELECT tpro.publish('a', 'b', 'c', sender => 'main')";
    session.batch_execute("SET tpro.max_backlog = 0").await?;
    refused_with(&session, "53400", publish).await?;
    let admin = database.connect().await?;
    refused_with(&admin, "53400", MANY).await?;
    admin.batch_execute("SET tpro.max_backlog = 0").await?;
    admin.batch_execute(MANY).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn the_record_of_what_is_over_is_written_all_the_same_but_by_sidecars_only() -> Outcome {
    let database = bounded().await?;
    let journal = "SET tpro.journaling = on;
        INSERT INTO main_service.mq_publish (service_name, entity, method_name) VALUES ('a', 'b', 'c')";
    database.connect_as("main").await?.batch_execute(journal).await?;
    database.create_role("flooder").await?;
    database.connect().await?.batch_execute("GRANT main_publisher TO flooder").await?;
    refused_with(&database.connect_as("flooder").await?, "53400", journal).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn whoever_inserts_lends_nobody_the_owners_rights() -> Outcome {
    let database = database().await?;
    let admin = database.connect().await?;
    admin.batch_execute("CREATE SCHEMA trap; GRANT ALL ON SCHEMA trap TO PUBLIC").await?;
    database.create_role("trapper").await?;
    admin.batch_execute("GRANT main_publisher TO trapper").await?;
    let trapper = database.connect_as("trapper").await?;
    // Whatever it would be that ran as the owner, it would say so.
    trapper
        .batch_execute(
            "CREATE FUNCTION trap.less(bigint, bigint) RETURNS bigint LANGUAGE plpgsql AS
                 $$ BEGIN RAISE EXCEPTION 'ran as %', current_user; END $$;
             CREATE OPERATOR trap.- (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = trap.less);
             CREATE OPERATOR trap.+ (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = trap.less);
             CREATE VIEW trap.mq_backlog AS SELECT 1::bigint AS unsettled, trap.less(1, 1) AS upto;
             SET search_path = trap, pg_catalog;
             SELECT tpro.publish('a', 'b', 'c', sender => 'main')",
        )
        .await?;
    let user: String = trapper.query_one("SELECT current_user::text", &[]).await?.get(0);
    assert_eq!(user, "trapper");
    Ok(())
}
