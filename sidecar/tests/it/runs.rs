//! What one run of a handler leaves behind, and when there is another.

use serde_json::json;
use tpro_testkit::Outcome;

use crate::rogue::Rogue;

#[tpro_testkit::test]
async fn an_error_undoes_the_effect_and_is_an_outcome_like_another() -> Outcome {
    let world = Rogue::world().await?;
    let main = world.run("main").await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    for method in ["transactional.effect", "default.tx"] {
        for (end, code) in [("fault", 7), ("internal", -32603), ("panic", -32603)] {
            let reply = world.ask(&Rogue::request(method, json!({"end": end}))).await?;
            assert_eq!((reply.status.as_str(), reply.code()), ("error", code), "{method}, {end}: {reply:?}");
        }
    }
    assert_eq!(Rogue::effects(&world).await?, 0);
    assert_eq!(world.count("SELECT count(*) FROM rogue_service.mq_outcome").await?, 6);
    let reply = world.ask(&Rogue::request("transactional.effect", json!({}))).await?;
    assert_eq!(reply.ok()?["number"], 1);
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn the_calls_of_a_handler_that_runs_again_are_repeats() -> Outcome {
    let world = Rogue::world().await?;
    let main = world.start(world.sidecar("main")?.env("ATTEMPT_TIMEOUT_MS", 500)).await?;
    let first = world.start(Rogue::copy(&world, 1)?).await?;
    let hold = Rogue::hold(&world).await?;
    let id = world.publish(&Rogue::request("default.call_and_hold", Rogue::held())).await?;
    Rogue::waiting(&world, 1).await?;
    assert_eq!(Rogue::effects(&world).await?, 1, "the call is over and its caller is not");
    first.kill().await?;
    drop(hold);
    let second = world.start(Rogue::copy(&world, 2)?).await?;
    let reply = world.await_reply(id).await?.ok()?;
    assert_eq!(
        reply["pid"].as_u64(),
        Some(first.process().pid().into()),
        "the call had been answered before"
    );
    assert_eq!(Rogue::effects(&world).await?, 1);
    world.finish(&[&main, &second]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn the_calls_of_a_handler_that_a_stop_cut_off_are_on_record_once() -> Outcome {
    let world = Rogue::world().await?;
    let main = world.run("main").await?;
    let first = world.start(Rogue::copy(&world, 1)?.env("STOP_TIMEOUT", 1)).await?;
    let hold = Rogue::hold(&world).await?;
    let id = world.publish(&Rogue::request("default.call_and_hold", Rogue::held())).await?;
    Rogue::waiting(&world, 1).await?;
    let second = world.start(Rogue::copy(&world, 2)?).await?;
    first.stop().await?;
    drop(hold);
    let reply = world.await_reply(id).await?;
    assert_eq!(reply.responder.as_deref(), Some("rogue/1.0/2"), "{reply:?}");
    reply.ok()?;
    assert_eq!(world.count("SELECT count(*) FROM rogue_service.mq_publish WHERE direct").await?, 1);
    assert_eq!(Rogue::effects(&world).await?, 1);
    world.finish(&[&main, &second]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_transaction_that_must_be_run_again_is_run_again() -> Outcome {
    let world = Rogue::world().await?;
    // A sequence goes on through a rollback.
    world
        .admin
        .batch_execute(
            "CREATE SEQUENCE public.tries;
             GRANT USAGE ON SEQUENCE public.tries TO rogue;
             CREATE FUNCTION public.flaky() RETURNS void LANGUAGE plpgsql AS $$
             BEGIN
                 IF nextval('public.tries') < 3 THEN
                     RAISE EXCEPTION 'run it again' USING ERRCODE = '40001';
                 END IF;
             END $$",
        )
        .await?;
    let main = world.run("main").await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    let reply = world.ask(&Rogue::request("transactional.flaky", json!({}))).await?;
    assert_eq!(reply.attempts, 1, "{reply:?}");
    reply.ok()?;
    assert_eq!(world.count("SELECT last_value FROM public.tries").await?, 3);
    assert_eq!(Rogue::effects(&world).await?, 1);
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}
