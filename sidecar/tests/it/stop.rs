//! The end of a copy, by a signal.

use std::time::{Duration, Instant};

use tpro_testkit::{Message, Outcome, Signal, World, eventually, listen};

use crate::answerer::Answerer;
use crate::rogue::Rogue;

#[tpro_testkit::test]
async fn each_stop_signal_ends_a_copy_in_good_order() -> Outcome {
    let world = World::new().await?;
    let _answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    let request = Message::to("old.thing.ask").protocol("json");
    for signal in [Signal::TERM, Signal::INT, Signal::QUIT] {
        let main = world.run("main").await?;
        world.ask(&request).await?.ok()?;
        request.publish_many(&world.main, 200).await?;
        main.signal(signal)?;
        let exit = main.wait().await?;
        assert_eq!(exit.code(), Some(0), "after {signal:?}: {exit}");
    }
    // Its sessions and its lock are gone with it.
    let sessions = "SELECT count(*) FROM pg_stat_activity
                    WHERE datname = current_database() AND application_name LIKE 'tpro/%'";
    eventually("its sessions are gone", async || Ok(world.count(sessions).await? == 0)).await?;
    let main = world.run("main").await?;
    world.finish(&[&main]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_second_signal_forces_the_end() -> Outcome {
    let world = World::new().await?;
    // Somebody takes the request and never answers, so that the drain would last.
    let silent = world.nats.client().await?;
    let _requests = listen(&silent, "tpro.old.>").await?;
    let main = world.start(world.sidecar("main")?.env("STOP_TIMEOUT", 600)).await?;
    let id = world.publish(&Message::to("old.thing.ask").timeout(120)).await?;
    eventually("the request is on its way", async || Ok(main.metric("tpro_in_flight").await? > 0.0)).await?;
    main.signal(Signal::TERM)?;
    eventually("it drains", async || Ok(main.get("/readyz").await?.status == 503)).await?;
    main.signal(Signal::TERM)?;
    // Far sooner than the drain would be over.
    assert!(!main.wait().await?.success(), "a forced end is no good order");

    silent.drain().await?;
    let _answerer = Answerer::start(&world.nats, "tpro.old.thing.ask", |request| {
        format!(r#"{{"jsonrpc": "2.0", "id": {}, "result": 1}}"#, request["id"])
    })
    .await?;
    let next = world.start(main.sidecar()).await?;
    world.await_reply(id).await?.ok()?;
    world.finish(&[&next]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_second_signal_does_not_wait_for_a_handler_and_another_copy_takes_over() -> Outcome {
    let world = Rogue::world().await?;
    let main = world.start(world.sidecar("main")?.env("ATTEMPT_TIMEOUT_MS", 500)).await?;
    let first = world.start(Rogue::copy(&world, 1)?.env("STOP_TIMEOUT", 600)).await?;
    let hold = Rogue::hold(&world).await?;
    for method in ["transactional.effect", "default.tx"] {
        world.publish(&Rogue::request(method, Rogue::held()).timeout(60)).await?;
    }
    Rogue::waiting(&world, 2).await?;
    first.signal(Signal::TERM)?;
    eventually("it drains", async || Ok(first.get("/readyz").await?.status == 503)).await?;
    first.signal(Signal::TERM)?;
    assert_eq!(first.wait().await?.code(), Some(1), "a forced end is no good order");
    let second = world.start(Rogue::copy(&world, 2)?).await?;
    drop(hold);
    world.recon().await?;
    for reply in world.replies("main").await? {
        assert_eq!((reply.status.as_str(), reply.copy()), ("ok", "2"), "{reply:?}");
    }
    assert_eq!(Rogue::effects(&world).await?, 2, "what was cut off was rolled back");
    world.finish(&[&main, &second]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_handler_longer_than_the_drain_is_cut_off_and_another_copy_takes_over() -> Outcome {
    let world = Rogue::world().await?;
    let main = world.start(world.sidecar("main")?.env("ATTEMPT_TIMEOUT_MS", 500)).await?;
    // A server that is slow to hear that a statement is cancelled must hear it all the same: else the message would stay locked for
    // longer than its budget.
    let first =
        Rogue::copy(&world, 1)?.env("STOP_TIMEOUT", 2).env("FAILPOINTS", "statements.cancel_ms=return(200)");
    let first = world.start(first).await?;
    let hold = Rogue::hold(&world).await?;
    let id = world.publish(&Rogue::request("transactional.effect", Rogue::held())).await?;
    Rogue::waiting(&world, 1).await?;
    let begun = Instant::now();
    first.signal(Signal::TERM)?;
    assert_eq!(first.wait().await?.code(), Some(0), "what was cut off was given back in good order");
    let drained = begun.elapsed();
    assert!(drained >= Duration::from_millis(1_990), "the handler had no time to finish: {drained:?}");
    eventually("its transaction is rolled back", async || {
        Ok(world.count("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'tpro/rogue/1/%' AND datname = current_database()").await? == 0)
    })
    .await?;
    let second = world.start(Rogue::copy(&world, 2)?).await?;
    Rogue::waiting(&world, 1).await?;
    drop(hold);
    let reply = world.await_reply(id).await?;
    assert_eq!(reply.copy(), "2", "{reply:?}");
    assert_eq!(Rogue::effects(&world).await?, 1, "what was cut off was rolled back");
    world.finish(&[&main, &second]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_handler_at_work_is_finished_before_the_end() -> Outcome {
    let world = Rogue::world().await?;
    let main = world.start(world.sidecar("main")?.env("ATTEMPT_TIMEOUT_MS", 60_000)).await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    let hold = Rogue::hold(&world).await?;
    for method in ["transactional.effect", "default.tx", "default.effect", "stateless.effect"] {
        world.publish(&Rogue::request(method, Rogue::held())).await?;
    }
    Rogue::waiting(&world, 4).await?;
    rogue.signal(Signal::TERM)?;
    eventually("it drains", async || Ok(rogue.get("/readyz").await?.status == 503)).await?;
    drop(hold);
    assert!(rogue.wait().await?.success());
    // Nobody else was there to answer.
    world.recon().await?;
    assert!(world.replies("main").await?.iter().all(|reply| reply.status == "ok" && reply.attempts == 1));
    world.finish(&[&main]).await?;
    Ok(())
}
