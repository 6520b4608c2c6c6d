//! What is under way when a connection to NATS is lost: it is sent again at once, and nobody waits for the patience with an
//! attempt to end.

use std::time::Instant;

use serde_json::{Value, json};
use tpro_testkit::proxy::Fault;
use tpro_testkit::{Message, Outcome, Proxy, Sidecar, World, eventually, heard};

use crate::cancels::Silent;
use crate::rogue::Rogue;

/// More patience with an attempt than any test has.
const PATIENCE_MS: u32 = 600_000;

#[tpro_testkit::test]
async fn what_a_leader_has_under_way_is_sent_again_when_its_connection_is_made_anew() -> Outcome {
    let world = Rogue::world().await?;
    let line = Proxy::start(world.nats.port()).await?;
    let main = world.start(through(&line, world.sidecar("main")?)).await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    let lock = Rogue::hold(&world).await?;
    let request = Rogue::request("transactional.effect", Rogue::held()).timeout(600);
    request.publish_many(&world.main, 5).await?;
    Rogue::waiting(&world, 5).await?;

    // What the handlers answer meanwhile goes nowhere.
    line.set(Fault::Reset);
    eventually("it is lost", async || Ok(main.metric("tpro_nats_disconnects_total").await? > 0.0)).await?;
    drop(lock);
    eventually("all have their effect", async || Ok(Rogue::effects(&world).await? == 5)).await?;
    line.set(Fault::None);

    world.recon().await?;
    for reply in world.replies("main").await? {
        assert_eq!(reply.status.as_str(), "ok", "{reply:?}");
    }
    assert_eq!(main.metric("tpro_silent_total").await?, 0.0, "no patience has ended");
    assert_eq!(Rogue::effects(&world).await?, 5);
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_service_that_is_back_has_what_its_lost_connection_held_sent_again() -> Outcome {
    let world = Rogue::world().await?;
    let line = Proxy::start(world.nats.port()).await?;
    let main = world.start(world.sidecar("main")?.env("ATTEMPT_TIMEOUT_MS", PATIENCE_MS)).await?;
    let rogue = world.start(through(&line, Rogue::copy(&world, 1)?)).await?;

    line.set(Fault::BlackHole);
    Rogue::request("transactional.effect", json!({})).timeout(600).publish_many(&world.main, 20).await?;
    eventually("they are sent", async || Ok(main.metric("tpro_sent_total").await? >= 20.0)).await?;
    line.set(Fault::Reset);
    line.set(Fault::None);

    world.recon().await?;
    for reply in world.replies("main").await? {
        assert_eq!(reply.status.as_str(), "ok", "{reply:?}");
    }
    assert_eq!(main.metric("tpro_silent_total").await?, 0.0, "no patience has ended");
    assert_eq!(Rogue::effects(&world).await?, 20);
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_handlers_call_is_sent_again_when_either_connection_is_made_anew() -> Outcome {
    let world = World::options().services(&["main", "rogue", "caller"]).start().await?;
    world.admin.batch_execute(Rogue::EFFECTS).await?;
    let (of_caller, of_rogue) =
        (Proxy::start(world.nats.port()).await?, Proxy::start(world.nats.port()).await?);
    let main = world.start(world.sidecar("main")?.env("ATTEMPT_TIMEOUT_MS", PATIENCE_MS)).await?;
    let program = tpro_testkit::paths::rogue()?;
    let caller = world.start(through(&of_caller, world.sidecar_of("caller", program))).await?;
    let rogue = world.start(through(&of_rogue, Rogue::copy(&world, 1)?)).await?;
    let call = |body: Value| {
        let body = json!({"target": "tpro.rogue.default.effect", "body": body});
        Message::to("caller.default.call").body(body).timeout(600)
    };

    // The caller's: the answers to its calls are lost.
    let lock = Rogue::hold(&world).await?;
    let id = world.publish(&call(Rogue::held())).await?;
    // It calls twice at once.
    Rogue::waiting(&world, 2).await?;
    of_caller.set(Fault::Reset);
    eventually("it is lost", async || Ok(caller.metric("tpro_nats_disconnects_total").await? > 0.0)).await?;
    drop(lock);
    eventually("both are done", async || Ok(Rogue::effects(&world).await? == 2)).await?;
    of_caller.set(Fault::None);
    let reply = world.await_reply(id).await?;
    assert_eq!(reply.status, "ok", "{reply:?}");
    caller.ready().await?;

    // The other's: the calls are lost.
    of_rogue.set(Fault::BlackHole);
    let id = world.publish(&call(json!({}))).await?;
    eventually("both wait", async || Ok(caller.metric("tpro_calls_waiting").await? == 2.0)).await?;
    of_rogue.set(Fault::Reset);
    of_rogue.set(Fault::None);
    let reply = world.await_reply(id).await?;
    assert_eq!(reply.status, "ok", "{reply:?}");
    world.finish(&[&main, &caller, &rogue]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_stranger_who_says_that_a_service_is_back_has_little_sent_again() -> Outcome {
    let world = Rogue::world().await?;
    let main = world.start(world.sidecar("main")?.env("ATTEMPT_TIMEOUT_MS", PATIENCE_MS)).await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    let lock = Rogue::hold(&world).await?;
    let request = Rogue::request("transactional.effect", Rogue::held()).timeout(600);
    request.publish_many(&world.main, 5).await?;
    Rogue::waiting(&world, 5).await?;
    let stranger = world.nats.client().await?;
    let begun = Instant::now();
    for n in 0..2_000 {
        let subject = if n % 2 == 0 { "_TPRO.back.tpro.rogue".to_owned() } else { format!("_TPRO.back.{n}") };
        stranger.publish(subject, "".into()).await?;
    }
    heard(&stranger).await?;
    eventually("it is heeded", async || Ok(main.metric("tpro_resent_total").await? >= 5.0)).await?;
    drop(lock);
    world.recon().await?;
    let (resent, most) = (main.metric("tpro_resent_total").await?, begun.elapsed().as_secs() + 2);
    assert!(resent <= (5 * most) as f64, "{resent} sent again within {most} s");
    for reply in world.replies("main").await? {
        assert_eq!(reply.status.as_str(), "ok", "{reply:?}");
    }
    assert_eq!(Rogue::effects(&world).await?, 5);
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}

/// A copy whose way to NATS leads over this line.
fn through(line: &Proxy, sidecar: Sidecar) -> Sidecar {
    sidecar
        .env("NATS_URL", format!("nats://127.0.0.1:{}", line.port()))
        .env("ATTEMPT_TIMEOUT_MS", PATIENCE_MS)
}

#[tpro_testkit::test]
async fn what_speaks_json_is_not_repeated_before_its_time() -> Outcome {
    let world = World::new().await?;
    let main = world.start(world.sidecar("main")?.env("ATTEMPT_TIMEOUT_MS", 600_000)).await?;
    let silent = Silent::on(&world, "tpro.deaf.thing.ask").await?;
    let publish = async |protocol: &str| {
        world.publish(&Message::to("deaf.thing.ask").protocol(protocol).timeout(3_600)).await
    };
    let ids = [publish("json").await?, publish("jsonrpc").await?];
    eventually("both are sent", async || Ok(silent.taken().len() == 2)).await?;
    let stranger = world.nats.client().await?;
    // The service says that it is back, until the one that knows repeats has come three times.
    eventually("the other is repeated", async || {
        stranger.publish("_TPRO.back.tpro.deaf", "".into()).await?;
        heard(&stranger).await?;
        Ok(silent.taken().len() >= 4)
    })
    .await?;
    let uid = "SELECT uid::text FROM main_service.mq_publish WHERE id = $1";
    let uid: String = world.admin.query_one(uid, &[&ids[0]]).await?.get(0);
    assert_eq!(silent.taken().iter().filter(|(_, taken)| *taken == uid).count(), 1);
    for id in ids {
        world.admin.execute("SELECT tpro.cancel($1, 'main')", &[&id]).await?;
    }
    world.finish(&[&main]).await?;
    Ok(())
}
