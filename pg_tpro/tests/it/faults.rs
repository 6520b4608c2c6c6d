//! What stands in the way of a service's tables, named with its remedy.

use tokio_postgres::Client;
use tpro_testkit::Outcome;

use crate::service::database;

/// What is done to the tables, and what is said of it.
const KINDS: &[(&str, &str)] = &[
    (
        "ALTER TABLE main_service.mq_publish ENABLE ROW LEVEL SECURITY",
        "main_service.mq_publish has row-level security",
    ),
    (
        "ALTER TABLE main_service.mq_reply FORCE ROW LEVEL SECURITY",
        "main_service.mq_reply has row-level security",
    ),
    ("CREATE POLICY mine ON main_service.mq_reply USING (true)", "main_service.mq_reply has the policy mine"),
    (
        "CREATE RULE mine AS ON INSERT TO main_service.mq_cursor DO INSTEAD NOTHING",
        "main_service.mq_cursor has the rule mine",
    ),
    (
        "CREATE TRIGGER mine BEFORE INSERT ON main_service.mq_reply FOR EACH ROW EXECUTE FUNCTION public.swallow()",
        "main_service.mq_reply has the trigger mine",
    ),
    (
        "CREATE TRIGGER mine AFTER INSERT ON main_service.mq_publish_rest EXECUTE FUNCTION public.swallow()",
        "main_service.mq_publish_rest has the trigger mine",
    ),
    ("DROP TRIGGER bell ON main_service.mq_publish", "main_service.mq_publish lacks the trigger bell"),
    (
        "ALTER TABLE main_service.mq_publish DISABLE TRIGGER bell",
        "main_service.mq_publish has the trigger bell switched off",
    ),
    (
        "ALTER TABLE main_service.mq_publish_rest DISABLE TRIGGER bell",
        "main_service.mq_publish_rest has the trigger bell switched off",
    ),
    (
        "DROP TRIGGER bell ON main_service.mq_publish;
         CREATE TRIGGER bell AFTER INSERT ON main_service.mq_publish FOR EACH STATEMENT EXECUTE FUNCTION tpro.bell()",
        "main_service.mq_publish has the trigger bell of an earlier release",
    ),
    (
        "ALTER TABLE main_service.mq_reply ADD CONSTRAINT mine CHECK (attempts < 3)",
        "main_service.mq_reply has the constraint mine",
    ),
    (
        "CREATE TABLE public.mine (id bigint REFERENCES main_service.mq_publish)",
        "main_service.mq_publish is referred to by the foreign key mine_id_fkey of public.mine",
    ),
    (
        "ALTER TABLE main_service.mq_reply ADD CONSTRAINT mine FOREIGN KEY (mq_id) REFERENCES main_service.mq_publish",
        "main_service.mq_reply has the constraint mine",
    ),
    (
        "CREATE UNIQUE INDEX mine ON main_service.mq_reply (mq_id, uid)",
        "main_service.mq_reply has the unique index",
    ),
    (
        "ALTER TABLE main_service.mq_reply ADD COLUMN mine int NOT NULL",
        "main_service.mq_reply has the column mine",
    ),
    ("ALTER TABLE main_service.mq_cursor OWNER TO postgres", "main_service.mq_cursor belongs to postgres"),
    (
        "ALTER TABLE main_service.mq_publish_rest OWNER TO main_sidecar",
        "main_service.mq_publish_rest belongs to main_sidecar",
    ),
    ("DROP TABLE main_service.mq_backlog", "main_service.mq_backlog is missing"),
    (
        "DROP TABLE main_service.mq_publish_p000001000000_000002000000",
        "main_service.mq_publish has no partition from 1000000 to 2000000",
    ),
    (
        "DROP TABLE main_service.mq_reply_rest",
        "main_service.mq_reply has no partition from 4000000 to the end",
    ),
    ("DROP TABLE main_service.mq_outcome_rest", "main_service.mq_outcome has no partition from"),
];

async fn faults(session: &Client) -> Outcome<Vec<(String, String)>> {
    let rows = session.query("SELECT thing || ' ' || problem, remedy FROM tpro.faults('main')", &[]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

#[tpro_testkit::test]
async fn each_kind_of_fault_is_named_and_its_remedy_mends_it() -> Outcome {
    let database = database().await?;
    let (admin, reader) = (database.connect().await?, database.connect_as("main").await?);
    assert_eq!(faults(&reader).await?, []);
    admin
        .batch_execute(
            "CREATE FUNCTION public.swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        )
        .await?;
    for (deed, said) in KINDS {
        admin.batch_execute("BEGIN").await?;
        admin.batch_execute(deed).await?;
        let found = faults(&admin).await?;
        assert!(found.iter().any(|(fault, _)| fault.starts_with(said)), "{deed}: {found:?}");
        // What the remedy is, if it is SQL.
        let remedies: Vec<&str> = found.iter().map(|(_, remedy)| remedy.as_str()).collect();
        if remedies
            .iter()
            .all(|remedy| ["ALTER ", "DROP ", "CREATE "].iter().any(|sql| remedy.starts_with(sql)))
        {
            for remedy in remedies {
                admin.batch_execute(remedy).await?;
            }
            assert_eq!(faults(&admin).await?, [], "{deed}");
        }
        admin.batch_execute("ROLLBACK").await?;
    }
    // A service without its bell is one all the same.
    admin.batch_execute("DROP TRIGGER bell ON main_service.mq_publish").await?;
    assert_eq!(admin.query("SELECT FROM tpro.services WHERE name = 'main'", &[]).await?.len(), 1);
    Ok(())
}

#[tpro_testkit::test]
async fn what_the_cursor_has_passed_over_is_resumed() -> Outcome {
    let admin = database().await?.connect().await?;
    let publish = "SELECT tpro.publish('a', 'b', 'c', sender => 'main') FROM generate_series(1, 4)";
    admin.batch_execute(publish).await?;
    admin
        .batch_execute(
            "INSERT INTO main_service.mq_reply (mq_id, uid, status) SELECT id, uid, 'ok' FROM main_service.mq_publish WHERE id = 1;
             UPDATE main_service.mq_cursor SET snapshot = pg_current_snapshot(), pending = '{2}'",
        )
        .await?;
    // 3 and 4 are neither settled nor pending, and no leader reads them again.
    admin.batch_execute(publish).await?;
    let resumed = admin.query_one("SELECT tpro.resume('main')", &[]).await?;
    assert_eq!(resumed.try_get::<_, i64>(0)?, 2);
    let ahead =
        "SELECT array_agg(p.id::bigint ORDER BY p.id) FROM main_service.mq_publish p, main_service.mq_cursor c
                  WHERE NOT pg_visible_in_snapshot(p.tx, c.snapshot)";
    assert_eq!(admin.query_one(ahead, &[]).await?.try_get::<_, Vec<i64>>(0)?, [3, 4, 5, 6, 7, 8]);
    assert_eq!(admin.query_one("SELECT tpro.resume('main')", &[]).await?.try_get::<_, i64>(0)?, 0);
    let waiting = admin.query_one("SELECT target, messages FROM tpro.waiting('main')", &[]).await?;
    assert_eq!((waiting.try_get::<_, &str>(0)?, waiting.try_get::<_, i64>(1)?), ("tpro.a.b.c", 7));
    Ok(())
}
