//! Messages that the NATS client cannot parse: they cost nobody anything.

use std::sync::Arc;

use serde_json::{Value, json};
use tpro_testkit::{Message, Outcome, SidecarProcess, World, eventually};

use crate::raw::{BROKEN, Raw};
use crate::rogue::Rogue;

/// More patience with an attempt than any test has: nothing is sent again because it is over.
const PATIENCE_MS: u32 = 600_000;

#[tpro_testkit::test]
async fn a_stranger_who_sends_them_to_a_service_and_to_a_requester_disturbs_nobody() -> Outcome {
    let world = Rogue::world().await?;
    let main = world.start(world.sidecar("main")?.env("ATTEMPT_TIMEOUT_MS", PATIENCE_MS)).await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    let lock = Rogue::hold(&world).await?;
    let request = Rogue::request("transactional.effect", Rogue::held()).timeout(600);
    request.publish_many(&world.main, 5).await?;
    Rogue::waiting(&world, 5).await?;

    let mut stranger = Raw::connect(&world.nats).await?;
    let inbox = format!("_INBOX.tpro.main.{}.rogue.", instance8(&world).await?);
    let reply = "018f3b5e-0000-7000-8000-000000000000.";
    for broken in &BROKEN {
        // As a request that wants an answer, as one that wants none, and as a reply.
        let subject = broken.subject("tpro.rogue.", "default.nothing");
        stranger.publish_broken(broken, &subject, Some(b"_INBOX.stranger"), b"{}").await?;
        stranger.publish_broken(broken, &subject, None, b"{}").await?;
        // The last word of a reply's subject is the attempt.
        let subject = broken.subject(&format!("{inbox}{reply}"), "1");
        stranger.publish_broken(broken, &subject, None, b"{}").await?;
    }
    stranger.flush().await?;
    unreadable(&rogue, 2 * BROKEN.len()).await?;
    unreadable(&main, BROKEN.len()).await?;

    drop(lock);
    // Others are served meanwhile and afterwards.
    for n in 0..20 {
        let reply = world.ask(&Rogue::request("default.echo", json!({"n": n}))).await?;
        assert_eq!((reply.attempts, reply.ok()?), (1, json!({"n": n})));
    }
    world.recon().await?;
    for reply in world.replies("main").await? {
        assert_eq!((reply.status.as_str(), reply.attempts), ("ok", 1), "{reply:?}");
    }
    for copy in [&main, &rogue] {
        assert_eq!(copy.metric("tpro_nats_disconnects_total").await?, 0.0);
        let log = copy.log();
        assert!(log.contains("cannot be read as it came"), "it is said");
    }
    assert!(rogue.log().contains("tpro.rogue.default.nothing"), "with the subject");
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_request_with_headers_that_cannot_be_read_is_answered_without_them() -> Outcome {
    let world = Rogue::world().await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    let mut stranger = Raw::connect(&world.nats).await?;
    stranger.subscribe("_INBOX.stranger").await?;
    let request =
        json!({"jsonrpc": "2.0", "id": 1, "method": "default.echo", "params": {"a": 1}}).to_string();
    for broken in &BROKEN {
        let subject = broken.subject("tpro.rogue.", "default.echo");
        stranger.publish_broken(broken, &subject, Some(b"_INBOX.stranger"), request.as_bytes()).await?;
        let (_, answer) = stranger.next().await?;
        let answer: Value = serde_json::from_slice(&answer)?;
        if subject == b"tpro.rogue.default.echo" {
            assert_eq!(answer["result"], json!({"a": 1}), "{}: {answer}", broken.name);
        } else {
            assert!(answer["error"]["code"].is_i64(), "{}: {answer}", broken.name);
        }
    }
    assert_eq!(rogue.metric("tpro_nats_disconnects_total").await?, 0.0);
    world.finish(&[&rogue]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_service_whose_answers_have_headers_that_cannot_be_read_is_answered_by_its_payloads() -> Outcome {
    let world = Rogue::world().await?;
    let main = world.start(world.sidecar("main")?.env("ATTEMPT_TIMEOUT_MS", PATIENCE_MS)).await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    let mut service = Raw::connect(&world.nats).await?;
    service.subscribe("tpro.old.thing.ask").await?;
    let answering = tokio::spawn(async move {
        let mut answered = 0;
        while answered < 40 {
            let (reply, _) = service.next().await?;
            let headers = b"NATS/1.0\r\nServer: caf\xe9\r\n\r\n";
            service.publish(&reply.unwrap_or_default(), None, Some(headers), b"{\"ok\":true}").await?;
            answered += 1;
        }
        Outcome::Ok(())
    });
    let strange = Message::to("old.thing.ask").protocol("json").timeout(600);
    strange.publish_many(&world.main, 40).await?;
    Rogue::request("default.echo", json!({})).timeout(600).publish_many(&world.main, 320).await?;
    world.recon().await?;
    let replies = world.replies("main").await?;
    assert_eq!(replies.len(), 360);
    for reply in replies {
        assert_eq!((reply.status.as_str(), reply.attempts), ("ok", 1), "{reply:?}");
    }
    answering.await??;
    unreadable(&main, 40).await?;
    assert_eq!(main.metric("tpro_nats_disconnects_total").await?, 0.0);
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}

/// Waits until a copy has counted so many of them.
async fn unreadable(copy: &Arc<SidecarProcess>, count: usize) -> Outcome {
    eventually(&format!("{count} are counted"), async || {
        Ok(copy.metric("tpro_nats_unreadable_total").await? == count as f64)
    })
    .await
}

/// The word for the database in reply subjects.
async fn instance8(world: &World) -> Outcome<String> {
    let instance: String = world.admin.query_one("SELECT tpro.instance()::text", &[]).await?.get(0);
    Ok(instance.replace('-', "")[..8].to_owned())
}
