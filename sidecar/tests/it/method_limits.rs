//! Methods with limits of their own: their time, their handlers at once, and their retries.

use serde_json::json;
use tpro_testkit::{Outcome, eventually};

use crate::rogue::Rogue;

/// Each way a handler with retries is served.
const RETRIED: [&str; 4] =
    ["limited.stateless", "limited.default", "limited.default_tx", "limited.transactional"];

#[tpro_testkit::test]
async fn a_handler_is_stopped_by_the_time_limit_of_its_method() -> Outcome {
    let world = Rogue::world().await?;
    let main = world.run("main").await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    // A minute in which it does nothing, with a budget that allows it.
    let reply = world.ask(&Rogue::request("limited.time", json!({"pause": 60_000})).timeout(600)).await?;
    assert_eq!((reply.status.as_str(), reply.code()), ("error", -32002), "{reply:?}");
    assert_eq!(reply.error["message"], "the handler was stopped: the time limit of its method was over");
    world.ask(&Rogue::request("limited.time", json!({"pause": 0}))).await?.ok()?;
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn what_is_over_the_handlers_at_once_is_sent_again_and_other_methods_go_on() -> Outcome {
    let world = Rogue::world().await?;
    let main = world.run("main").await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    let hold = Rogue::hold(&world).await?;
    let request = Rogue::request("limited.at_once", Rogue::held()).timeout(120);
    world.publish(&request).await?;
    Rogue::waiting(&world, 1).await?;
    // A request is told so. An event waits.
    world.publish(&request).await?;
    world.publish(&request.clone().timeout(0)).await?;
    eventually("one is told that the copy is overloaded", async || {
        Ok(rogue.metric_of("tpro_not_run_total", "reason=\"overloaded\"").await? > 0.0)
    })
    .await?;
    world.ask(&Rogue::request("default.echo", json!({}))).await?.ok()?;
    assert_eq!(Rogue::held_up(&world).await?, 1, "one works at a time");
    drop(hold);
    eventually("all have run", async || Ok(Rogue::effects(&world).await? == 3)).await?;
    world.recon().await?;
    assert!(world.replies("main").await?.iter().all(|reply| reply.status == "ok"));
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn an_internal_error_is_the_outcome_when_the_retries_of_its_method_are_over() -> Outcome {
    let world = Rogue::world().await?;
    world
        .admin
        .batch_execute("CREATE SEQUENCE public.runs; GRANT USAGE ON SEQUENCE public.runs TO rogue")
        .await?;
    let main = world.run("main").await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    for (method, times) in RETRIED.into_iter().flat_map(|method| [(method, 3), (method, 4)]) {
        world.admin.batch_execute("ALTER SEQUENCE public.runs RESTART").await?;
        let body = json!({"runs": "public.runs", "times": times});
        let reply = world.ask(&Rogue::request(method, body).timeout(60)).await?;
        let what = format!("{method}, {times}: {reply:?}");
        let ran = world.count("SELECT last_value FROM public.runs").await?;
        assert_eq!((ran, reply.attempts), (4, 1), "three retries, in the same copy: {what}");
        match times {
            3 => assert_eq!((reply.status.as_str(), &reply.result["number"]), ("ok", &json!(1)), "{what}"),
            _ => assert_eq!((reply.status.as_str(), reply.code()), ("error", -32603), "{what}"),
        }
    }
    assert_eq!(Rogue::effects(&world).await?, RETRIED.len() as i64, "what failed has no effect");
    // A stateless handler has no inbox row by which its effect could be accounted for.
    let accounted = "DELETE FROM public.effect e
        WHERE NOT EXISTS (SELECT FROM rogue_service.mq_receive r WHERE r.uid = e.uid)";
    assert_eq!(world.admin.execute(accounted, &[]).await?, 1);
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}
