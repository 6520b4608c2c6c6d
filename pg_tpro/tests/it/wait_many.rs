//! `tpro.wait_all` and `tpro.wait_any`.

use tokio_postgres::Client;
use tpro_testkit::{Database, Outcome};

use crate::refusal::refused_with;
use crate::service::database;
use crate::wait::somebody_waits;

/// Publishes so many messages.
async fn published(main: &Client, messages: i32) -> Outcome<Vec<i64>> {
    let publish = "SELECT tpro.publish_many((SELECT jsonb_agg('{}'::jsonb) FROM generate_series(1, $1)), 'a', 'b', 'c')";
    Ok(main.query(publish, &[&messages]).await?.iter().map(|row| row.get(0)).collect())
}

/// Settles these messages, as the dispatcher does.
async fn settle(database: &Database, ids: &[i64]) -> Outcome {
    let settle = "INSERT INTO main_service.mq_reply (mq_id, uid, status, result, attempts, responder)
                  SELECT id, uid, 'ok', jsonb_build_object('id', id), 1, 'a/1.0/1'
                    FROM main_service.mq_publish WHERE id = ANY ($1)";
    assert_eq!(database.connect().await?.execute(settle, &[&ids]).await?, ids.len() as u64);
    Ok(())
}

/// The ids of the replies that a call returns.
async fn replied(main: &Client, call: &str, ids: &[i64], timeout: i32) -> Outcome<Vec<i64>> {
    let call = format!("SELECT id, (result->>'id')::bigint = id AND status = 'ok' FROM tpro.{call}($1, $2)");
    let rows = main.query(&call, &[&ids, &timeout]).await?;
    assert!(rows.iter().all(|row| row.get(1)), "each reply is that of its message");
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

#[tpro_testkit::test]
async fn all_are_waited_for_and_come_in_the_order_of_the_ids() -> Outcome {
    let database = database().await?;
    let main = database.connect_as("main").await?;
    let ids = published(&main, 3).await?;
    settle(&database, &ids[..1]).await?;
    let asked = vec![ids[2], ids[0], ids[1], ids[0]];
    let waiting = tokio::spawn(async move { replied(&main, "wait_all", &asked, 60).await });
    somebody_waits(&database).await?;
    settle(&database, &ids[1..]).await?;
    assert_eq!(waiting.await??, [ids[2], ids[0], ids[1]]);
    Ok(())
}

#[tpro_testkit::test]
async fn any_returns_with_the_first() -> Outcome {
    let database = database().await?;
    let main = database.connect_as("main").await?;
    let ids = published(&main, 3).await?;
    let asked = ids.clone();
    let waiting = tokio::spawn(async move { (replied(&main, "wait_any", &asked, 60).await, main) });
    somebody_waits(&database).await?;
    settle(&database, &ids[1..2]).await?;
    let (first, main) = waiting.await?;
    assert_eq!(first?, [ids[1]]);
    let rest = [ids[0], ids[2]];
    assert!(replied(&main, "wait_any", &rest, 0).await?.is_empty());
    Ok(())
}

#[tpro_testkit::test]
async fn at_the_limit_all_returns_those_that_have_come() -> Outcome {
    let database = database().await?;
    let main = database.connect_as("main").await?;
    let ids = published(&main, 3).await?;
    settle(&database, &ids[1..2]).await?;
    assert_eq!(replied(&main, "wait_all", &ids, 1).await?, [ids[1]]);
    for call in ["wait_all", "wait_any"] {
        assert!(replied(&main, call, &[], 60).await?.is_empty(), "nothing is waited for");
    }
    Ok(())
}

#[tpro_testkit::test]
async fn a_reply_that_could_never_come_is_told() -> Outcome {
    let database = database().await?;
    let main = database.connect_as("main").await?;
    let id = published(&main, 1).await?[0];
    for call in ["wait_all", "wait_any"] {
        let refusal =
            refused_with(&main, "P0002", &format!("SELECT FROM tpro.{call}(ARRAY[{id}, 4711])")).await?;
        assert!(refusal.message.contains("4711"), "{refusal:?}");
        let own = format!(
            "BEGIN; SELECT FROM tpro.{call}(ARRAY[{id}, tpro.publish('a', 'b', 'c'), tpro.publish('a', 'b', 'c')])"
        );
        let refusal = refused_with(&main, "25001", &own).await?;
        assert!(refusal.hint.contains("COMMIT first"), "{refusal:?}");
        main.batch_execute("ROLLBACK").await?;
        let level = format!("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT FROM tpro.{call}(ARRAY[{id}])");
        refused_with(&main, "25001", &level).await?;
        main.batch_execute("ROLLBACK").await?;
        for bad in ["NULL", "ARRAY[1, NULL]", "ARRAY[[1], [2]]", "ARRAY[1], -1", "ARRAY[1], NULL"] {
            refused_with(&main, "22023", &format!("SELECT FROM tpro.{call}({bad})")).await?;
        }
        let nobody = format!("SELECT FROM tpro.{call}(ARRAY[1], sender => 'nobody')");
        refused_with(&main, "3F000", &nobody).await?;
    }
    // The rights are those of reading replies.
    let analytic = database.connect_as("analytic").await?;
    refused_with(&analytic, "42501", "SELECT FROM tpro.wait_all(ARRAY[1], sender => 'main')").await?;
    Ok(())
}
