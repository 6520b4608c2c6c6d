//! An ordering key is held when one of its messages fails, until somebody lets it go.

use std::sync::{Arc, Mutex};

use tpro_testkit::{Outcome, World, eventually};

use crate::answerer::Answerer;

/// Those behind the message wait if it fails.
const HOLD: &str = r#"{"ordering": {"on_error": "hold"}}"#;
const NOTHING: &str = "{}";

/// Publishes a message to a service that nobody runs at first.
async fn publish(world: &World, n: i32, key: &str, headers: &str) -> Outcome<i64> {
    let insert = "INSERT INTO main_service.mq_publish
            (protocol, service_name, entity, method_name, timeout, body, ordering_key, headers)
        VALUES ('json', 'late', 'thing', 'ask', 1, jsonb_build_object('n', $1::int), $2::text, ($3::text)::jsonb)
        RETURNING id::bigint";
    Ok(world.main.query_one(insert, &[&n, &key, &headers]).await?.get(0))
}

async fn status(world: &World, id: i64) -> Outcome<Option<String>> {
    let sql = "SELECT status::text FROM main_service.mq_reply WHERE mq_id = $1";
    Ok(world.admin.query_opt(sql, &[&id]).await?.map(|row| row.get(0)))
}

/// Waits until the message has failed, because nobody takes it. After a takeover it is a timeout: a
/// leader before may have sent it.
async fn fails(world: &World, id: i64) -> Outcome {
    eventually("the message has failed", async || {
        Ok(status(world, id).await?.is_some_and(|status| status == "unavailable" || status == "timeout"))
    })
    .await
}

/// A message of a key of its own, published now, has failed: the leader has had the time to send
/// others.
async fn another_fails(world: &World) -> Outcome {
    let id = publish(world, 0, "another", NOTHING).await?;
    fails(world, id).await
}

async fn is_well(world: &World, id: i64) -> Outcome {
    eventually("the message is answered", async || Ok(status(world, id).await?.as_deref() == Some("ok")))
        .await
}

async fn held(world: &World) -> Outcome<Vec<i64>> {
    let sql = "SELECT id FROM main_service.mq_hold ORDER BY id";
    Ok(world.admin.query(sql, &[]).await?.iter().map(|row| row.get(0)).collect())
}

async fn release(world: &World, key: &str) -> Outcome<i64> {
    Ok(world.admin.query_one("SELECT tpro.release($1, sender => 'main')", &[&key]).await?.get(0))
}

async fn retry(world: &World, id: i64) -> Outcome<i64> {
    Ok(world.admin.query_one("SELECT tpro.retry($1, 'main')", &[&id]).await?.get(0))
}

/// The service begins to answer. It keeps the numbers that it gets, in their order.
async fn answers(world: &World) -> Outcome<(Answerer, Arc<Mutex<Vec<i64>>>)> {
    let came = Arc::<Mutex<Vec<i64>>>::default();
    let kept = came.clone();
    let answerer = Answerer::start(&world.nats, "tpro.late.thing.ask", move |body| {
        kept.lock().expect("nobody panics").push(body["n"].as_i64().unwrap_or_default());
        body.to_string()
    })
    .await?;
    Ok((answerer, came))
}

#[tpro_testkit::test]
async fn those_behind_one_that_failed_wait_until_the_key_is_released_also_through_takeovers() -> Outcome {
    let world = World::options().services(&["main"]).start().await?;
    let main = world.run("main").await?;
    let failed = publish(&world, 1, "a", HOLD).await?;
    let behind = publish(&world, 2, "a", NOTHING).await?;
    fails(&world, failed).await?;
    another_fails(&world).await?;
    assert_eq!((status(&world, behind).await?, held(&world).await?), (None, vec![failed]));
    main.kill().await?;
    let main = world.run("main").await?;
    another_fails(&world).await?;
    assert_eq!(main.metric("tpro_held_keys").await?, 1.0);
    let (_answerer, came) = answers(&world).await?;
    let last = publish(&world, 3, "a", NOTHING).await?;
    is_well(&world, publish(&world, 4, "b", NOTHING).await?).await?;
    assert_eq!((status(&world, behind).await?, status(&world, last).await?), (None, None));
    assert_eq!(release(&world, "b").await?, 0, "another key");
    assert_eq!(release(&world, "a").await?, 1);
    is_well(&world, last).await?;
    assert_eq!(*came.lock().expect("nobody panics"), [4, 2, 3]);
    assert_eq!((release(&world, "a").await?, held(&world).await?), (0, vec![]));
    assert_eq!(main.metric("tpro_held_keys").await?, 0.0);
    main.stop().await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_retry_goes_first_and_lets_the_key_go_when_it_ends_well() -> Outcome {
    let world = World::options().services(&["main"]).start().await?;
    let main = world.run("main").await?;
    let failed = publish(&world, 1, "a", HOLD).await?;
    let behind = publish(&world, 2, "a", HOLD).await?;
    fails(&world, failed).await?;
    let copy = retry(&world, failed).await?;
    fails(&world, copy).await?;
    another_fails(&world).await?;
    assert_eq!((status(&world, behind).await?, held(&world).await?), (None, vec![failed, copy]));
    let (_answerer, came) = answers(&world).await?;
    let second = retry(&world, copy).await?;
    is_well(&world, behind).await?;
    assert_eq!(*came.lock().expect("nobody panics"), [1, 2]);
    assert_eq!(status(&world, second).await?.as_deref(), Some("ok"));
    assert_eq!(held(&world).await?, [0; 0]);
    main.stop().await?;
    Ok(())
}

#[tpro_testkit::test]
async fn the_transaction_of_a_reply_handler_holds_the_key_as_well() -> Outcome {
    let world = World::options().services(&["main"]).start().await?;
    world
        .admin
        .batch_execute(
            "CREATE FUNCTION public.odd(reply tpro.reply_row) RETURNS void LANGUAGE plpgsql AS
                $$ BEGIN IF reply.status <> 'ok' THEN RAISE EXCEPTION 'odd'; END IF; END $$",
        )
        .await?;
    let main = world.run("main").await?;
    let on_reply = "INSERT INTO main_service.mq_publish
            (protocol, service_name, entity, method_name, timeout, body, ordering_key, headers, on_reply)
        VALUES ('json', 'late', 'thing', 'ask', 1, '{\"n\": 1}', 'a', ($1::text)::jsonb, 'public.odd')
        RETURNING id::bigint";
    let failed = world.admin.query_one(on_reply, &[&HOLD]).await?.get(0);
    let behind = publish(&world, 2, "a", NOTHING).await?;
    fails(&world, failed).await?;
    another_fails(&world).await?;
    let faults = "SELECT count(*) FROM main_service.mq_reply_fault";
    assert_eq!(world.count(faults).await?, 1, "the function has failed, too");
    assert_eq!((status(&world, behind).await?, held(&world).await?), (None, vec![failed]));
    let (_answerer, came) = answers(&world).await?;
    let copy = retry(&world, failed).await?;
    is_well(&world, behind).await?;
    assert_eq!(*came.lock().expect("nobody panics"), [1, 2]);
    assert_eq!(status(&world, copy).await?.as_deref(), Some("ok"));
    assert_eq!(held(&world).await?, [0; 0]);
    main.stop().await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_cancel_holds_no_key_and_one_that_continues_holds_none_either() -> Outcome {
    let world = World::options().services(&["main"]).start().await?;
    let cancelled = publish(&world, 1, "a", HOLD).await?;
    let went_on = publish(&world, 2, "a", r#"{"ordering": {"on_error": "continue"}}"#).await?;
    let behind = publish(&world, 3, "a", HOLD).await?;
    world.admin.execute("SELECT tpro.cancel($1, 'main')", &[&cancelled]).await?;
    let main = world.run("main").await?;
    fails(&world, went_on).await?;
    fails(&world, behind).await?;
    eventually("its hold is there", async || Ok(held(&world).await? == [behind])).await?;
    main.stop().await?;
    Ok(())
}
