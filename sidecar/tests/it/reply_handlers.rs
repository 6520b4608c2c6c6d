//! Reply handlers that hang, more than there are connections.

use serde_json::json;
use tpro_testkit::{Message, Outcome, World, eventually};

use crate::answerer::Answerer;
use crate::rogue::Rogue;

/// Connections for handlers.
const POOL: i64 = 4;
/// Replies whose handlers hang.
const HANGING: i32 = 12;

/// Replies of the target whose handlers hang.
const SETTLED: &str =
    "SELECT count(*) FROM rogue_service.mq_reply r JOIN rogue_service.mq_publish p ON p.id = r.mq_id
    WHERE p.method_name = 'hangs'";

#[tpro_testkit::test]
async fn a_flood_of_hanging_reply_handlers_holds_up_nobody_else() -> Outcome {
    let world = Rogue::world().await?;
    let answerer = Answerer::echo(&world.nats, "tpro.old.thing.hangs").await?;
    let _others = [
        Answerer::echo(&world.nats, "tpro.old.thing.noted").await?,
        Answerer::echo(&world.nats, "tpro.old.thing.ask").await?,
    ];
    let main = world.run("main").await?;
    // Longer than the test: no handler is stopped while the others are looked at.
    let rogue = Rogue::copy(&world, 1)?.env("DB_POOL_MAX", POOL).env("REPLY_HANDLER_TIMEOUT", 3_600);
    let rogue = world.start(rogue).await?;
    ask("hangs").publish_many(&world.admin, HANGING).await?;
    eventually("all are answered", async || Ok(answerer.taken() >= HANGING as usize)).await?;
    hanging(&world).await?;

    // One without a handler, one with a handler that behaves, and one who asks this service.
    for method in ["ask", "noted"] {
        let id = ask(method).publish(&world.admin).await?;
        let settled =
            format!("SELECT count(*) FROM rogue_service.mq_reply WHERE mq_id = {id} AND status = 'ok'");
        eventually(&format!("{method} is settled"), async || Ok(world.count(&settled).await? == 1)).await?;
    }
    let noted = "SELECT count(*) FROM public.effect WHERE what = 'ok'";
    assert_eq!(world.count(noted).await?, 1, "the handler that behaves has run");
    for method in ["default.effect", "default.tx", "transactional.effect"] {
        world.ask(&Rogue::request(method, json!({}))).await?.ok()?;
    }
    assert_eq!(world.count(SETTLED).await?, 0, "their handlers hang all the while");

    // In the end they are stopped, and their replies are kept.
    rogue.kill().await?;
    let rogue = world.start(rogue.sidecar().env("REPLY_HANDLER_TIMEOUT", 1)).await?;
    world.recon().await?;
    assert_eq!(world.count(SETTLED).await?, i64::from(HANGING));
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}

fn ask(method: &str) -> Message {
    Message::to(&format!("old.thing.{method}")).from("rogue").protocol("json").timeout(600)
}

/// Waits until a handler hangs: it has made its note, and does nothing more.
async fn hanging(world: &World) -> Outcome {
    eventually("a reply handler hangs", async || {
        let noted = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
            AND application_name LIKE 'tpro/rogue/%' AND state = 'idle in transaction' AND query LIKE '%/* note */%'";
        Ok(world.count(noted).await? > 0)
    })
    .await
}
