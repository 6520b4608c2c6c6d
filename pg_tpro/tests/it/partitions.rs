//! Partitions are made and dropped by functions that lose nothing, refuse no INSERT, and believe nobody who calls them.

use tokio_postgres::Client;
use tpro_testkit::{Database, Outcome, Postgres};

use crate::refusal::refused_with;
use crate::service::database;

const MAKE: &str = "SELECT tpro.make_partitions('main', $1, $2)";
const MEND: &str = "SELECT said FROM tpro.mend_partitions('main', $1, 3600)";
const FIRST: &str = "main_service.mq_publish_p000000000000_000001000000";
const TABLES: [&str; 2] = ["mq_publish", "mq_reply"];

async fn make(session: &Client, table: &str, width: i64) -> Outcome<Vec<String>> {
    Ok(session.query(MAKE, &[&table, &width]).await?.iter().map(|row| row.get(0)).collect())
}

async fn mend(session: &Client, table: &str) -> Outcome<Vec<String>> {
    Ok(session.query(MEND, &[&table]).await?.iter().map(|row| row.get(0)).collect())
}

async fn publish(session: &Client, count: i64) -> Outcome {
    let sql =
        "SELECT count(tpro.publish('a', 'b', 'c', sender => 'main')) FROM generate_series(1, $1::bigint)";
    session.query_one(sql, &[&count]).await?;
    Ok(())
}

/// Settles everything that is published, an hour ago.
async fn settle(admin: &Client) -> Outcome {
    let sql = "INSERT INTO main_service.mq_reply (mq_id, uid, status, replied_at)
        SELECT id, uid, 'ok', clock_timestamp() - interval '1 hour' FROM main_service.mq_publish ON CONFLICT DO NOTHING";
    Ok(admin.batch_execute(sql).await?)
}

/// What has become of the partition that begins with this key.
async fn drop_from(session: &Client, table: &str, low: i64) -> Outcome<String> {
    let sql = "SELECT tpro.drop_partition('main', p.part, 60) FROM tpro.partitions('main') p
        WHERE p.table_name = $1 AND p.low = $2";
    Ok(session.query_one(sql, &[&table, &low]).await?.get(0))
}

async fn count(session: &Client, sql: &str) -> Outcome<i64> {
    Ok(session.query_one(sql, &[]).await?.get(0))
}

/// The partitions of a table have no gap and no end, and none of them has a constraint that could refuse a row.
async fn sound(admin: &Client, table: &str) -> Outcome {
    let gaps = format!(
        "SELECT count(*) FROM (SELECT p.low, lag(p.high) OVER (ORDER BY p.low) AS before, p.high,
                                      lead(p.low) OVER (ORDER BY p.low) AS after
                                 FROM tpro.partitions('main') p WHERE p.table_name = '{table}') p
          WHERE p.before <> p.low OR p.after IS NULL AND p.high < 9223372036854775807"
    );
    assert_eq!(count(admin, &gaps).await?, 0, "{table}");
    let bounds = "SELECT count(*) FROM pg_constraint c WHERE c.conname = 'tpro_bound'
        OR c.contype = 'c' AND NOT c.convalidated
        OR c.contype = 'c' AND c.coninhcount = 0 AND c.conrelid IN (SELECT inhrelid FROM pg_inherits)";
    assert_eq!(count(admin, bounds).await?, 0, "{table}");
    // Each row is where its key belongs: where it is not, the key does not find it.
    let column = match table {
        "mq_publish" => "id",
        "mq_reply" => "mq_id",
        _ => return Ok(()),
    };
    let lost = format!(
        "SELECT count(*) FROM main_service.{table} t JOIN tpro.partitions('main') p ON p.part = t.tableoid
          WHERE t.{column} < p.low OR t.{column} >= p.high"
    );
    assert_eq!(count(admin, &lost).await?, 0, "{table}");
    Ok(())
}

#[tpro_testkit::test]
async fn whatever_ids_do_partitions_leave_no_gap_and_a_second_look_changes_nothing() -> Outcome {
    let database = database().await?;
    let (admin, main) = (database.connect().await?, database.connect_as("main").await?);
    // Jumps and bulks that are rolled back count as messages that wait.
    main.batch_execute("SELECT tpro.uuid7()").await?;
    admin.batch_execute("SELECT tpro.uuid7(); SET tpro.max_backlog = 0").await?;
    let mut published = 0;
    let mut state = 20_261_128_u64;
    let mut random = move |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        i64::try_from((state >> 33) % below).unwrap_or(0)
    };
    for round in 0..14 {
        match random(6) {
            0 => {
                let jump = "SELECT setval('main_service.mq_publish_id_seq', last_value + $1::bigint)
                    FROM main_service.mq_publish_id_seq";
                admin.execute(jump, &[&(1 + random(200_000))]).await?;
            }
            1 => {
                admin.batch_execute("BEGIN").await?;
                publish(&admin, 1 + random(9_000)).await?;
                admin.batch_execute("ROLLBACK").await?;
            }
            2 => settle(&admin).await?,
            _ => {
                let many = 1 + random(3_000);
                publish(&admin, many).await?;
                published += many;
            }
        }
        let width = [1_000, 1_000, 2_500, 10_000, 1_000_000][usize::try_from(random(5))?];
        // Outbox and replies need not have equal bounds: each goes its own way, or not at all this time.
        for table in TABLES {
            if random(3) == 0 {
                continue;
            }
            make(&main, table, width).await?;
            let again = make(&main, table, width).await?;
            assert!(again.is_empty(), "round {round}, {width}: {again:?}");
            assert_eq!(mend(&main, table).await?, [""; 0]);
            sound(&admin, table).await?;
        }
    }
    settle(&admin).await?;
    for table in TABLES {
        make(&main, table, 1_000).await?;
        sound(&admin, table).await?;
        assert_eq!(count(&admin, &format!("SELECT count(*) FROM main_service.{table}")).await?, published);
    }
    // The overflow partitions and those that were too wide are cut.
    let wide = "SELECT count(*) FROM tpro.partitions('main') p JOIN main_service.mq_publish_id_seq s
        ON p.high > s.last_value + 8000 AND p.high < 9223372036854775807 WHERE p.table_name IN ('mq_publish', 'mq_reply')";
    assert_eq!(count(&admin, wide).await?, 0);
    Ok(())
}

#[tpro_testkit::test]
async fn an_overflow_partition_is_cut_without_a_look_at_its_rows() -> Outcome {
    let admin = database().await?.connect().await?;
    admin.batch_execute("SELECT setval('main_service.mq_publish_id_seq', 4000000, false)").await?;
    admin.batch_execute("SELECT tpro.uuid7(); SET tpro.max_backlog = 0").await?;
    publish(&admin, 20_000).await?;
    let scanned = "SELECT coalesce(sum(seq_tup_read), 0)::bigint FROM pg_stat_xact_user_tables
        WHERE schemaname = 'main_service' AND relname ~ 'mq_publish_(rest|p000004000000_.*)$'";
    admin.batch_execute("BEGIN").await?;
    let before = count(&admin, scanned).await?;
    let said = make(&admin, "mq_publish", 1_000_000).await?;
    assert!(said[0].contains("the overflow partition had rows and is now ids from 4000000"), "{said:?}");
    assert_eq!(count(&admin, scanned).await?, before, "no row is read but by the index");
    admin.batch_execute("COMMIT").await?;
    sound(&admin, "mq_publish").await
}

#[tpro_testkit::test]
async fn nobodys_insert_is_refused_while_an_overflow_partition_waits_to_be_cut() -> Outcome {
    let database = database().await?;
    let (admin, main) = (database.connect().await?, database.connect_as("main").await?);
    admin.batch_execute("SELECT tpro.uuid7(); SET tpro.max_backlog = 0").await?;
    make(&main, "mq_publish", 1_000).await?;
    make(&main, "mq_reply", 1_000).await?;
    // Somebody reads the replies, and ids pass all that is made ahead for both.
    let reader = database.connect().await?;
    reader.batch_execute("BEGIN; SELECT 1 FROM main_service.mq_reply").await?;
    for _ in 0..4 {
        publish(&admin, 4_100).await?;
        settle(&admin).await?;
        make(&main, "mq_publish", 1_000).await?;
        refused_with(&main, "55P03", "SELECT tpro.make_partitions('main', 'mq_reply', 1000)").await?;
        sound(&admin, "mq_publish").await?;
        sound(&admin, "mq_reply").await?;
    }
    admin
        .batch_execute("SELECT setval('main_service.mq_publish_id_seq', last_value + 500000) FROM main_service.mq_publish_id_seq")
        .await?;
    publish(&admin, 1).await?;
    settle(&admin).await?;
    reader.batch_execute("COMMIT").await?;
    let said = make(&main, "mq_reply", 1_000).await?;
    assert!(said[0].contains("the overflow partition had rows"), "{said:?}");
    sound(&admin, "mq_reply").await
}

#[tpro_testkit::test]
async fn a_sequence_that_is_set_back_before_rows_that_were_rolled_back_stops_no_maintenance() -> Outcome {
    let database = database().await?;
    let (admin, main) = (database.connect().await?, database.connect_as("main").await?);
    // The jump counts as messages that wait.
    admin.batch_execute("SELECT tpro.uuid7(); SET tpro.max_backlog = 0").await?;
    let set = "SELECT setval('main_service.mq_publish_id_seq', $1::bigint, false)";
    admin.execute(set, &[&9_000_000_i64]).await?;
    admin.batch_execute("BEGIN").await?;
    publish(&admin, 1).await?;
    settle(&admin).await?;
    admin.batch_execute("ROLLBACK").await?;
    admin.execute(set, &[&1_i64]).await?;
    for table in TABLES {
        // No row is in the overflow partition, and its file is not empty.
        make(&main, table, 1_000_000).await?;
        assert_eq!(make(&main, table, 1_000_000).await?, [""; 0]);
        sound(&admin, table).await?;
    }
    publish(&admin, 1).await
}

#[tpro_testkit::test]
async fn a_bound_that_release_0_1_0_has_left_is_removed() -> Outcome {
    let database = database().await?;
    let (admin, main) = (database.connect().await?, database.connect_as("main").await?);
    admin
        .batch_execute("ALTER TABLE main_service.mq_reply_rest ADD CONSTRAINT tpro_bound CHECK (mq_id < 5000000) NOT VALID")
        .await?;
    let reader = database.connect().await?;
    reader.batch_execute("BEGIN; SELECT 1 FROM main_service.mq_reply").await?;
    let said = mend(&main, "mq_reply").await?;
    assert!(said[0].contains("open transactions use it"), "{said:?}");
    reader.batch_execute("COMMIT").await?;
    let said = mend(&main, "mq_reply").await?;
    assert!(said[0].contains("dropped constraint tpro_bound of main_service.mq_reply_rest"), "{said:?}");
    sound(&admin, "mq_reply").await
}

#[tpro_testkit::test]
async fn what_somebody_has_dropped_is_made_again() -> Outcome {
    let database = database().await?;
    let (admin, main) = (database.connect().await?, database.connect_as("main").await?);
    let gaps = [
        ("mq_publish", FIRST.to_owned(), "ids below 1000000"),
        ("mq_publish", "main_service.mq_publish_p000002000000_000003000000".to_owned(), "ids from 2000000"),
        ("mq_publish", "main_service.mq_publish_rest".to_owned(), "ids from 4000000"),
        ("mq_reply", FIRST.replace("publish", "reply"), "ids below 1000000"),
        ("mq_reply", "main_service.mq_reply_rest".to_owned(), "ids from 4000000"),
        ("mq_outcome", "main_service.mq_outcome_rest".to_owned(), "days from 2"),
    ];
    for (table, part, words) in gaps {
        admin.batch_execute(&format!("DROP TABLE {part}")).await?;
        if part == FIRST {
            refused_with(&main, "23514", "SELECT tpro.publish('a', 'b', 'c', sender => 'main')").await?;
        }
        let said = mend(&main, table).await?;
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].contains(&format!("made a partition of {table} for {words}")), "{said:?}");
        sound(&admin, table).await?;
        assert_eq!(mend(&main, table).await?, [""; 0]);
    }
    publish(&main, 1).await
}

#[tpro_testkit::test]
async fn what_is_detached_comes_back_unless_it_may_go() -> Outcome {
    let database = database().await?;
    let (admin, main) = (database.connect().await?, database.connect_as("main").await?);
    for table in TABLES {
        make(&main, table, 1_000).await?;
    }
    publish(&admin, 3_500).await?;
    settle(&admin).await?;
    let detach = async |table: &str, part: &str| -> Outcome {
        let sql = format!(
            "ALTER TABLE main_service.{table} DETACH PARTITION main_service.{table}_{part} CONCURRENTLY"
        );
        Ok(admin.batch_execute(&sql).await?)
    };
    // The current one, and the one for all that come.
    detach("mq_publish", "p000000003000_000000004000").await?;
    detach("mq_publish", "rest").await?;
    let said = mend(&main, "mq_publish").await?;
    assert!(
        said.len() == 2 && said.iter().all(|said| said.contains("again: it was detached, and is ahead")),
        "{said:?}"
    );
    // All of it is settled, as long as `keep` ago.
    detach("mq_publish", "p000000000000_000000001000").await?;
    assert_eq!(mend(&main, "mq_publish").await?, ["dropped mq_publish, ids below 1000, which was detached"]);
    // One message is unsettled: it is read by a new transaction.
    admin.batch_execute("DELETE FROM main_service.mq_reply WHERE mq_id = 1500").await?;
    detach("mq_publish", "p000000001000_000000002000").await?;
    let said = mend(&main, "mq_publish").await?;
    assert!(said[0].contains("again: it was detached, and is unsettled"), "{said:?}");
    let later = "SELECT (SELECT tx FROM main_service.mq_publish WHERE id = 1500)
        > (SELECT max(tx) FROM main_service.mq_publish WHERE id <> 1500)";
    assert!(admin.query_one(later, &[]).await?.get::<_, bool>(0));
    // Replies stay as long as their messages.
    detach("mq_reply", "p000000001000_000000002000").await?;
    let said = mend(&main, "mq_reply").await?;
    assert!(said[0].contains("attached mq_reply, ids from 1000 to below 2000, again"), "{said:?}");
    detach("mq_reply", "p000000000000_000000001000").await?;
    assert_eq!(mend(&main, "mq_reply").await?, ["dropped mq_reply, ids below 1000, which was detached"]);
    sound(&admin, "mq_publish").await?;
    sound(&admin, "mq_reply").await
}

#[tpro_testkit::test]
async fn a_partition_that_is_half_detached_is_finished() -> Outcome {
    let database = database().await?;
    let (admin, main) = (database.connect().await?, database.connect_as("main").await?);
    for table in TABLES {
        make(&main, table, 1_000).await?;
    }
    publish(&admin, 1_500).await?;
    settle(&admin).await?;
    let reader = database.connect().await?;
    reader.batch_execute("BEGIN; SELECT 1 FROM main_service.mq_publish").await?;
    admin.batch_execute("SET statement_timeout = '500ms'").await?;
    let begun = "ALTER TABLE main_service.mq_publish DETACH PARTITION main_service.mq_publish_p000000000000_000000001000 CONCURRENTLY";
    refused_with(&admin, "57014", begun).await?;
    admin.batch_execute("SET statement_timeout = 0").await?;
    let said = mend(&main, "mq_publish").await?;
    assert!(said[0].contains("is half detached: open transactions use it"), "{said:?}");
    reader.batch_execute("COMMIT").await?;
    assert_eq!(mend(&main, "mq_publish").await?, ["dropped mq_publish, ids below 1000, which was detached"]);
    sound(&admin, "mq_publish").await
}

/// A database whose first thousand ids are settled, and those after them are not.
async fn half_settled() -> Outcome<(Database, Client, Client)> {
    let database = database().await?;
    let (admin, main) = (database.connect().await?, database.connect_as("main").await?);
    for table in TABLES {
        make(&main, table, 1_000).await?;
    }
    publish(&admin, 999).await?;
    settle(&admin).await?;
    publish(&admin, 1_500).await?;
    Ok((database, admin, main))
}

#[tpro_testkit::test]
async fn only_what_is_settled_and_old_goes() -> Outcome {
    let (_database, admin, main) = half_settled().await?;
    assert_eq!(drop_from(&main, "mq_publish", 1_000).await?, "unsettled");
    assert_eq!(drop_from(&main, "mq_publish", 2_000).await?, "ahead");
    let keep = "SELECT tpro.drop_partition('main', p.part, 7200) FROM tpro.partitions('main') p
        WHERE p.table_name = 'mq_publish' AND p.low = 0";
    assert_eq!(main.query_one(keep, &[]).await?.get::<_, &str>(0), "young");
    assert_eq!(drop_from(&main, "mq_reply", 0).await?, "young", "its messages are there");
    admin.batch_execute("INSERT INTO main_service.mq_reply_fault (mq_id, handler, error) VALUES (5, 'a.b.c', 'x'), (1005, 'a.b.c', 'x')").await?;
    assert_eq!(drop_from(&main, "mq_publish", 0).await?, "dropped");
    assert_eq!(drop_from(&main, "mq_reply", 0).await?, "dropped");
    assert_eq!(count(&admin, "SELECT count(*) FROM main_service.mq_publish").await?, 1_500);
    assert_eq!(count(&admin, "SELECT min(mq_id) FROM main_service.mq_reply_fault").await?, 1_005);
    // Whatever the caller says, the inbox keeps what a repeat may ask for.
    for table in ["mq_receive", "mq_outcome"] {
        let none = format!(
            "SELECT count(*) FROM tpro.partitions('main') p WHERE p.table_name = '{table}'
                AND tpro.drop_partition('main', p.part, -1000000000) <> 'young'"
        );
        assert_eq!(count(&main, &none).await?, 0);
    }
    Ok(())
}

#[tpro_testkit::test]
async fn a_hostile_login_loses_no_unsettled_message() -> Outcome {
    let (database, admin, main) = half_settled().await?;
    // By a snapshot in which everything is settled.
    admin.batch_execute("DELETE FROM main_service.mq_reply WHERE mq_id = 7").await?;
    let old = database.connect_as("main").await?;
    admin
        .batch_execute(
            "INSERT INTO main_service.mq_reply (mq_id, uid, status, replied_at)
        SELECT id, uid, 'ok', now() - interval '1 hour' FROM main_service.mq_publish WHERE id = 7",
        )
        .await?;
    old.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM main_service.mq_reply")
        .await?;
    admin.batch_execute("DELETE FROM main_service.mq_reply WHERE mq_id = 7").await?;
    let part: u32 = main
        .query_one(
            "SELECT part FROM tpro.partitions('main') WHERE table_name = 'mq_publish' AND low = 0",
            &[],
        )
        .await?
        .get(0);
    let drop = format!("SELECT tpro.drop_partition('main', {part}, -1000)");
    refused_with(&old, "25001", &drop).await?;
    old.batch_execute("ROLLBACK").await?;
    assert_eq!(main.query_one(&drop, &[]).await?.get::<_, &str>(0), "unsettled");
    settle(&admin).await?;
    // What is about to be committed, by another session and by one that is prepared.
    let publisher = database.connect().await?;
    publisher
        .batch_execute(
            "BEGIN; INSERT INTO main_service.mq_publish (id, service_name, entity, method_name) VALUES (1000000, 'a', 'b', 'c'),
                 (0, 'a', 'b', 'c')",
        )
        .await?;
    assert_eq!(main.query_one(&drop, &[]).await?.get::<_, &str>(0), "held");
    publisher.batch_execute("PREPARE TRANSACTION 'late_in_a_partition'").await?;
    assert_eq!(main.query_one(&drop, &[]).await?.get::<_, &str>(0), "held");
    publisher.batch_execute("COMMIT PREPARED 'late_in_a_partition'").await?;
    assert_eq!(main.query_one(&drop, &[]).await?.get::<_, &str>(0), "unsettled");
    // Row security would hide rows from whoever looks; it is an error instead.
    settle(&admin).await?;
    admin
        .batch_execute(
            "ALTER TABLE main_service.mq_reply ENABLE ROW LEVEL SECURITY; ALTER TABLE main_service.mq_reply FORCE ROW LEVEL SECURITY;
             CREATE POLICY none ON main_service.mq_reply USING (false)",
        )
        .await?;
    refused_with(&main, "42501", &drop).await?;
    // A partition that is somebody else's is none of this service's.
    let theirs =
        "SELECT tpro.drop_partition('main', p.part, -1000) FROM tpro.partitions('analytic') p LIMIT 1";
    assert_eq!(main.query_one(theirs, &[]).await?.get::<_, &str>(0), "gone");
    assert_eq!(count(&admin, "SELECT count(*) FROM main_service.mq_publish").await?, 2_501);
    Ok(())
}

#[tpro_testkit::test]
async fn readers_that_overlap_do_not_keep_the_rows_for_ever() -> Outcome {
    let (database, admin, main) = half_settled().await?;
    // It has the table, but not this partition.
    let reader = database.connect().await?;
    reader.batch_execute("BEGIN; SELECT 1 FROM main_service.mq_publish WHERE id = 1500").await?;
    assert_eq!(drop_from(&main, "mq_publish", 0).await?, "emptied");
    assert_eq!(count(&admin, "SELECT count(*) FROM main_service.mq_publish").await?, 1_500);
    assert_eq!(drop_from(&main, "mq_publish", 0).await?, "held");
    reader.batch_execute("COMMIT").await?;
    assert_eq!(drop_from(&main, "mq_publish", 0).await?, "dropped");
    Ok(())
}

#[tpro_testkit::test]
async fn a_foreign_key_is_named_with_its_remedy() -> Outcome {
    let (_database, admin, main) = half_settled().await?;
    admin
        .batch_execute("CREATE TABLE public.orders (message bigint CONSTRAINT order_message REFERENCES main_service.mq_publish)")
        .await?;
    let drop = "SELECT tpro.drop_partition('main', p.part, 60) FROM tpro.partitions('main') p
        WHERE p.table_name = 'mq_publish' AND p.low = 0";
    for refused in [drop, "SELECT tpro.make_partitions('main', 'mq_publish', 2000)"] {
        let refusal = refused_with(&main, "55000", refused).await?;
        assert!(
            refusal.message.contains("foreign key order_message of table orders")
                || refusal.message.contains("foreign key order_message of table public.orders"),
            "{refusal:?}"
        );
        assert!(refusal.hint.contains("DROP CONSTRAINT order_message"), "{refusal:?}");
    }
    make(&main, "mq_reply", 2_000).await?;
    admin.batch_execute("ALTER TABLE public.orders DROP CONSTRAINT order_message").await?;
    assert_eq!(drop_from(&main, "mq_publish", 0).await?, "dropped");
    Ok(())
}

#[tpro_testkit::test]
async fn a_dump_of_a_service_whose_partitions_were_cut_is_restored() -> Outcome {
    let (database, admin, main) = half_settled().await?;
    publish(&admin, 9_000).await?;
    make(&main, "mq_publish", 1_000).await?;
    assert_eq!(drop_from(&main, "mq_publish", 0).await?, "dropped");
    let other = Postgres::own().start().await?;
    // A dump has no roles.
    other.database().await?.create_service("main").await?;
    other.database().await?.create_service("analytic").await?;
    let copy = database.restore_in(other)?;
    let restored = copy.connect().await?;
    sound(&restored, "mq_publish").await?;
    assert_eq!(count(&restored, "SELECT count(*) FROM main_service.mq_publish").await?, 10_500);
    Ok(())
}
