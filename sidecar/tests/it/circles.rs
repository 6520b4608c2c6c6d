//! Services that ask each other in a circle.

use serde_json::json;
use tpro_testkit::{Kind, Outcome, World, eventually_some, paths};

use crate::rogue::Rogue;

#[tpro_testkit::test]
async fn calls_in_a_circle_have_less_time_each_and_end_at_the_hop_limit() -> Outcome {
    // One that asks itself, and two that ask each other.
    for ring in [json!([]), json!(["rogue", "echo"])] {
        around(&ring).await.map_err(|failure| failure.during(ring.to_string()))?;
    }
    Ok(())
}

async fn around(ring: &serde_json::Value) -> Outcome {
    const HOPS: usize = 4;
    let world = World::options().services(&["main", "rogue", "echo"]).start().await?;
    let main = world.run("main").await?;
    let rogue = world.start(Rogue::copy(&world, 1)?.env("HOPS_MAX", HOPS)).await?;
    let echo = world.sidecar_of("echo", paths::rogue()?).env("HOPS_MAX", HOPS);
    let echo = world.start(echo).await?;

    let id = world.publish(&Rogue::request("default.circle", json!({"ring": ring}))).await?;
    let reply = world.await_reply(id).await?;
    assert_eq!((reply.status.as_str(), reply.code()), ("error", -32007), "{reply:?}");
    assert!(reply.error["message"].as_str().is_some_and(|text| text.contains("services")), "{reply:?}");
    let mut calls = 0;
    for service in ["rogue", "echo"] {
        calls +=
            world.count(&format!("SELECT count(*) FROM {service}_service.mq_publish WHERE direct")).await?;
    }
    assert_eq!(calls, HOPS as i64, "the last call was never made");

    // Each call was given less time than the one before it.
    let trace: String = world.main.query_one("SELECT tpro.trace_id($1)", &[&id]).await?.get(0);
    let budgets = eventually_some("the spans of all calls have arrived", async || {
        let spans = world.collector.trace(&trace).spans;
        let calls =
            spans.iter().filter(|span| span.kind == Kind::Client && span.name.ends_with(".default.circle"));
        let budgets: Vec<u64> =
            calls.filter_map(|span| span.attribute("tpro.budget_ms").parse().ok()).collect();
        // The first is main's own.
        Ok((budgets.len() == HOPS + 1).then_some(budgets))
    })
    .await?;
    assert!(budgets.windows(2).all(|pair| pair[0] > pair[1]), "{budgets:?} ms");
    world.finish(&[&main, &rogue, &echo]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn messages_that_a_handler_publishes_in_a_circle_end_at_the_hop_limit() -> Outcome {
    let world = Rogue::world().await?;
    let main = world.run("main").await?;
    let rogue = world.start(Rogue::copy(&world, 1)?.env("HOPS_MAX", 4)).await?;
    let reply = world.ask(&Rogue::request("transactional.spiral", json!({}))).await?;
    assert_eq!(reply.status, "ok", "{reply:?}");
    world.recon().await?;
    let replies = world.replies("rogue").await?;
    let (last, sent) = replies.split_last().expect("it has published");
    assert_eq!(sent.len(), 4);
    assert!(sent.iter().all(|reply| reply.status == "ok"), "{sent:?}");
    assert_eq!((last.status.as_str(), last.code(), last.attempts), ("error", -32007, 0), "{last:?}");
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}
