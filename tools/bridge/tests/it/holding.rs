//! Requests that come while a service changes over: nobody answers, and then somebody does.

use std::sync::Arc;

use serde_json::json;
use tokio::sync::Semaphore;
use tpro_testkit::go::Came;
use tpro_testkit::{GoAnswer, GoCopy, GoRequester, Message, Outcome, eventually, listen};

use crate::bridged::{Bridged, PATIENCE};

#[tpro_testkit::test]
async fn a_request_waits_until_a_copy_of_the_moved_service_runs() -> Outcome {
    let bridged = Bridged::new().await?;
    let bridge = bridged.run(1, "main,analytic", "co").await?;
    let main = Arc::new(GoRequester::new(&bridged.old, "main").await?);
    let asking = tokio::spawn({
        let main = main.clone();
        async move { main.ask(1, "co.example.request_with_parallel_queries", json!({}), PATIENCE).await }
    });
    eventually("the bridge holds the request", async || Ok(bridge.metric("tpro_bridge_held").await? == 1.0))
        .await?;
    let co = bridged.world.run("co").await?;
    asking.await??.ok()?;
    bridge.stop().await?;
    bridged.world.finish(&[&co]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_request_that_waits_is_taken_by_a_go_copy_that_runs_again() -> Outcome {
    let bridged = Bridged::new().await?;
    let bridge = bridged.run(1, "main,analytic", "co").await?;
    let main = Arc::new(GoRequester::new(&bridged.old, "main").await?);
    let ask = |number| {
        let main = main.clone();
        tokio::spawn(async move { main.ask(number, "co.example.simple", json!({}), PATIENCE).await })
    };
    let asking = [ask(1), ask(2)];
    eventually("the bridge holds the requests", async || Ok(bridge.metric("tpro_bridge_held").await? == 2.0))
        .await?;
    // The answer comes as the Go copy has given it.
    let co = GoCopy::start(&bridged.old, "co", |run| match run.mq_id {
        1 => GoAnswer::Result(json!(7)),
        _ => GoAnswer::Error,
    })
    .await?;
    let [first, second] = asking;
    assert_eq!(first.await??, Came::Result(json!(7)));
    assert_eq!(second.await??, Came::Error(json!({})));
    assert_eq!((co.runs().len(), co.panicked()), (2, None));
    bridge.stop().await?;
    bridged.world.finish(&[]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_request_for_a_go_service_waits_until_a_copy_runs_and_ends_without_one() -> Outcome {
    let bridged = Bridged::new().await?;
    let world = &bridged.world;
    let main = world.run("main").await?;
    let bridge = bridged.run(1, "analytic,co", "main").await?;
    let short = world.ask(&Message::to("co.example.short").timeout(4)).await?;
    // `timeout` where the last word came too late.
    assert!(["unavailable", "timeout"].contains(&short.status.as_str()), "{short:?}");
    let waiting = world.publish(&Message::to("co.example.simple").timeout(80)).await?;
    eventually("the bridge holds the request", async || Ok(bridge.metric("tpro_bridge_held").await? == 1.0))
        .await?;
    let co = GoCopy::start(&bridged.old, "co", |_| GoAnswer::Result(json!(7))).await?;
    assert_eq!(world.await_reply(waiting).await?.ok()?, json!(7));
    let runs = co.runs();
    assert_eq!(runs.iter().filter(|run| run.method == "example.simple").count(), 1, "{runs:?}");
    bridge.stop().await?;
    bridged.world.finish(&[&main]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_slow_go_service_is_said_to_work_and_gets_no_second_request() -> Outcome {
    let bridged = Bridged::new().await?;
    let world = &bridged.world;
    let admin = world.nats.client().await?;
    let mut inbox = listen(&admin, "_INBOX.tpro.main.>").await?;
    // Without the word, a second attempt would follow after three seconds.
    let main = world.start(world.sidecar("main")?.env("ATTEMPT_TIMEOUT_MS", 3000)).await?;
    let bridge = bridged.run(1, "analytic,co", "main").await?;
    let gate = Arc::new(Semaphore::new(0));
    let held = gate.clone();
    let co = GoCopy::start(&bridged.old, "co", move |_| {
        GoAnswer::After(held.clone(), Box::new(GoAnswer::Result(json!("late"))))
    })
    .await?;
    let id = world.publish(&Message::to("co.example.simple").timeout(80)).await?;
    let mut words = 0;
    while words < 3 {
        use futures_util::StreamExt as _;
        let heard = inbox.next().await.expect("the subscription lives");
        let state = heard.headers.and_then(|headers| headers.get("Tpro-State").map(ToString::to_string));
        words += u32::from(state.as_deref() == Some("working"));
    }
    gate.close();
    assert_eq!(world.await_reply(id).await?.ok()?, json!("late"));
    assert_eq!(co.runs().len(), 1);
    bridge.stop().await?;
    bridged.world.finish(&[&main]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_bridge_that_is_told_to_stop_finishes_what_it_has() -> Outcome {
    let bridged = Bridged::new().await?;
    let world = &bridged.world;
    let main = world.run("main").await?;
    let bridge = bridged.run(1, "analytic,co", "main").await?;
    let gate = Arc::new(Semaphore::new(0));
    let held = gate.clone();
    let co = GoCopy::start(&bridged.old, "co", move |_| {
        GoAnswer::After(held.clone(), Box::new(GoAnswer::Result(json!(1))))
    })
    .await?;
    let asked = world.publish(&Message::to("co.example.simple").timeout(80)).await?;
    eventually("the Go service is at work", async || Ok(co.runs().len() == 1)).await?;
    bridge.signal(tpro_testkit::Signal::TERM)?;
    eventually("the bridge is stopping", async || Ok(bridge.get("/readyz").await?.status == 503)).await?;
    gate.close();
    assert_eq!(world.await_reply(asked).await?.ok()?, json!(1));
    assert!(bridge.wait().await?.success());
    // And it takes nothing more: the Go requester is not answered.
    let go = GoRequester::new(&bridged.old, "analytic").await?;
    let came = go.ask(1, "main.example.simple", json!({}), std::time::Duration::from_millis(300)).await?;
    assert_eq!(came, Came::Timeout);
    bridged.world.finish(&[&main]).await?;
    Ok(())
}
