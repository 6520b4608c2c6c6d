//! Two releases of a service in one queue group, of which one speaks another version of the wire.

use async_nats::HeaderMap;
use serde_json::json;
use tpro_testkit::{Outcome, World, eventually};

use crate::rogue::Rogue;

const UNSUPPORTED: &str = r#"reason="unsupported""#;

/// The release after this one, for those who call it.
const NEXT: &str = "version.spoken=return(2)";
/// And for those whom it answers: it understands the release before, too.
const NEXT_TARGET: &str = "version.newest=return(2)";

#[tpro_testkit::test]
async fn a_version_that_one_release_does_not_understand_is_answered_by_another() -> Outcome {
    let world = Rogue::world().await?;
    let main = world.start(world.sidecar("main")?.env("FAILPOINTS", NEXT)).await?;
    let old = world.start(Rogue::copy(&world, 1)?.version("1.0")).await?;
    let new = world.start(Rogue::copy(&world, 2)?.version("2.0").env("FAILPOINTS", NEXT_TARGET)).await?;

    Rogue::request("transactional.effect", json!({})).publish_many(&world.main, 200).await?;
    world.recon().await?;
    for reply in world.replies("main").await? {
        assert_eq!(
            (reply.status.as_str(), reply.responder.as_deref()),
            ("ok", Some("rogue/2.0/2")),
            "{reply:?}"
        );
    }
    assert_eq!(Rogue::effects(&world).await?, 200);
    let refused = old.metric_of("tpro_not_run_total", UNSUPPORTED).await?;
    assert!(refused > 0.0, "the older release was asked, too");
    assert_eq!(main.metric_of("tpro_refused_total", UNSUPPORTED).await?, refused);

    // Alone it refuses until the budget is spent, and the reply says what to do.
    new.stop().await?;
    let request = Rogue::request("transactional.effect", json!({})).timeout(1);
    let mut reply = world.ask(&request).await?;
    for _ in 0..2 {
        // Its last attempt was on its way at the end, so that nobody could say that it was not taken.
        if reply.status == "timeout" {
            reply = world.ask(&request).await?;
        }
    }
    assert_eq!(reply.status, "unavailable", "{reply:?}");
    let error = &reply.error;
    assert_eq!(error["code"], -32010, "{error}");
    let text = error["message"].as_str().expect("it has a text");
    assert!(
        text.contains("service rogue") && text.contains("version 2") && text.contains("understand 1"),
        "{text}"
    );
    world.finish(&[&main, &old]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn the_release_before_is_answered_by_both() -> Outcome {
    let world = Rogue::world().await?;
    let main = world.run("main").await?;
    let old = world.start(Rogue::copy(&world, 1)?.version("1.0")).await?;
    let new = world.start(Rogue::copy(&world, 2)?.version("2.0").env("FAILPOINTS", NEXT_TARGET)).await?;
    Rogue::request("default.effect", json!({})).publish_many(&world.main, 200).await?;
    world.recon().await?;
    let mut answered = [0, 0];
    for reply in world.replies("main").await? {
        assert_eq!(reply.status, "ok", "{reply:?}");
        answered[usize::from(reply.responder.as_deref() == Some("rogue/2.0/2"))] += 1;
    }
    assert!(answered.iter().all(|count| *count > 0), "{answered:?}");
    world.finish(&[&main, &old, &new]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_handler_of_the_next_release_is_answered_by_the_next_release() -> Outcome {
    let world = World::options().services(&["main", "rogue", "co"]).start().await?;
    let main = world.run("main").await?;
    let caller = world.start(Rogue::copy(&world, 1)?.env("FAILPOINTS", NEXT)).await?;
    let old = world.start(world.sidecar("co")?.copy(1)).await?;
    let new = world.start(world.sidecar("co")?.copy(2).env("FAILPOINTS", NEXT_TARGET)).await?;
    let body = json!({"target": "co.example.request_with_parallel_queries", "body": {}});
    Rogue::request("default.call", body).publish_many(&world.main, 50).await?;
    world.recon().await?;
    assert!(world.replies("main").await?.iter().all(|reply| reply.status == "ok"));
    assert!(old.metric_of("tpro_not_run_total", UNSUPPORTED).await? > 0.0);
    world.finish(&[&main, &caller, &old, &new]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_stranger_of_an_unknown_version_is_told_which_are_understood() -> Outcome {
    let world = World::options().services(&["main", "rogue"]).start().await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    let stranger = world.nats.client().await?;
    for version in ["2", "0", "newest"] {
        let mut headers = HeaderMap::new();
        headers.insert("Tpro-Version", version);
        // What it holds is not looked at: another version may wrap it otherwise.
        let answer = stranger.request_with_headers("tpro.rogue.stateless.echo", headers, "?".into()).await?;
        let told = answer.headers.expect("it has headers");
        let told = |name| told.get(name).map(|value| value.as_str());
        assert_eq!(
            (told("Tpro-State"), told("Tpro-Versions")),
            (Some("unsupported"), Some("1")),
            "{version}"
        );
        assert!(answer.payload.is_empty());
    }
    // An event cannot be refused to anybody.
    let mut headers = HeaderMap::new();
    headers.insert("Tpro-Version", "2");
    stranger.publish_with_headers("tpro.rogue.stateless.echo", headers, "{}".into()).await?;
    eventually("the event is counted", async || {
        Ok(rogue.metric_of("tpro_not_run_total", UNSUPPORTED).await? == 4.0)
    })
    .await?;
    // The log has a thread of its own.
    eventually("it is said", async || Ok(rogue.log().contains("version 2 of the wire"))).await?;
    world.finish(&[&rogue]).await?;
    Ok(())
}
