//! Services are made and dropped.

use tokio_postgres::Client;
use tpro_testkit::{Database, Outcome, Postgres};

use crate::refusal::refused_with;

/// A database with the service `main`, and with `analytic` beside it.
pub async fn database() -> Outcome<Database> {
    let database = Postgres::shared().await?.database().await?;
    database.create_service("main").await?;
    database.create_service("analytic").await?;
    Ok(database)
}

/// A session of the superuser that publishes as `main`.
pub async fn publisher(database: &Database) -> Outcome<Client> {
    let session = database.connect().await?;
    session.batch_execute("SET tpro.sender = 'main'").await?;
    Ok(session)
}

/// The number that a query gives.
pub async fn count(session: &Client, query: &str) -> Outcome<i64> {
    Ok(session.query_one(query, &[]).await?.try_get(0)?)
}

#[tpro_testkit::test]
async fn a_bad_name_makes_no_service() -> Outcome {
    let admin = database().await?.connect().await?;
    for name in ["", "Main", "1st", "a-b", "a.b", "a;b", "ä", "a\"b", &"a".repeat(41)] {
        refused_with(&admin, "42602", &format!("SELECT tpro.create_service('{name}')")).await?;
    }
    for name in ["db", "nats", "jaeger", "env", "sql", "all", "reply", "template", "contracts", "pg_x"] {
        refused_with(&admin, "42939", &format!("SELECT tpro.create_service('{name}')")).await?;
    }
    refused_with(&admin, "42P06", "SELECT tpro.create_service('main')").await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_schema_of_somebody_else_is_not_taken_for_a_service() -> Outcome {
    let admin = database().await?.connect().await?;
    admin.batch_execute("CREATE SCHEMA mine_service").await?;
    refused_with(&admin, "42P06", "SELECT tpro.create_service('mine')").await?;
    refused_with(&admin, "3F000", "SELECT tpro.publish('a', 'b', 'c', sender => 'mine')").await?;
    refused_with(&admin, "3F000", "SELECT tpro.drop_service('mine', true)").await?;
    Ok(())
}

#[tpro_testkit::test]
async fn all_services_have_identical_tables() -> Outcome {
    let admin = database().await?.connect().await?;
    let shape = |service: &str| {
        format!(
            "SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull
               FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
              WHERE c.relnamespace = '{service}_service'::regnamespace AND a.attnum > 0"
        )
    };
    let different = format!(
        "SELECT count(*) FROM ({main} EXCEPT {analytic} UNION ALL ({analytic} EXCEPT {main})) d",
        main = shape("main"),
        analytic = shape("analytic")
    );
    assert_eq!(admin.query_one(&different, &[]).await?.try_get::<_, i64>(0)?, 0);
    Ok(())
}

#[tpro_testkit::test]
async fn a_service_with_unsettled_messages_is_dropped_only_by_force() -> Outcome {
    // Roles belong to the cluster, so that this service has a name of its own.
    let database = Postgres::shared().await?.database().await?;
    database.create_service("doomed").await?;
    let admin = database.connect().await?;
    admin.batch_execute("SELECT tpro.publish('a', 'b', 'c', sender => 'doomed')").await?;
    let refusal = refused_with(&admin, "55006", "SELECT tpro.drop_service('doomed')").await?;
    assert!(refusal.hint.contains("doomed_service.mq_status"), "{refusal:?}");
    admin.batch_execute("SELECT tpro.drop_service('doomed', true)").await?;
    let left =
        "SELECT (SELECT count(*) FROM pg_roles WHERE rolname IN ('doomed_publisher', 'doomed_sidecar')) +
                       (SELECT count(*) FROM pg_namespace WHERE nspname = 'doomed_service')";
    assert_eq!(admin.query_one(left, &[]).await?.try_get::<_, i64>(0)?, 0);
    refused_with(&admin, "3F000", "SELECT tpro.drop_service('doomed')").await?;
    // The same session goes on with a service of that name that is made again.
    database.create_service("doomed").await?;
    admin.batch_execute("SELECT tpro.publish('a', 'b', 'c', sender => 'doomed')").await?;
    admin.batch_execute("SELECT tpro.drop_service('doomed', true)").await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_settled_service_is_dropped_without_force() -> Outcome {
    let database = Postgres::shared().await?.database().await?;
    database.create_service("settled").await?;
    let admin = database.connect().await?;
    admin
        .batch_execute(
            "SELECT tpro.publish('a', 'b', 'c', sender => 'settled');
             INSERT INTO settled_service.mq_reply (mq_id, uid, status) SELECT id, uid, 'ok' FROM settled_service.mq_publish;
             SELECT tpro.drop_service('settled')",
        )
        .await?;
    Ok(())
}

#[tpro_testkit::test]
async fn the_view_of_services_counts_what_is_unsettled() -> Outcome {
    let admin = database().await?.connect().await?;
    let main =
        "SELECT unsettled, oldest_age IS NOT NULL, leader_pid, asleep FROM tpro.services WHERE name = 'main'";
    let row = admin.query_one(main, &[]).await?;
    assert_eq!(
        (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?),
        (0i64, false, None::<i32>, false)
    );
    admin
        .batch_execute(
            "SELECT tpro.publish('a', 'b', 'c', sender => 'main') FROM generate_series(1, 5);
             INSERT INTO main_service.mq_reply (mq_id, uid, status)
             SELECT id, uid, 'ok' FROM main_service.mq_publish WHERE id IN (1, 2)",
        )
        .await?;
    assert_eq!(admin.query_one(main, &[]).await?.try_get::<_, i64>(0)?, 3);
    // What the cursor has passed is counted by its pending ids.
    admin
        .batch_execute(
            "UPDATE main_service.mq_cursor SET snapshot = pg_current_snapshot(), pending = '{3, 4, 5}'",
        )
        .await?;
    assert_eq!(admin.query_one(main, &[]).await?.try_get::<_, i64>(0)?, 3);
    admin
        .batch_execute(
            "INSERT INTO main_service.mq_reply (mq_id, uid, status)
             SELECT id, uid, 'ok' FROM main_service.mq_publish WHERE id = 4",
        )
        .await?;
    assert_eq!(admin.query_one(main, &[]).await?.try_get::<_, i64>(0)?, 2);
    Ok(())
}

#[tpro_testkit::test]
async fn a_member_of_the_owner_role_makes_and_drops_services() -> Outcome {
    let database = Postgres::shared().await?.database().await?;
    database.create_role("housekeeper").await?;
    database.connect().await?.batch_execute("GRANT tpro_owner TO housekeeper").await?;
    let housekeeper = database.connect_as("housekeeper").await?;
    housekeeper.batch_execute("SELECT tpro.create_service('kept')").await?;
    // By the membership, the tables are the housekeeper's own.
    housekeeper
        .batch_execute(
            "INSERT INTO kept_service.mq_publish (service_name, entity, method_name) VALUES ('a', 'b', 'c')",
        )
        .await?;
    housekeeper.batch_execute("SELECT tpro.drop_service('kept', true)").await?;
    Ok(())
}

#[tpro_testkit::test]
async fn what_somebody_else_has_made_is_neither_taken_over_nor_dropped() -> Outcome {
    let database = Postgres::shared().await?.database().await?;
    let admin = database.connect().await?;
    admin
        .batch_execute(
            "CREATE SCHEMA foreign_service; CREATE TABLE foreign_service.mq_publish (id int);
             CREATE ROLE lent_sidecar SUPERUSER; COMMENT ON ROLE lent_sidecar IS 'somebody''s'",
        )
        .await?;
    refused_with(&admin, "3F000", "SELECT tpro.drop_service('foreign', true)").await?;
    // The role would be granted to the service's sidecar, with all that it may.
    let refusal = refused_with(&admin, "42710", "SELECT tpro.create_service('lent')").await?;
    assert!(refusal.message.contains("lent_sidecar"), "{refusal:?}");
    admin.batch_execute("DROP ROLE lent_sidecar; SELECT tpro.create_service('lent')").await?;
    admin.batch_execute("CREATE ROLE guest LOGIN; GRANT lent_publisher TO guest").await?;
    admin.batch_execute("SELECT tpro.drop_service('lent', true); DROP ROLE guest").await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_message_that_is_about_to_be_committed_keeps_its_service() -> Outcome {
    let database = Postgres::shared().await?.database().await?;
    database.create_service("wanted").await?;
    let (admin, publisher) = (database.connect().await?, database.connect().await?);
    publisher.batch_execute("BEGIN; SELECT tpro.publish('a', 'b', 'c', sender => 'wanted')").await?;
    let refusal = refused_with(&admin, "55006", "SELECT tpro.drop_service('wanted')").await?;
    assert!(refusal.message.contains("in use"), "{refusal:?}");
    publisher.batch_execute("COMMIT").await?;
    let refusal = refused_with(&admin, "55006", "SELECT tpro.drop_service('wanted')").await?;
    assert!(refusal.message.contains("not settled"), "{refusal:?}");
    refused_with(
        &admin,
        "25001",
        "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT tpro.drop_service('wanted')",
    )
    .await?;
    admin.batch_execute("ROLLBACK; SELECT tpro.drop_service('wanted', true)").await?;
    Ok(())
}

#[tpro_testkit::test]
async fn what_a_dropped_extension_leaves_of_a_service_is_named_and_can_be_dropped() -> Outcome {
    let database = Postgres::shared().await?.database().await?;
    database.create_service("relic").await?;
    let admin = database.connect().await?;
    admin
        .batch_execute(
            "SELECT tpro.publish('a', 'b', 'c', sender => 'relic');
             DROP EXTENSION pg_tpro CASCADE; DROP SCHEMA IF EXISTS tpro; CREATE EXTENSION pg_tpro",
        )
        .await?;
    let refusal = refused_with(&admin, "42P06", "SELECT tpro.create_service('relic')").await?;
    assert!(refusal.hint.contains("tpro.drop_service('relic')"), "{refusal:?}");
    refused_with(&admin, "3F000", "SELECT tpro.publish('a', 'b', 'c', sender => 'relic')").await?;
    admin.batch_execute("SELECT tpro.drop_service('relic'); SELECT tpro.create_service('relic')").await?;
    admin.batch_execute("SELECT tpro.publish('a', 'b', 'c', sender => 'relic')").await?;
    // Of somebody else's schema nothing is said, and nothing is dropped.
    admin
        .batch_execute("CREATE SCHEMA alien_service; COMMENT ON SCHEMA alien_service IS 'tpro: not really'")
        .await?;
    let refusal = refused_with(&admin, "42P06", "SELECT tpro.create_service('alien')").await?;
    assert_eq!(refusal.hint, "");
    refused_with(&admin, "3F000", "SELECT tpro.drop_service('alien')").await?;
    admin.batch_execute("SELECT tpro.drop_service('relic', true)").await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_service_that_is_renamed_and_renamed_back_is_as_before() -> Outcome {
    let admin = database().await?.connect().await?;
    admin.batch_execute("ALTER SCHEMA main_service RENAME TO away_service").await?;
    refused_with(&admin, "3F000", "SELECT tpro.publish('a', 'b', 'c', sender => 'main')").await?;
    admin.batch_execute("ALTER SCHEMA away_service RENAME TO main_service").await?;
    admin.batch_execute("SELECT tpro.publish('a', 'b', 'c', sender => 'main')").await?;
    assert_eq!(admin.query("SELECT * FROM tpro.faults('main')", &[]).await?.len(), 0);
    Ok(())
}
