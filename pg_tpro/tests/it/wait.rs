//! `tpro.wait`, `tpro.reply`, `tpro.request`, `tpro.trace_id`.

use std::time::{Duration, Instant};

use tokio_postgres::{Client, NoTls, SimpleQueryMessage};
use tpro_testkit::{Database, Outcome, eventually};

use crate::refusal::refused_with;
use crate::service::database;

const PUBLISH: &str = "SELECT tpro.publish('a', 'b', 'c')";

async fn publish(session: &Client) -> Outcome<i64> {
    Ok(session.query_one(PUBLISH, &[]).await?.try_get(0)?)
}

/// What the dispatcher will do: settle the message.
async fn settle(database: &Database, id: i64) -> Outcome {
    let admin = database.connect().await?;
    let settle = "INSERT INTO main_service.mq_reply (mq_id, uid, status, result, attempts, responder)
                  SELECT id, uid, 'ok', '{\"n\": 7}', 1, 'a/1.0/1' FROM main_service.mq_publish WHERE id = $1";
    assert_eq!(admin.execute(settle, &[&id]).await?, 1);
    Ok(())
}

/// Waits until another session waits for a reply, so that what follows happens meanwhile.
pub async fn somebody_waits(database: &Database) -> Outcome {
    let admin = database.connect().await?;
    let waiting = "SELECT EXISTS (SELECT FROM pg_stat_activity
                                   WHERE datname = current_database() AND wait_event = 'PgSleep')";
    eventually("somebody waits", async || Ok(admin.query_one(waiting, &[]).await?.try_get(0)?)).await
}

#[tpro_testkit::test]
async fn it_returns_the_reply_that_comes_meanwhile() -> Outcome {
    let database = database().await?;
    let main = database.connect_as("main").await?;
    let id = publish(&main).await?;
    assert!(main.query_opt("SELECT FROM tpro.reply($1)", &[&id]).await?.is_none());
    let waiting = tokio::spawn(async move {
        let row = main
            .query_one("SELECT status, result->>'n', attempts, responder FROM tpro.wait($1)", &[&id])
            .await;
        (main, row)
    });
    somebody_waits(&database).await?;
    settle(&database, id).await?;
    let (main, row) = waiting.await?;
    let row = row?;
    assert_eq!(
        (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?),
        ("ok", "7", 1i32, "a/1.0/1")
    );
    assert_eq!(
        main.query_one("SELECT status FROM tpro.reply($1)", &[&id]).await?.try_get::<_, &str>(0)?,
        "ok"
    );
    Ok(())
}

#[tpro_testkit::test]
async fn it_returns_no_row_at_the_limit() -> Outcome {
    let main = database().await?.connect_as("main").await?;
    let id = publish(&main).await?;
    let begun = Instant::now();
    assert!(main.query_opt("SELECT FROM tpro.wait($1, 1)", &[&id]).await?.is_none());
    assert!(begun.elapsed() >= Duration::from_secs(1), "{:?}", begun.elapsed());
    assert!(main.query_opt("SELECT FROM tpro.wait($1, 0)", &[&id]).await?.is_none());
    refused_with(&main, "22023", &format!("SELECT FROM tpro.wait({id}, -1)")).await?;
    refused_with(&main, "22023", &format!("SELECT FROM tpro.wait({id}, NULL)")).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn it_says_so_where_the_reply_could_never_come() -> Outcome {
    let main = database().await?.connect_as("main").await?;
    let refusal =
        refused_with(&main, "25001", "BEGIN; SELECT FROM tpro.wait(tpro.publish('a', 'b', 'c'))").await?;
    assert!(refusal.hint.contains("COMMIT first"), "{refusal:?}");
    main.batch_execute("ROLLBACK").await?;
    // Also when a savepoint has its own transaction id.
    refused_with(&main, "25001", &format!("BEGIN; SAVEPOINT s; {PUBLISH}; SELECT FROM tpro.wait(2)")).await?;
    main.batch_execute("ROLLBACK").await?;
    let id = publish(&main).await?;
    for level in ["REPEATABLE READ", "SERIALIZABLE"] {
        let wait = format!("BEGIN ISOLATION LEVEL {level}; SELECT FROM tpro.wait({id})");
        let refusal = refused_with(&main, "25001", &wait).await?;
        assert!(refusal.hint.contains("READ COMMITTED"), "{refusal:?}");
        main.batch_execute("ROLLBACK").await?;
    }
    for function in ["wait", "reply", "trace_id"] {
        let refusal = refused_with(&main, "P0002", &format!("SELECT FROM tpro.{function}(4711)")).await?;
        assert!(refusal.hint.contains("COMMIT that first"), "{refusal:?}");
        refused_with(&main, "3F000", &format!("SELECT FROM tpro.{function}(1, sender => 'nobody')")).await?;
        refused_with(&main, "55000", &format!("SET tpro.sender = ''; SELECT FROM tpro.{function}(1)"))
            .await?;
        main.batch_execute("RESET tpro.sender").await?;
    }
    Ok(())
}

#[tpro_testkit::test]
async fn it_can_be_cancelled() -> Outcome {
    let database = database().await?;
    let main = database.connect_as("main").await?;
    let id = publish(&main).await?;
    let cancel = main.cancel_token();
    let waiting = tokio::spawn(async move {
        refused_with(&main, "57014", &format!("SELECT FROM tpro.wait({id}, 60)")).await
    });
    somebody_waits(&database).await?;
    cancel.cancel_query(NoTls).await?;
    waiting.await??;
    Ok(())
}

#[tpro_testkit::test]
async fn a_request_publishes_commits_and_waits() -> Outcome {
    let database = database().await?;
    let main = database.connect_as("main").await?;
    // By the simple protocol, which shows values as text.
    let asking =
        tokio::spawn(
            async move { main.simple_query("CALL tpro.request('a', 'b', 'c', '{\"x\": 1}')").await },
        );
    let admin = database.connect().await?;
    // It is committed before anybody answers.
    eventually("the request is published", async || {
        Ok(admin.query_opt("SELECT FROM main_service.mq_publish WHERE id = 1", &[]).await?.is_some())
    })
    .await?;
    settle(&database, 1).await?;
    let reply = asking.await??.into_iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    });
    assert_eq!(reply.as_deref(), Some(r#"{"id": 1, "error": null, "result": {"n": 7}, "status": "ok"}"#));
    Ok(())
}

#[tpro_testkit::test]
async fn a_request_that_could_not_see_its_reply_publishes_nothing() -> Outcome {
    let database = database().await?;
    let main = database.connect_as("main").await?;
    refused_with(&main, "2D000", "BEGIN; CALL tpro.request('a', 'b', 'c')").await?;
    main.batch_execute("ROLLBACK").await?;
    main.batch_execute("SET default_transaction_isolation = 'repeatable read'").await?;
    refused_with(&main, "25001", "CALL tpro.request('a', 'b', 'c')").await?;
    let all = "SELECT count(*) FROM main_service.mq_publish";
    assert_eq!(database.connect().await?.query_one(all, &[]).await?.try_get::<_, i64>(0)?, 0);
    Ok(())
}

#[tpro_testkit::test]
async fn the_trace_of_a_message_is_known() -> Outcome {
    let main = database().await?.connect_as("main").await?;
    main.batch_execute("SELECT tpro.uuid7(); SET tpro.traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'").await?;
    let id = publish(&main).await?;
    let trace: String = main.query_one("SELECT tpro.trace_id($1)", &[&id]).await?.try_get(0)?;
    assert_eq!(trace, "0af7651916cd43dd8448eb211c80319c");
    Ok(())
}
