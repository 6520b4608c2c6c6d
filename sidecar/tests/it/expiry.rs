//! Messages that are not worth sending after a time (`expires_at`).

use tpro_testkit::{Outcome, Reply, World, eventually};

use crate::answerer::Answerer;

/// Publishes a message, or an event, that expires after so many milliseconds.
async fn publish(world: &World, timeout: i32, expires_in_ms: f64) -> Outcome<i64> {
    let insert = "INSERT INTO main_service.mq_publish
            (protocol, space_name, service_name, entity, method_name, timeout, body, expires_at)
        VALUES ('json', 'tpro', 'old', 'thing', 'ask', $1::int, '{}', clock_timestamp() + $2::float8 * interval '1 ms')
        RETURNING id";
    Ok(world.main.query_one(insert, &[&timeout, &expires_in_ms]).await?.get(0))
}

async fn has_expired(world: &World) -> Outcome {
    let open = "SELECT count(*) FROM main_service.mq_publish WHERE expires_at > clock_timestamp()";
    eventually("all have expired", async || Ok(world.count(open).await? == 0)).await
}

fn unsent(reply: &Reply) -> (&str, i64, i32) {
    (&reply.status, reply.code(), reply.attempts)
}

#[tpro_testkit::test]
async fn what_has_expired_when_it_is_read_is_not_sent() -> Outcome {
    let world = World::new().await?;
    let answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    let main = world.run("main").await?;
    for timeout in [30, 0] {
        let id = publish(&world, timeout, -1.0).await?;
        assert_eq!(unsent(&world.await_reply(id).await?), ("expired", -32003, 0), "timeout {timeout}");
    }
    let id = publish(&world, 30, 60_000.0).await?;
    world.await_reply(id).await?.ok()?;
    assert_eq!(answerer.taken(), 1);
    world.finish(&[&main]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn what_expires_between_its_read_and_its_send_is_not_sent() -> Outcome {
    let mut world = World::new().await?;
    let answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    let stall = "dispatcher.read=1*sleep(3000)->off";
    let main = world.start(world.sidecar("main")?.env("FAILPOINTS", stall)).await?;
    let transaction = world.main.transaction().await?;
    let insert = "INSERT INTO main_service.mq_publish
            (protocol, space_name, service_name, entity, method_name, timeout, body, expires_at)
        SELECT 'json', 'tpro', 'old', 'thing', 'ask', timeout, '{}', clock_timestamp() + lasts
          FROM unnest('{30,30,0}'::int[], '{1h,1s,1s}'::interval[]) AS published(timeout, lasts) RETURNING id";
    let rows = transaction.query(insert, &[]).await?;
    transaction.commit().await?;
    let mut replies = Vec::new();
    for row in rows {
        replies.push(world.await_reply(row.get(0)).await?);
    }
    let all: Vec<_> = replies.iter().map(unsent).collect();
    assert_eq!(all, [("ok", 0, 1), ("expired", -32003, 0), ("expired", -32003, 0)]);
    assert_eq!(answerer.taken(), 1);
    world.finish(&[&main]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn what_expires_in_a_takeover_may_have_run_and_ends_as_a_timeout() -> Outcome {
    let world = World::new().await?;
    let first = world.start(world.sidecar("main")?.stand_still_at("dispatcher.sent", 0)).await?;
    let id = publish(&world, 30, 2_000.0).await?;
    first.stands_still_at("dispatcher.sent").await?;
    first.kill().await?;
    has_expired(&world).await?;
    let answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    let second = world.run("main").await?;
    assert_eq!(unsent(&world.await_reply(id).await?), ("timeout", -32002, 0));
    assert_eq!(answerer.taken(), 0);
    world.finish(&[&second]).await?;
    Ok(())
}
