//! The last answers of a copy that is told to stop, and answers and messages that a server takes no more.

use serde_json::json;
use std::time::Duration;
use tpro_testkit::proxy::Fault;
use tpro_testkit::{Message, Nats, Outcome, Proxy, SidecarProcess, Signal, World, eventually};

use crate::rogue::Rogue;

/// How late each piece of some 20 KiB is on the slow line.
const LATE: Duration = Duration::from_millis(20);
/// Answers that wait together, each as large as a message may be. What the kernel takes of them, and what a copy that waits for
/// nothing sends within its last seconds, is about the half.
const ANSWERS: u16 = 16;
const LARGE: usize = 800_000;

#[tpro_testkit::test]
async fn large_answers_on_a_slow_line_are_delivered_before_the_copy_ends() -> Outcome {
    let world = Rogue::world().await?;
    let line = Proxy::start_narrow(world.nats.port()).await?;
    // Nobody has time to ask twice.
    let main = world.start(world.sidecar("main")?.env("ATTEMPT_TIMEOUT_MS", 120_000)).await?;
    let rogue = Rogue::copy(&world, 1)?.env("NATS_URL", format!("nats://127.0.0.1:{}", line.port()));
    let rogue = rogue.env("STOP_TIMEOUT", 120).env("DB_POOL_MAX", ANSWERS);
    // A ping that stands behind the answers is no sign of a dead connection.
    let rogue = world.start(rogue.env("FAILPOINTS", "nats.ping_ms=return(600000)")).await?;
    let hold = Rogue::hold(&world).await?;
    let body = json!({"hold": Rogue::held()["hold"], "bytes": LARGE});
    let request = Rogue::request("default.held_reply", body).timeout(300);
    request.publish_many(&world.main, ANSWERS.into()).await?;
    Rogue::waiting(&world, ANSWERS.into()).await?;
    line.set(Fault::Latency(LATE));
    drop(hold);
    let ended = "SELECT count(*) FROM rogue_service.mq_outcome";
    eventually("the handlers have ended", async || Ok(world.count(ended).await? == i64::from(ANSWERS)))
        .await?;
    rogue.signal(Signal::TERM)?;
    assert_eq!(rogue.wait().await?.code(), Some(0), "{}", rogue.log());
    line.set(Fault::None);
    world.recon().await?;
    for reply in world.replies("main").await? {
        assert_eq!(reply.attempts, 1, "{} {}", reply.status, reply.error);
        assert_eq!(reply.ok()?.as_str().map(str::len), Some(LARGE));
    }
    world.finish(&[&main]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn what_is_on_its_way_to_a_copy_that_stops_is_answered_by_it() -> Outcome {
    // More than are on their way at a time.
    const REQUESTS: i32 = 10_000;
    let world = Rogue::world().await?;
    let line = Proxy::start(world.nats.port()).await?;
    // What is lost is seen, since nobody has time to ask twice.
    let main = world.start(world.sidecar("main")?.env("ATTEMPT_TIMEOUT_MS", 120_000)).await?;
    let stays = world.start(Rogue::copy(&world, 1)?).await?;
    let goes = Rogue::copy(&world, 2)?.env("NATS_URL", format!("nats://127.0.0.1:{}", line.port()));
    let goes = world.start(goes).await?;
    line.set(Fault::Latency(LATE));
    let request = Rogue::request("stateless.echo", json!({})).timeout(300);
    request.publish_many(&world.main, REQUESTS).await?;
    eventually("it answers", async || Ok(goes.metric("tpro_handled_total").await? > 100.0)).await?;
    goes.signal(Signal::TERM)?;
    assert_eq!(goes.wait().await?.code(), Some(0), "{}", goes.log());
    request.publish_many(&world.main, 10).await?;
    world.recon().await?;
    let replies = world.replies("main").await?;
    assert!(replies.iter().all(|reply| reply.status == "ok" && reply.attempts == 1));
    let by_it = replies.iter().filter(|reply| reply.copy() == "2").count();
    assert!(by_it < replies.len() / 2, "it has stopped under load, {by_it} were its own");
    world.finish(&[&main, &stays]).await?;
    Ok(())
}

/// Waits until a copy knows that the server takes no more than this.
async fn knows_of(copy: &SidecarProcess, most: usize) -> Outcome {
    eventually(&format!("{} knows what the server takes", copy.process().name()), async || {
        let ready = copy.get("/readyz").await?;
        Ok(ready.status == 503 && ready.body.contains(&format!("up to {most} bytes")))
    })
    .await
}

#[tpro_testkit::test]
async fn what_the_server_takes_no_more_is_an_error_and_not_sent_again() -> Outcome {
    const MOST: usize = 300_000;
    let limit = |bytes: usize| Nats::options().line(&format!("max_payload: {bytes}"));
    let nats = limit(1 << 20);
    let world = World::options().services(&["main", "rogue"]).nats(nats).start().await?;
    world.admin.batch_execute(Rogue::EFFECTS).await?;
    let main = world.start(world.sidecar("main")?.env("ATTEMPT_TIMEOUT_MS", 2_000)).await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    // An answer is stored that could be sent when it was made, and is asked for again when it can not.
    let large = Message::to("rogue.default.reply").body(json!({"bytes": 400_000})).timeout(60);
    let asked = world.publish(&large).await?;
    assert_eq!(world.await_reply(asked).await?.ok()?.as_str().map(str::len), Some(400_000));
    world.nats.reload(&limit(MOST)).await?;
    knows_of(&main, MOST).await?;
    knows_of(&rogue, MOST).await?;
    // As after a takeover: the leader does not know that it was answered.
    main.stop().await?;
    world.admin.execute("DELETE FROM main_service.mq_reply WHERE mq_id = $1", &[&asked]).await?;
    world
        .admin
        .execute("UPDATE main_service.mq_cursor SET pending = ARRAY[$1::bigint], clean = false", &[&asked])
        .await?;
    let main = world.spawn(main.sidecar())?;
    let repeated = world.await_reply(asked).await?;
    assert_eq!(
        (repeated.status.as_str(), repeated.code(), repeated.attempts),
        ("error", -32006, 1),
        "{repeated:?}"
    );

    let answered = world.ask(&large).await?;
    assert_eq!(
        (answered.status.as_str(), answered.code(), answered.attempts),
        ("error", -32006, 1),
        "{answered:?}"
    );
    // A message that the leader cannot send.
    let sent =
        world.ask(&Rogue::request("default.echo", json!({"text": "x".repeat(400_000)})).timeout(60)).await?;
    assert_eq!((sent.status.as_str(), sent.code()), ("error", -32006), "{sent:?}");
    world.ask(&Rogue::request("default.echo", json!({}))).await?.ok()?;
    for copy in [&main, &rogue] {
        assert_eq!(copy.metric("tpro_answers_lost_total").await?, 0.0);
    }
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}
