//! What is too much for the server in between.

use tpro_testkit::{Message, Nats, Outcome, World, eventually};

use crate::answerer::Answerer;
use crate::cancels::Silent;

#[tpro_testkit::test]
async fn a_nats_server_that_takes_less_than_a_body_makes_the_copy_not_ready() -> Outcome {
    let nats = Nats::options().line("max_payload: 65536");
    let world = World::options().services(&["main"]).nats(nats).start().await?;
    let main = world.spawn(world.sidecar("main")?)?;
    eventually("it says what is to be changed", async || {
        let Ok(ready) = main.get("/readyz").await else { return Ok(false) };
        Ok(ready.status == 503 && ready.body.contains("max_payload") && ready.body.contains("65536"))
    })
    .await?;
    world.finish(&[&main]).await?;
    Ok(())
}
#[tpro_testkit::test]
async fn a_target_that_takes_everything_and_never_answers_gets_half_and_another_is_answered_at_once()
-> Outcome {
    const IN_FLIGHT: usize = 64;
    let world = World::options().services(&["main"]).start().await?;
    let answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    let silent = Silent::on(&world, "tpro.deaf.thing.ask").await?;
    let main = world.sidecar("main")?.env("IN_FLIGHT_MAX", IN_FLIGHT).env("ATTEMPT_TIMEOUT_MS", 600_000);
    let main = world.start(main).await?;
    let request = |target: &str| Message::to(target).protocol("json").timeout(3_600);
    request("deaf.thing.ask").publish_many(&world.main, 2_000).await?;
    eventually("all are known, and the rest of them waits", async || {
        Ok(main.metric("tpro_unsettled").await? == 2_000.0 && main.metric("tpro_waiting").await? > 1_900.0)
    })
    .await?;
    for _ in 0..100 {
        let reply = world.ask(&request("old.thing.ask")).await?;
        assert_eq!((reply.status.as_str(), reply.attempts), ("ok", 1), "{reply:?}");
        assert!(main.metric("tpro_in_flight").await? <= IN_FLIGHT as f64);
    }
    assert_eq!(answerer.taken(), 100);
    // A lane may hold no more than what is still free, so that there is room for the next.
    assert_eq!(silent.taken().len(), IN_FLIGHT / 2, "it got more than its share, or not all of it");
    let cancel = "SELECT count(*) FILTER (WHERE tpro.cancel(p.id, 'main')) FROM main_service.mq_publish p
        WHERE p.service_name = 'deaf'";
    assert_eq!(world.count(cancel).await?, 2_000);
    world.finish(&[&main]).await?;
    Ok(())
}
