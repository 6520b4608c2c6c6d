//! Others who write, or have written, the reply of a row that the leader is about to settle.

use serde_json::json;
use tpro_testkit::{Message, Outcome, World, eventually};

use crate::answerer::Answerer;
use crate::rogue::Rogue;

#[tpro_testkit::test]
async fn an_operator_who_has_cancelled_and_not_committed_holds_up_nobody() -> Outcome {
    let world = World::new().await?;
    let answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    let main = world.run("main").await?;
    let request = Message::to("old.thing.ask").protocol("json");
    // Nobody answers it before it is cancelled.
    let late = Message::to("late.thing.ask").protocol("json").timeout(60);
    let (kept, taken) = (world.publish(&late).await?, world.publish(&late).await?);
    let operators = [world.database.connect().await?, world.database.connect().await?];
    for (operator, id) in operators.iter().zip([kept, taken]) {
        operator.batch_execute(&format!("BEGIN; SELECT tpro.cancel({id}, 'main')")).await?;
    }
    let late = Answerer::echo(&world.nats, "tpro.late.thing.ask").await?;
    eventually("both are answered", async || Ok(late.taken() == 2)).await?;

    request.publish_many(&world.main, 500).await?;
    eventually("all others are settled", async || {
        Ok(world.count("SELECT count(*) FROM main_service.mq_reply WHERE status = 'ok'").await? == 500)
    })
    .await?;
    assert_eq!(answerer.taken(), 500, "none was sent again");
    assert_eq!(main.metric("tpro_takeovers_total").await?, 1.0, "the leader's session did not stand still");
    operators[0].batch_execute("ROLLBACK").await?;
    operators[1].batch_execute("COMMIT").await?;
    assert_eq!(world.await_reply(kept).await?.status, "ok");
    assert_eq!(world.await_reply(taken).await?.status, "cancelled");
    world.finish(&[&main]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_reply_with_a_handler_waits_for_an_operator_and_does_what_is_left() -> Outcome {
    let world = Rogue::world().await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    let noted = Message::to("old.thing.noted").from("rogue").timeout(60);
    let ids = [publish(&world, &noted).await?, publish(&world, &noted).await?];
    let operators = [world.database.connect().await?, world.database.connect().await?];
    for (operator, id) in operators.iter().zip(ids) {
        operator.batch_execute(&format!("BEGIN; SELECT tpro.cancel({id}, 'rogue')")).await?;
    }
    let _answerer = answer(&world, "tpro.old.thing.noted").await?;
    eventually("both wait for the operators", async || {
        let waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'transactionid' AND NOT granted";
        Ok(world.count(waiting).await? >= 2)
    })
    .await?;
    operators[0].batch_execute("ROLLBACK").await?;
    operators[1].batch_execute("COMMIT").await?;
    world.recon().await?;
    let statuses: Vec<String> = world.replies("rogue").await?.into_iter().map(|reply| reply.status).collect();
    assert_eq!(statuses, ["ok", "cancelled"]);
    assert_eq!(
        Rogue::effects(&world).await?,
        1,
        "the handler ran for the reply that was kept, and only for it"
    );
    world.finish(&[&rogue]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_reply_whose_message_is_another_by_now_is_not_written() -> Outcome {
    let world = Rogue::world().await?;
    // When its time is up the handler is thrown away with its connection, and the reply written anew on another.
    let rogue = world.start(Rogue::copy(&world, 1)?.env("REPLY_HANDLER_TIMEOUT", 8)).await?;
    let _answerer = answer(&world, "tpro.old.thing.hangs").await?;
    let id = publish(&world, &Message::to("old.thing.hangs").from("rogue").timeout(60)).await?;
    let handlers = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
        AND state = 'idle in transaction' AND application_name LIKE 'tpro/rogue/%/pool'";
    eventually("the handler has begun", async || Ok(world.count(handlers).await? == 1)).await?;
    // As after a failover: the id is another message's.
    world.admin.batch_execute("UPDATE rogue_service.mq_publish SET uid = tpro.uuid7()").await?;
    eventually("it is known what became of the handler", async || {
        Ok(rogue.metric("tpro_reply_handlers_total").await? >= 1.0)
    })
    .await?;
    assert_eq!(world.count("SELECT count(*) FROM rogue_service.mq_reply").await?, 0);
    world.admin.batch_execute(&format!("SELECT tpro.cancel({id}, 'rogue')")).await?;
    world.finish(&[&rogue]).await?;
    Ok(())
}

/// Publishes on behalf of `rogue`, whose reply handlers are asked for.
async fn publish(world: &World, message: &Message) -> Outcome<i64> {
    message.publish(&world.admin).await
}

/// Answers as JSON-RPC wants it.
async fn answer(world: &World, subject: &str) -> Outcome<Answerer> {
    Answerer::start(&world.nats, subject, |request| {
        json!({"jsonrpc": "2.0", "id": request["id"], "result": {}}).to_string()
    })
    .await
}
