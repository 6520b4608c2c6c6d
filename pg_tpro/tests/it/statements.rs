//! Plain INSERTs, as users write them.

use tpro_testkit::Outcome;

use crate::service::database;

/// To the letter, for they are how the users of the system that this one replaces write to it.
const STATEMENTS: [&str; 3] = [
    r#"INSERT INTO main_service.mq_publish (protocol,space_name,service_name,entity,method_name,timeout,headers,body)
VALUES ('jsonrpc','tpro','analytic','example','simple',15,'{"request":{"type":"single"}, "content-language":"ru-RU"}','{"ip":"172.19.0.8", "login":"login342", "password":"phnd26w"}');"#,
    r#"INSERT INTO main_service.mq_publish (protocol,space_name,service_name,entity,method_name,timeout,headers,body)
VALUES ('jsonrpc','tpro','analytic','example','request_with_parallel_queries',15,'{"request":{"type":"single"}, "content-language":"ru-RU"}','{"ip":"172.19.0.8", "login":"login3422", "password":"phnd26w"}');"#,
    r#"INSERT INTO main_service.mq_publish (protocol,space_name,service_name,entity,method_name,timeout,headers,body)
VALUES ('jsonrpc','tpro','analytic','example','request_with_parallel_queries_with_transit_on_external_service',30,'{"request":{"type":"single"}, "content-language":"ru-RU"}','{"ip":"172.19.0.8", "login":"login3422", "password":"phnd26w"}');"#,
];

#[tpro_testkit::test]
async fn the_three_statements_work_to_the_letter() -> Outcome {
    let main = database().await?.connect_as("main").await?;
    for statement in STATEMENTS {
        main.batch_execute(statement).await?;
    }
    let rows = main.query("SELECT target, status FROM main_service.mq_status ORDER BY id", &[]).await?;
    let rows: Vec<(&str, &str)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(
        rows,
        [
            ("tpro.analytic.example.simple", "waiting"),
            ("tpro.analytic.example.request_with_parallel_queries", "waiting"),
            (
                "tpro.analytic.example.request_with_parallel_queries_with_transit_on_external_service",
                "waiting"
            ),
        ]
    );
    Ok(())
}

#[tpro_testkit::test]
async fn the_latest_messages_are_read_backwards_by_their_ids() -> Outcome {
    let admin = database().await?.connect().await?;
    admin
        .batch_execute(
            "INSERT INTO main_service.mq_publish (service_name, entity, method_name) SELECT 'a', 'b', 'c' FROM generate_series(1, 20000);
             INSERT INTO main_service.mq_reply (mq_id, uid, status) SELECT id, uid, 'ok' FROM main_service.mq_publish;
             ANALYZE main_service.mq_publish; ANALYZE main_service.mq_reply",
        )
        .await?;
    let plan = "EXPLAIN (ANALYZE, TIMING off, SUMMARY off)
                SELECT id, target, status, result, age FROM main_service.mq_status ORDER BY id DESC LIMIT 3";
    let plan: Vec<String> = admin.query(plan, &[]).await?.iter().map(|row| row.get(0)).collect();
    let ran = |what: &str| plan.iter().any(|line| line.contains(what) && !line.contains("never executed"));
    assert!(!ran("Sort  (") && !ran("Seq Scan"), "{plan:#?}");
    assert!(ran("Index Scan Backward"), "{plan:#?}");
    Ok(())
}

#[tpro_testkit::test]
async fn a_row_gets_its_identity_its_transaction_and_its_trace() -> Outcome {
    let admin = database().await?.connect().await?;
    admin.batch_execute("INSERT INTO main_service.mq_publish (service_name, entity, method_name) VALUES ('a', 'b', 'c'), ('a', 'b', 'd')").await?;
    let sound = "SELECT count(*), count(DISTINCT uid), count(DISTINCT traceparent), count(DISTINCT tx)
                   FROM main_service.mq_publish
                  WHERE substr(uid::text, 15, 1) = '7' AND traceparent ~ '^00-[0-9a-f]{32}-[0-9a-f]{16}-01$'
                    AND tracestate IS NULL AND NOT direct AND protocol = 'jsonrpc' AND space_name = 'tpro'
                    AND timeout = 15 AND headers = '{}' AND body = '{}' AND pg_visible_in_snapshot(tx, pg_current_snapshot())
                    -- The time of the uid is that of the row.
                    AND abs(extract(epoch FROM created_at) * 1000
                            - ('x' || lpad(replace(left(uid::text, 13), '-', ''), 16, '0'))::bit(64)::bigint) < 1000";
    let row = admin.query_one(sound, &[]).await?;
    let counts: [i64; 4] = [row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?];
    assert_eq!(counts, [2, 2, 2, 1]);
    Ok(())
}

#[tpro_testkit::test]
async fn a_session_with_a_traceparent_continues_its_trace() -> Outcome {
    let admin = database().await?.connect().await?;
    let trace = async |setting: &str| -> Outcome<(String, Option<String>)> {
        admin.batch_execute(&format!("SET tpro.traceparent = '{setting}'")).await?;
        let row = admin.query_one("SELECT tpro.new_traceparent(), tpro.new_tracestate()", &[]).await?;
        Ok((row.try_get(0)?, row.try_get(1)?))
    };
    let (parent, state) = trace("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").await?;
    assert!(parent.starts_with("00-0af7651916cd43dd8448eb211c80319c-"), "{parent}");
    assert!(parent.ends_with("-01") && !parent.contains("b7ad6b7169203331"), "{parent}");
    assert_eq!(state.as_deref(), Some("tpro=p:b7ad6b7169203331"));
    // Not sampled stays not sampled.
    let (parent, _) = trace("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00").await?;
    assert!(parent.ends_with("-00"), "{parent}");
    // What cannot be read is no trace, and no error: it may come from a browser.
    for nonsense in ["", "nonsense", "00-00000000000000000000000000000000-b7ad6b7169203331-01"] {
        let (parent, state) = trace(nonsense).await?;
        assert!(parent.len() == 55 && !parent.contains("0af7651916cd43dd8448eb211c80319c"), "{parent}");
        assert_eq!(state, None);
    }
    Ok(())
}

#[tpro_testkit::test]
async fn a_publisher_never_fails_for_want_of_a_partition() -> Outcome {
    let admin = database().await?.connect().await?;
    for start in [999_999i64, 3_999_999, 4_000_000, 1 << 40] {
        admin.execute("SELECT setval('main_service.mq_publish_id_seq', $1, false)", &[&start]).await?;
        admin.batch_execute("SELECT tpro.publish('a', 'b', 'c', sender => 'main')").await?;
    }
    let rows =
        admin.query("SELECT tableoid::regclass::text FROM main_service.mq_publish ORDER BY id", &[]).await?;
    let parts: Vec<&str> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(
        parts,
        [
            "main_service.mq_publish_p000000000000_000001000000",
            "main_service.mq_publish_p000003000000_000004000000",
            "main_service.mq_publish_rest",
            "main_service.mq_publish_rest"
        ]
    );
    Ok(())
}

#[tpro_testkit::test]
async fn the_inbox_takes_uids_of_any_day() -> Outcome {
    let admin = database().await?.connect().await?;
    let rows = admin
        .query(
            "WITH stored AS (INSERT INTO main_service.mq_outcome (uid, run, answer)
                             SELECT u::uuid, 1, '{\"result\": 1}'
                               FROM unnest(ARRAY['00000000-0000-7000-8000-000000000000', tpro.uuid7()::text,
                                                 'ffffffff-ffff-7fff-bfff-ffffffffffff']) u
                             RETURNING tableoid)
             SELECT tableoid::regclass::text FROM stored",
            &[],
        )
        .await?;
    let parts: Vec<&str> = rows.iter().map(|row| row.get(0)).collect();
    let past = |part: &str| part.starts_with("main_service.mq_outcome_p00000000_");
    assert!(past(parts[0]) && past(parts[1]), "{parts:?}");
    assert_eq!(parts[2..], ["main_service.mq_outcome_rest"]);
    Ok(())
}
