//! What anybody may say on the subjects by which copies talk: none of it settles, repeats or stops anything.

use std::sync::Arc;

use serde_json::{Value, json};
use tpro_testkit::{Context, Message, Outcome, SidecarProcess, eventually};

use crate::raw::Raw;
use crate::rogue::Rogue;

/// Ends of a reply subject that are none of a message's.
const ENDS: [&str; 14] = [
    "SERVICE.UID",
    "SERVICE.UID.",
    "SERVICE.UID.x",
    "SERVICE.UID.-1",
    "SERVICE.UID.01",
    "SERVICE.UID.4294967296",
    "SERVICE.UID.1.1",
    "other.UID.1",
    "SERVICE.CAPITALS.1",
    "SERVICE.none.1",
    "SERVICE.017f22e2-79b0-7cc3-98c4-dc0c0c07398f.1",
    "SERVICE.00000000-0000-0000-0000-000000000000.0",
    "SERVICE.\u{fffd}.1",
    "\u{1}.UID.1",
];

/// A state, which is no answer, or none.
const STATES: [Option<&str>; 6] = [
    None,
    Some("NATS/1.0\r\nTpro-State: working\r\n\r\n"),
    Some("NATS/1.0\r\nTpro-State: overloaded\r\n\r\n"),
    Some("NATS/1.0\r\nTpro-State: stale\r\n\r\n"),
    Some("NATS/1.0 503\r\n\r\n"),
    Some("NATS/1.0\r\nTpro-State: unsupported\r\nTpro-Versions: 9\r\n\r\n"),
];

#[tpro_testkit::test]
async fn what_is_said_on_the_subjects_of_copies_settles_repeats_and_stops_nothing() -> Outcome {
    let world = Rogue::world().await?;
    let main = world.start(world.sidecar("main")?.env("ATTEMPT_TIMEOUT_MS", 120_000)).await?;
    let rogue = world.start(Rogue::copy(&world, 1)?.env("ATTEMPT_TIMEOUT_MS", 120_000)).await?;
    let mut stranger = Raw::connect(&world.nats).await?;
    let mut spy = Raw::connect(&world.nats).await?;
    spy.subscribe("tpro.rogue.>").await?;
    // One waits for its answer all the while.
    let hold = Rogue::hold(&world).await?;
    let id = world.publish(&Rogue::request("default.effect", Rogue::held()).timeout(600)).await?;
    Rogue::waiting(&world, 1).await?;
    let (reply, request) = spy.next().await?;
    let reply = String::from_utf8(reply.context("an answer is wanted")?)?;
    let uid = serde_json::from_slice::<Value>(&request)?["id"].as_str().context("it has an id")?.to_owned();
    let before = reply.split_once(".rogue.").context("it names who is asked")?.0;
    let answer = json!({"jsonrpc": "2.0", "id": uid, "result": "forged"}).to_string();
    for (end, state) in ENDS.iter().flat_map(|end| STATES.map(|state| (end, state))) {
        let end =
            end.replace("SERVICE", "rogue").replace("UID", &uid).replace("CAPITALS", &uid.to_uppercase());
        let subject = format!("{before}.{end}");
        let headers = state.map(str::as_bytes);
        stranger
            .publish(subject.as_bytes(), Some(b"tpro.rogue.default.effect"), headers, answer.as_bytes())
            .await?;
    }
    // Refusals of another attempt.
    for state in [STATES[2], STATES[4], STATES[5]] {
        let subject = format!("{before}.rogue.{uid}.7");
        stranger.publish(subject.as_bytes(), None, state.map(str::as_bytes), b"").await?;
    }
    let mut told = Raw::connect(&world.nats).await?;
    told.subscribe("told.me").await?;
    let source: String = reply.split('.').nth(3).context("an instance")?.to_owned();
    for (subject, payload) in talk(&source) {
        stranger.publish(subject.as_bytes(), Some(b"told.me"), None, payload.as_bytes()).await?;
    }
    stranger.flush().await?;
    nothing_is_waiting(&main, &rogue).await?;
    assert_eq!(world.replies("main").await?.len(), 0, "nobody else has settled it");
    assert_eq!(
        main.metric("tpro_refused_total").await?,
        0.0,
        "what is said of another attempt is none of this one"
    );
    drop(hold);
    let settled = world.await_reply(id).await?;
    // A copy that says it is back has it repeated, which its inbox makes one run.
    assert_eq!((settled.status.as_str(), Rogue::effects(&world).await?), ("ok", 1), "{settled:?}");
    world.ask(&Message::to("rogue.default.echo")).await?.ok()?;
    stranger.publish(b"told.me", None, None, b"the last").await?;
    let (_, heard) = told.next().await?;
    assert_eq!(String::from_utf8_lossy(&heard), "the last", "nobody answers elsewhere than at home");
    for copy in [&main, &rogue] {
        assert!(!copy.log().contains("panicked"), "{}", copy.log());
        assert_eq!(copy.get("/readyz").await?.status, 200);
        assert_eq!(copy.metric("tpro_nats_disconnects_total").await?, 0.0);
    }
    assert_eq!(main.metric("tpro_takeovers_total").await?, 1.0);
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}

/// What copies say to each other, by somebody who is none.
fn talk(instance: &str) -> Vec<(String, String)> {
    let claim =
        json!({"timeline": u32::MAX, "started": i64::MAX, "asker": 1, "nonce": "x", "signature": "00"});
    let words = ["", "{", "\0", "null", "[]", &claim.to_string(), &"x".repeat(100_000)].map(str::to_owned);
    let subjects = [
        format!("_TPRO.lead.main/{instance}"),
        "_TPRO.lead.*".to_owned(),
        "_TPRO.serve.tpro.main".to_owned(),
        "_TPRO.serve.tpro.rogue".to_owned(),
        "_TPRO.back.tpro.rogue".to_owned(),
        "_TPRO.back.".to_owned() + &"x".repeat(2_000),
        "_INBOX.tpro.main.health.0".to_owned(),
        "_INBOX.tpro.main.drain.0".to_owned(),
        "$SRV.PING.main".to_owned(),
    ];
    let mut all: Vec<_> = subjects
        .iter()
        .flat_map(|subject| words.iter().map(|word| (subject.clone(), word.clone())))
        .collect();
    // More services than a copy tells apart.
    all.extend((0..3_000).map(|n| (format!("_TPRO.back.tpro.s{n}"), String::new())));
    all
}

/// Waits until both have read all that was sent before.
async fn nothing_is_waiting(main: &Arc<SidecarProcess>, rogue: &Arc<SidecarProcess>) -> Outcome {
    eventually("they have looked at it", async || {
        let dropped = main.metric("tpro_dropped_replies_total").await?;
        let late = main.metric("tpro_late_replies_total").await?;
        Ok(dropped + late >= (ENDS.len() * STATES.len() / 2) as f64
            && rogue.get("/healthz").await?.status == 200)
    })
    .await
}
