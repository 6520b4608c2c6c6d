//! Two releases of a service in one queue group, of which one has a method that the other does not have.

use async_nats::HeaderMap;
use serde_json::{Value, json};
use tpro_testkit::{Nats, Outcome, Sidecar, World, eventually};

use crate::rogue::Rogue;

const PASSED: &str = r#"reason="passed""#;
const METHOD_NOT_FOUND: i64 = -32601;

/// A release that has no methods with effects, and none that echo.
fn old(world: &World, number: u32) -> Outcome<Sidecar> {
    Ok(Rogue::copy(world, number)?.version("1.0").env("ROGUE_WITHOUT", "effects,answers"))
}

fn new(world: &World, number: u32) -> Outcome<Sidecar> {
    Ok(Rogue::copy(world, number)?.version("2.0"))
}

#[tpro_testkit::test]
async fn a_method_that_one_release_does_not_have_is_answered_by_the_other() -> Outcome {
    // With a user for each service, so that the subjects between copies are allowed ones.
    let nats = Nats::options().service("main", "\"tpro.>\"")?.service("rogue", "\"tpro.>\"")?;
    let world = World::options().services(&["main", "rogue"]).nats(nats).start().await?;
    world.admin.batch_execute(Rogue::EFFECTS).await?;
    let main = world.run("main").await?;
    let first = world.start(old(&world, 1)?).await?;
    let request = Rogue::request("transactional.effect", json!({}));
    // While it is alone, nobody has the method, and each requester is told so at once.
    let reply = world.ask(&request).await?;
    assert_eq!((reply.status.as_str(), reply.code()), ("error", METHOD_NOT_FOUND), "{reply:?}");

    let second = world.start(new(&world, 2)?).await?;
    request.publish_many(&world.main, 200).await?;
    world.recon().await?;
    let replies = world.replies("main").await?;
    assert_eq!(replies.len(), 201);
    for reply in replies.iter().filter(|reply| reply.code() != METHOD_NOT_FOUND) {
        assert_eq!(
            (reply.status.as_str(), reply.responder.as_deref()),
            ("ok", Some("rogue/2.0/2")),
            "{reply:?}"
        );
    }
    assert_eq!(Rogue::effects(&world).await?, 200, "each has had its effect once");
    let passed = first.metric_of("tpro_not_run_total", PASSED).await?;
    assert!(passed > 0.0, "the older release was asked, too");

    // A name that neither has is still told as unknown.
    let reply = world.ask(&Rogue::request("transactional.efect", json!({}))).await?;
    assert_eq!(reply.code(), METHOD_NOT_FOUND, "{reply:?}");
    // The way back: nothing is passed on to a copy that has left.
    second.stop().await?;
    let reply = world.ask(&request).await?;
    assert_eq!(reply.code(), METHOD_NOT_FOUND, "{reply:?}");
    world.finish(&[&main, &first]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn events_strangers_and_calls_reach_the_release_that_has_the_method() -> Outcome {
    let world = World::options().services(&["main", "rogue", "caller"]).start().await?;
    world.admin.batch_execute(Rogue::EFFECTS).await?;
    let main = world.run("main").await?;
    let caller = world.start(world.sidecar_of("caller", tpro_testkit::paths::rogue()?)).await?;
    let first = world.start(old(&world, 1)?).await?;
    let second = world.start(new(&world, 2)?).await?;
    let passed = async || first.metric_of("tpro_not_run_total", PASSED).await;

    Rogue::request("default.effect", json!({})).timeout(0).publish_many(&world.main, 40).await?;
    eventually("each event has its effect", async || Ok(Rogue::effects(&world).await? == 40)).await?;
    let events = passed().await?;
    assert!(events > 0.0);

    let stranger = world.nats.client().await?;
    for number in 0..20 {
        let request = json!({"jsonrpc": "2.0", "id": number, "method": "stateless.echo", "params": {}});
        #[expect(clippy::disallowed_methods, reason = "a stranger asks in the way of strangers")]
        let answer = stranger.request("tpro.rogue.stateless.echo", request.to_string().into()).await?;
        let answer: Value = serde_json::from_slice(&answer.payload)?;
        assert_eq!((&answer["id"], &answer["error"]), (&json!(number), &Value::Null), "{answer}");
    }
    let strangers = passed().await?;
    assert!(strangers > events);

    let body = json!({"target": "rogue.stateless.echo", "body": {}});
    let call = tpro_testkit::Message::to("caller.default.call").body(body);
    call.publish_many(&world.main, 20).await?;
    world.recon().await?;
    assert!(world.replies("main").await?.iter().all(|reply| reply.status == "ok"));
    assert!(passed().await? > strangers);
    world.finish(&[&main, &caller, &first, &second]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_copy_that_was_killed_gets_no_messages_of_others_for_long() -> Outcome {
    let world = Rogue::world().await?;
    let main = world.run("main").await?;
    let first = world.start(old(&world, 1)?).await?;
    let second = world.start(new(&world, 2)?).await?;
    let third = world.start(new(&world, 3)?).await?;
    let request = Rogue::request("transactional.effect", json!({}));
    request.publish_many(&world.main, 50).await?;
    world.recon().await?;
    second.kill().await?;
    request.publish_many(&world.main, 100).await?;
    world.recon().await?;
    assert!(world.replies("main").await?.iter().all(|reply| reply.status == "ok"));
    assert_eq!(Rogue::effects(&world).await?, 150);
    assert!(first.metric_of("tpro_not_run_total", PASSED).await? > 0.0);
    world.finish(&[&main, &first, &third]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_message_is_passed_on_once_and_only_between_copies() -> Outcome {
    let world = Rogue::world().await?;
    let first = world.start(old(&world, 1)?).await?;
    let second = world.start(new(&world, 2)?).await?;
    let stranger = world.nats.client().await?;
    let subject = "tpro.rogue.stateless.echo";
    let request = json!({"jsonrpc": "2.0", "id": 1, "method": "stateless.echo", "params": {}}).to_string();
    let mut unknown = 0;
    for _ in 0..40 {
        let mut headers = HeaderMap::new();
        headers.insert("Tpro-Passed", subject);
        let answer = stranger.request_with_headers(subject, headers, request.clone().into()).await?;
        let answer: Value = serde_json::from_slice(&answer.payload)?;
        unknown += usize::from(answer["error"]["code"] == METHOD_NOT_FOUND);
    }
    assert!((1..40).contains(&unknown), "{unknown} were told so, all others reached the new release");
    assert_eq!(first.metric_of("tpro_not_run_total", PASSED).await?, 0.0);
    world.finish(&[&first, &second]).await?;
    Ok(())
}
