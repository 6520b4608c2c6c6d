//! What a restore, a move and a repair leave: rules that data must pass hold for the data alone.

use tokio_postgres::Client;
use tpro_testkit::Outcome;

use crate::identity::restored;
use crate::refusal::refused_with;
use crate::service::database;

/// A publish of a body of so many bytes as text, a little more than a message may have by default.
fn publish(bytes: usize) -> String {
    format!(
        "SELECT tpro.publish('a', 'b', 'c', jsonb_build_object('a', repeat('x', {})), sender => 'main')",
        bytes - r#"{"a": ""}"#.len()
    )
}

async fn triggers(session: &Client, table: &str) -> Outcome<Vec<String>> {
    let of = "SELECT tgname::text FROM pg_trigger WHERE tgrelid = $1::text::regclass ORDER BY 1";
    let rows = session.query(of, &[&table]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

#[tpro_testkit::test]
async fn a_dump_with_bodies_above_the_default_is_restored_with_its_triggers() -> Outcome {
    let database = database().await?;
    let admin = database.connect().await?;
    admin.batch_execute(&format!("ALTER DATABASE {} SET tpro.max_body = '2MB'", database.name())).await?;
    let raised = database.connect().await?;
    raised.batch_execute(&publish(1_500_000)).await?;

    let copy = restored(&database).await?;
    let sizes = "SELECT octet_length(body::text) FROM main_service.mq_publish";
    assert_eq!(copy.query_one(sizes, &[]).await?.try_get::<_, i32>(0)?, 1_500_000);
    for table in ["mq_publish", "mq_publish_p000000000000_000001000000", "mq_publish_rest"] {
        let table = format!("main_service.{table}");
        assert_eq!(triggers(&copy, &table).await?, triggers(&admin, &table).await?, "{table}");
    }
    assert_eq!(triggers(&copy, "main_service.mq_publish").await?, ["bell"]);
    // There it is as large as it may be there.
    copy.batch_execute("SELECT tpro.adopt()").await?;
    let refusal = refused_with(&copy, "54000", &publish(1_500_000)).await?;
    assert_eq!(refusal.message, "body must be at most 900000 bytes of JSON text, not 1500000");
    copy.batch_execute(&publish(900_000)).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn no_rule_of_a_table_goes_by_a_setting_or_by_anything_else_than_the_row() -> Outcome {
    let admin = database().await?.connect().await?;
    let free = "
        WITH rule AS (
            SELECT c.oid FROM pg_constraint c LEFT JOIN pg_type t ON t.oid = c.contypid LEFT JOIN pg_class r ON r.oid = c.conrelid
             WHERE 'tpro'::regnamespace IN (t.typnamespace, r.relnamespace)
                OR r.relnamespace = 'main_service'::regnamespace)
        SELECT p.oid::regprocedure::text FROM rule JOIN pg_depend d ON d.classid = 'pg_constraint'::regclass AND d.objid = rule.oid
          JOIN pg_proc p ON d.refclassid = 'pg_proc'::regclass AND p.oid = d.refobjid
         WHERE p.provolatile <> 'i'";
    assert_eq!(admin.query(free, &[]).await?.len(), 0);
    Ok(())
}

#[tpro_testkit::test]
async fn the_size_of_a_body_is_that_of_its_text_whatever_is_in_it() -> Outcome {
    let admin = database().await?.connect().await?;
    admin
        .batch_execute(
            r#"SELECT tpro.uuid7();
            CREATE TEMP TABLE part (value jsonb);
            INSERT INTO part SELECT to_jsonb(v) FROM unnest(ARRAY[0, 0.0, 1, -1, 9, 10, 99.5, -0.00001, 1e-30, 1.5e-300, 12345678901234567890,
                1e63, 1e64, -1e256, 1e257, 1e3000, 1e130000, 10000, 9999, 100000000, 0.1000, -123.4500, 1e-64, 1e-16383]) AS v;
            INSERT INTO part SELECT to_jsonb(v) FROM unnest(ARRAY['', 'x', '"', '\', E'\b\f\n\r\t', E'\x01\x1f\x7f', 'ä€😀', '/', repeat('y', 300)]) AS v;
            INSERT INTO part VALUES ('true'), ('false'), ('null'), ('[]'), ('{}'), ('[[[]]]'), ('{"a": {"b": []}, "": null}'),
                ('[1, "a", {"k\n": [true, -2.50]}, []]');
            -- Each alone, all of them in one, and pairs of them as members of objects.
            CREATE TEMP TABLE body AS
                SELECT value FROM part
                UNION ALL SELECT jsonb_agg(value) FROM part
                UNION ALL SELECT jsonb_agg(value) FROM part, generate_series(1, 40) WHERE value <> '1e130000'
                UNION ALL SELECT jsonb_build_object('one', a.value, E'tw\no', b.value) FROM part a, part b;
            -- No outbox, so that it has no backlog.
            SET tpro.max_backlog = 0;
            CREATE TEMP TABLE outbox (tx xid8 DEFAULT pg_current_xact_id(), body jsonb);
            CREATE TRIGGER bell BEFORE INSERT ON outbox FOR EACH ROW EXECUTE FUNCTION tpro.bell();
            DO $$
            DECLARE
                one jsonb;
                size int;
            BEGIN
                FOR one IN SELECT jsonb_build_array(repeat('-', 1100), value) FROM body UNION ALL SELECT to_jsonb(repeat('-', 1100)) LOOP
                    size := octet_length(one::text);
                    PERFORM set_config('tpro.max_body', size::text, false);
                    BEGIN
                        INSERT INTO outbox (body) VALUES (one);
                    EXCEPTION
                        WHEN program_limit_exceeded THEN RAISE 'refused at its size of %', size USING DETAIL = one::text;
                    END;
                    PERFORM set_config('tpro.max_body', (size - 1)::text, false);
                    BEGIN
                        INSERT INTO outbox (body) VALUES (one);
                        RAISE 'taken above the size of %', size - 1 USING DETAIL = one::text;
                    EXCEPTION
                        WHEN program_limit_exceeded THEN NULL;
                    END;
                END LOOP;
            END $$"#,
        )
        .await?;
    let looked_at = "SELECT count(*) FROM body";
    assert!(admin.query_one(looked_at, &[]).await?.try_get::<_, i64>(0)? > 1_000);
    Ok(())
}

#[tpro_testkit::test]
async fn a_row_of_another_transaction_is_refused_and_not_passed_over() -> Outcome {
    let admin = database().await?.connect().await?;
    let row = "(service_name, entity, method_name, tx) VALUES ('a', 'b', 'c', '3')";
    for table in ["mq_publish", "mq_publish_p000000000000_000001000000"] {
        let refusal =
            refused_with(&admin, "22023", &format!("INSERT INTO main_service.{table} {row}")).await?;
        assert!(refusal.message.starts_with("tx must be the transaction"), "{refusal:?}");
        assert!(refusal.hint.contains("Leave the column out"), "{refusal:?}");
    }
    // Its own, also within a savepoint.
    let own = row.replace("'3'", "pg_current_xact_id()");
    admin
        .batch_execute(&format!(
            "BEGIN; SAVEPOINT one; INSERT INTO main_service.mq_publish {own}; RELEASE one; COMMIT"
        ))
        .await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_partition_that_is_attached_later_has_the_trigger_and_one_that_is_taken_off_has_none() -> Outcome {
    let admin = database().await?.connect().await?;
    admin
        .batch_execute(
            "ALTER TABLE main_service.mq_publish DETACH PARTITION main_service.mq_publish_rest;
             CREATE TABLE main_service.mq_publish_new (LIKE main_service.mq_publish INCLUDING DEFAULTS INCLUDING CONSTRAINTS);
             ALTER TABLE main_service.mq_publish ATTACH PARTITION main_service.mq_publish_new FOR VALUES FROM (4000000) TO (MAXVALUE)",
        )
        .await?;
    assert_eq!(triggers(&admin, "main_service.mq_publish_new").await?, ["bell"]);
    assert_eq!(triggers(&admin, "main_service.mq_publish_rest").await?, [""; 0]);
    Ok(())
}

#[tpro_testkit::test]
async fn after_a_move_without_its_sequence_an_adopted_service_gives_out_new_ids() -> Outcome {
    let admin = database().await?.connect().await?;
    admin
        .batch_execute(
            "SELECT tpro.publish('a', 'b', 'c', sender => s) FROM generate_series(1, 5), unnest(ARRAY['main', 'analytic']) AS s;
             INSERT INTO analytic_service.mq_reply (mq_id, uid, status) VALUES (7, tpro.uuid7(), 'ok');
             -- What logical replication leaves: rows, and a sequence that has given out nothing.
             ALTER SEQUENCE main_service.mq_publish_id_seq RESTART;
             ALTER SEQUENCE analytic_service.mq_publish_id_seq RESTART;
             SELECT tpro.create_service('empty')",
        )
        .await?;
    refused_with(&admin, "23505", "SELECT tpro.publish('a', 'b', 'c', sender => 'main')").await?;
    admin.batch_execute("SELECT tpro.adopt()").await?;
    for (sender, next) in [("main", 6), ("analytic", 8), ("empty", 1)] {
        let id = admin.query_one("SELECT tpro.publish('a', 'b', 'c', sender => $1)", &[&sender]).await?;
        assert_eq!(id.try_get::<_, i64>(0)?, next, "{sender}");
    }
    // What is ahead stays ahead.
    admin
        .batch_execute("SELECT setval('main_service.mq_publish_id_seq', 100); SELECT tpro.adopt('main')")
        .await?;
    let id = admin.query_one("SELECT tpro.publish('a', 'b', 'c', sender => 'main')", &[]).await?;
    assert_eq!(id.try_get::<_, i64>(0)?, 101);
    admin.batch_execute("SELECT tpro.drop_service('empty', true)").await?;
    Ok(())
}
