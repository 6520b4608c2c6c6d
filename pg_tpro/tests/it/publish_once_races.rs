//! Several transactions that use one dedup key.

use std::sync::Arc;

use tokio::task::JoinHandle;
use tokio_postgres::Client;
use tpro_testkit::{Database, Outcome, Postgres, eventually};

use crate::publish_once::once;
use crate::refusal::refused_with;
use crate::service::database;

const KEY: &str = "'k', 'a', 'b', 'c'";
/// A key that is over as soon as it is held.
const OVER: &str = "'k', 'a', 'b', 'c', dedup_for => '1 microsecond'";

/// Calls on a session of its own, as others do meanwhile.
async fn other(database: &Database) -> Outcome<JoinHandle<Outcome<(i64, bool)>>> {
    let session = database.connect_as("main").await?;
    Ok(tokio::spawn(async move { once(&session, KEY).await }))
}

/// Waits until this many sessions wait for another's transaction or row.
async fn waiting(database: &Database, sessions: i64) -> Outcome {
    let admin = database.connect().await?;
    let waiters = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    eventually(&format!("{sessions} sessions wait"), async || {
        Ok(admin.query_one(waiters, &[]).await?.try_get::<_, i64>(0)? == sessions)
    })
    .await
}

/// A hundred sessions at one key, while the first has it and is not over; their answers.
async fn hundred(cluster: &Arc<Postgres>, before: &str, end: &str) -> Outcome<(i64, Vec<(i64, bool)>)> {
    let database = cluster.database().await?;
    database.create_service("main").await?;
    let first = database.connect_as("main").await?;
    first.batch_execute(before).await?;
    first.batch_execute("BEGIN").await?;
    let (id, created) = once(&first, KEY).await?;
    assert!(created);
    let mut calls = Vec::new();
    for _ in 1..100 {
        calls.push(other(&database).await?);
    }
    waiting(&database, 99).await?;
    first.batch_execute(end).await?;
    let mut answers = Vec::new();
    for call in calls {
        answers.push(call.await??);
    }
    Ok((id, answers))
}

#[tpro_testkit::test]
async fn a_hundred_sessions_at_one_key_publish_one_message() -> Outcome {
    let cluster = Postgres::own().set("max_connections", "150").start().await?;
    let over = format!("SELECT * FROM tpro.publish_once({OVER})");
    for before in ["SELECT", &over] {
        let (id, answers) = hundred(&cluster, before, "COMMIT").await?;
        assert!(answers.iter().all(|answer| *answer == (id, false)), "{id} {answers:?}");
        let (id, answers) = hundred(&cluster, before, "ROLLBACK").await?;
        assert_eq!(answers.iter().filter(|(_, created)| *created).count(), 1, "{answers:?}");
        assert!(answers.iter().all(|answer| answer.0 == answers[0].0 && answer.0 > id), "{id} {answers:?}");
    }
    Ok(())
}

#[tpro_testkit::test]
async fn nobody_waits_for_a_publisher_that_has_published_nothing() -> Outcome {
    for before in ["SELECT", &format!("SELECT * FROM tpro.publish_once({OVER})")] {
        let database = database().await?;
        let (first, second) = (database.connect_as("main").await?, database.connect_as("main").await?);
        first.batch_execute(before).await?;
        first.batch_execute("BEGIN").await?;
        let (id, created) = once(&first, KEY).await?;
        assert!(created);
        second.batch_execute("BEGIN").await?;
        let second = tokio::spawn(async move { (once(&second, KEY).await, second) });
        waiting(&database, 1).await?;
        let third = other(&database).await?;
        waiting(&database, 2).await?;
        // Another key is free.
        let fourth = database.connect_as("main").await?;
        assert!(once(&fourth, &KEY.replace("'k'", "'l'")).await?.1);
        first.batch_execute("COMMIT").await?;
        let (answer, open) = second.await?;
        assert_eq!(answer?, (id, false));
        assert_eq!(third.await??, (id, false), "while the second one's transaction is open");
        open.batch_execute("COMMIT").await?;
    }
    Ok(())
}

/// A session whose snapshot is older than what follows.
async fn earlier(database: &Database, level: &str) -> Outcome<Client> {
    let session = database.connect_as("main").await?;
    let begin = format!("BEGIN ISOLATION LEVEL {level}; SELECT FROM main_service.mq_publish");
    session.batch_execute(&begin).await?;
    Ok(session)
}

#[tpro_testkit::test]
async fn a_snapshot_of_before_is_refused_and_publishes_nothing() -> Outcome {
    let call = format!("SELECT * FROM tpro.publish_once({KEY})");
    for level in ["REPEATABLE READ", "SERIALIZABLE"] {
        // The key is new, it is over, or its row has gone meanwhile.
        for (before, meanwhile) in [("", ""), (OVER, ""), (OVER, "SELECT tpro.drop_dedup_keys('main', 10)")] {
            let database = database().await?;
            let main = database.connect_as("main").await?;
            if !before.is_empty() {
                once(&main, before).await?;
            }
            let late = earlier(&database, level).await?;
            main.batch_execute(meanwhile).await?;
            let (id, created) = once(&main, KEY).await?;
            assert!(created);
            refused_with(&late, "40001", &call).await?;
            late.batch_execute("ROLLBACK").await?;
            // A program that gets 40001 tries again, with a new snapshot.
            let again = earlier(&database, level).await?;
            assert_eq!(once(&again, KEY).await?, (id, false));
            again.batch_execute("COMMIT").await?;
            // With nobody else it publishes at these levels, too.
            let alone = earlier(&database, level).await?;
            assert!(once(&alone, &KEY.replace("'k'", "'l'")).await?.1);
            alone.batch_execute("COMMIT").await?;
        }
    }
    Ok(())
}

#[tpro_testkit::test]
async fn a_snapshot_of_before_waits_for_the_first_and_goes_on_if_that_is_rolled_back() -> Outcome {
    let database = database().await?;
    let first = database.connect_as("main").await?;
    let late = earlier(&database, "REPEATABLE READ").await?;
    first.batch_execute("BEGIN").await?;
    let (id, _) = once(&first, KEY).await?;
    let late = tokio::spawn(async move { (once(&late, KEY).await, late) });
    waiting(&database, 1).await?;
    first.batch_execute("ROLLBACK").await?;
    let (answer, late) = late.await?;
    let (next, created) = answer?;
    assert!(created && next > id);
    late.batch_execute("COMMIT").await?;
    Ok(())
}

#[tpro_testkit::test]
async fn keys_in_opposite_orders_end_as_a_deadlock_of_one_of_both() -> Outcome {
    let database = database().await?;
    let (one, two) = (database.connect_as("main").await?, database.connect_as("main").await?);
    let other_key = KEY.replace("'k'", "'l'");
    one.batch_execute("BEGIN").await?;
    two.batch_execute("BEGIN").await?;
    assert!(once(&one, KEY).await?.1 && once(&two, &other_key).await?.1);
    let publish = |arguments: &str| format!("SELECT * FROM tpro.publish_once({arguments})");
    let (first, second) = (publish(&other_key), publish(KEY));
    // Which of both PostgreSQL cancels is its choice. The other one's call ends when that is rolled back.
    let run = async |session: &Client, call: &str| {
        let ended = session.batch_execute(call).await;
        let code = ended.err().and_then(|error| error.code().map(|code| code.code().to_owned()));
        session.batch_execute(if code.is_some() { "ROLLBACK" } else { "COMMIT" }).await?;
        Outcome::Ok(code)
    };
    let (one, two) = tokio::join!(run(&one, &first), run(&two, &second));
    let ends = [one?, two?];
    assert!(ends.contains(&None) && ends.contains(&Some("40P01".to_owned())), "{ends:?}");
    let messages = "SELECT count(*) FROM main_service.mq_publish";
    assert_eq!(database.connect().await?.query_one(messages, &[]).await?.try_get::<_, i64>(0)?, 2);
    Ok(())
}

#[tpro_testkit::test]
async fn a_key_that_is_being_renewed_is_not_dropped_and_not_waited_for() -> Outcome {
    let database = database().await?;
    let (main, admin) = (database.connect_as("main").await?, database.connect().await?);
    once(&main, OVER).await?;
    main.batch_execute("BEGIN").await?;
    let (id, created) = once(&main, KEY).await?;
    assert!(created);
    let drop = "SET lock_timeout = '20s'; SELECT tpro.drop_dedup_keys('main', 10)";
    admin.batch_execute(drop).await?;
    main.batch_execute("COMMIT").await?;
    admin.batch_execute(drop).await?;
    assert_eq!(once(&main, KEY).await?, (id, false));
    Ok(())
}
