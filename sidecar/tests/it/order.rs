//! Messages with an ordering key go one after the other, also when senders and targets are killed.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::{Value, json};
use tokio_postgres::Client;
use tpro_testkit::eventually::eventually_within;
use tpro_testkit::{Outcome, SidecarProcess, World, eventually};

use crate::answerer::Answerer;
use crate::copies::leader;
use crate::rogue::Rogue;

/// Makes the order of effects visible.
const NUMBERED: &str = "ALTER TABLE public.effect ADD COLUMN n bigint GENERATED ALWAYS AS IDENTITY";

/// The longest wait for a step.
const PATIENCE: Duration = Duration::from_secs(120);

/// Effects whose message has a lesser id than that of the effect before, of the same key.
const BROKEN: &str = "SELECT count(*) FROM (
    SELECT p.id, max(p.id) OVER (PARTITION BY p.ordering_key ORDER BY e.n ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS last
      FROM public.effect e JOIN main_service.mq_publish p ON p.uid = e.uid
     WHERE p.ordering_key IS NOT NULL) o WHERE last > id";

/// Publishes so many messages to the method, in transactions of their own, with this key.
async fn publish(session: &Client, method: &str, count: i32, key: &str, body: &Value) -> Outcome {
    let [service, entity, method] = [0, 1, 2].map(|at| method.split('.').nth(at).unwrap_or_default());
    let insert = "INSERT INTO main_service.mq_publish
            (protocol, service_name, entity, method_name, timeout, body, ordering_key, priority)
        VALUES ('json', $1::text, $2::text, $3::text, 60, ($4::text)::jsonb || jsonb_build_object('n', $5::int), $6::text, $5::int % 4)";
    let statement = session.prepare(insert).await?;
    for n in 1..=count {
        session.execute(&statement, &[&service, &entity, &method, &body.to_string(), &n, &key]).await?;
    }
    Ok(())
}

/// The numbers that an answerer has got, in their order.
type Came = Arc<Mutex<Vec<i64>>>;

async fn recorder(world: &World) -> Outcome<(Answerer, Came)> {
    let came = Came::default();
    let kept = came.clone();
    let answerer = Answerer::start(&world.nats, "tpro.old.thing.ask", move |body| {
        kept.lock().expect("nobody panics").push(body["n"].as_i64().unwrap_or_default());
        body.to_string()
    })
    .await?;
    Ok((answerer, came))
}

fn taken(came: &Came) -> Vec<i64> {
    came.lock().expect("nobody panics").clone()
}

async fn is_settled(world: &World) -> Outcome<bool> {
    let open = "SELECT count(*) FROM main_service.mq_publish p
        WHERE NOT EXISTS (SELECT FROM main_service.mq_reply r WHERE r.mq_id = p.id)";
    Ok(world.count(open).await? == 0)
}

#[tpro_testkit::test]
async fn messages_of_one_key_come_in_order_beside_others_whatever_their_priority() -> Outcome {
    let world = World::options().services(&["main"]).start().await?;
    let (_answerer, came) = recorder(&world).await?;
    let main = world.run("main").await?;
    publish(&world.main, "old.thing.ask", 60, "a", &json!({})).await?;
    // Nobody answers them: they hold up their own key only.
    publish(&world.main, "nobody.thing.ask", 2, "b", &json!({})).await?;
    publish(&world.main, "old.thing.ask", 20, "a", &json!({})).await?;
    eventually("all of the first key are settled", async || {
        let replies = "SELECT count(*) FROM main_service.mq_reply WHERE status = 'ok'";
        Ok(world.count(replies).await? == 80)
    })
    .await?;
    let expected: Vec<i64> = (1..=60).chain(1..=20).collect();
    assert_eq!(taken(&came), expected);
    assert_eq!(main.metric("tpro_waiting").await?, 1.0, "one waits behind the one that nobody takes");
    main.kill().await?;
    Ok(())
}

#[tpro_testkit::test]
async fn one_that_is_committed_first_goes_first_though_its_transaction_is_the_newer_one() -> Outcome {
    let world = World::options().services(&["main"]).start().await?;
    let (_answerer, came) = recorder(&world).await?;
    // Its number as a transaction is the lesser one, and its message is the second.
    let old = world.database.connect().await?;
    old.batch_execute("BEGIN; SELECT pg_current_xact_id()").await?;
    publish(&world.main, "old.thing.ask", 1, "a", &json!({})).await?;
    publish(&old, "old.thing.ask", 2, "a", &json!({})).await?;
    old.batch_execute("COMMIT").await?;
    let main = world.run("main").await?;
    eventually("all are settled", async || is_settled(&world).await).await?;
    assert_eq!(taken(&came), [1, 1, 2]);
    let first: i64 =
        world.main.query_one("SELECT min(id)::bigint FROM main_service.mq_publish", &[]).await?.get(0);
    let by_transaction = "SELECT id::bigint FROM main_service.mq_publish ORDER BY tx, id LIMIT 1";
    assert_ne!(
        world.main.query_one(by_transaction, &[]).await?.get::<_, i64>(0),
        first,
        "the test tests that"
    );
    main.stop().await?;
    Ok(())
}

/// Kills leaders and copies of the target in turn, so many of each, while messages of some keys are
/// on their way; each has its effect once and in order.
async fn through_kills(keys: i32, each: i32, kills: u32) -> Outcome {
    let world = Rogue::world().await?;
    world.admin.batch_execute(NUMBERED).await?;
    let mut mains = Vec::new();
    for copy in [1, 2] {
        mains.push(world.start(world.sidecar("main")?.copy(copy).env("LEAD_INTERVAL_MS", 50)).await?);
    }
    let mut rogues =
        vec![world.start(Rogue::copy(&world, 1)?).await?, world.start(Rogue::copy(&world, 2)?).await?];
    for key in 0..keys {
        publish(&world.main, "rogue.transactional.effect", each, &format!("key {key}"), &json!({})).await?;
    }
    let (all, mut killed) = (i64::from(keys) * i64::from(each), 0);
    while killed < kills {
        let step = all * i64::from(killed + 1) / i64::from(kills + 1);
        eventually_within(PATIENCE, "some have their effect", async || {
            Ok((Rogue::effects(&world).await? >= step).then_some(()))
        })
        .await?;
        let leads = leader(&world).await?;
        let at = usize::try_from(leads).unwrap_or(1) - 1;
        again(&world, &mut mains[at]).await?;
        again(&world, &mut rogues[killed as usize % 2]).await?;
        killed += 1;
    }
    eventually_within(PATIENCE, "all are settled", async || Ok(is_settled(&world).await?.then_some(())))
        .await?;
    assert_eq!(Rogue::effects(&world).await?, all, "each once");
    assert_eq!(world.count(BROKEN).await?, 0, "in order");
    let alive: Vec<&Arc<SidecarProcess>> = mains.iter().chain(&rogues).collect();
    world.finish(&alive).await?;
    Ok(())
}

/// Kills a copy and starts it again.
async fn again(world: &World, copy: &mut Arc<SidecarProcess>) -> Outcome {
    let sidecar = copy.sidecar();
    copy.kill().await?;
    *copy = world.start(sidecar).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn messages_of_a_key_have_their_effects_in_order_through_kills_of_both_sides() -> Outcome {
    through_kills(3, 60, 2).await
}

#[ignore = "slow: make faults"]
#[tpro_testkit::test]
async fn ten_thousand_messages_of_a_key_come_in_order_through_ten_kills_of_both_sides() -> Outcome {
    through_kills(1, 10_000, 10).await
}
