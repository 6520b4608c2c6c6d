//! A host whose clock is wrong, or jumps.

use std::time::{Duration, Instant};

use serde_json::json;
use tpro_testkit::{Kind, Message, Outcome, SidecarProcess, eventually, eventually_some};

use crate::answerer::Answerer;
use crate::rogue::Rogue;

/// An hour, in milliseconds.
const HOUR: f64 = 3_600_000.0;
/// What a machine that is busy may add: far less than what is wrong.
const SLACK: f64 = 300_000.0;

#[tpro_testkit::test]
async fn a_clock_that_is_off_by_an_hour_or_jumps_bends_the_times_of_spans_and_nothing_else() -> Outcome {
    for (what, told, off) in [
        ("an hour ahead", "return(3600000)", &[HOUR][..]),
        ("an hour behind", "return(-3600000)", &[-HOUR]),
        ("jumping", "50%return(3600000)->return(-3600000)", &[HOUR, -HOUR]),
    ] {
        with_clock(told, off).await.map_err(|failure| failure.during(what))?;
    }
    Ok(())
}

async fn with_clock(told: &str, off: &[f64]) -> Outcome {
    let world = Rogue::world().await?;
    let wrong = format!("clock.host={told}");
    let main = world.start(world.sidecar("main")?.env("FAILPOINTS", &wrong).env("HEARTBEAT_MS", 100)).await?;
    let rogue = world.start(Rogue::copy(&world, 1)?.env("FAILPOINTS", &wrong)).await?;
    for copy in [&main, &rogue] {
        for skew in off {
            skewed(copy, *skew).await?;
        }
    }

    for method in ["transactional.effect", "default.effect", "default.tx"] {
        Rogue::request(method, json!({})).publish_many(&world.main, 50).await?;
    }
    let call = json!({"target": "rogue.default.effect", "body": {}});
    world.ask(&Rogue::request("default.call", call)).await?.ok()?;
    assert_eq!(world.ask(&Message::to("rogue.default.effect").timeout(0)).await?.status, "ok");
    let trace: String = world.main.query_one("SELECT tpro.trace_id(1)", &[]).await?.get(0);

    // A budget is neither longer nor shorter: nobody answers, and it is over when it is over.
    let silent = Answerer::raw(&world.nats, "tpro.old.thing.ask", |_| {
        br#"{"jsonrpc": "2.0", "id": "another", "result": 1}"#.to_vec()
    })
    .await?;
    let begun = Instant::now();
    let reply = world.ask(&Message::to("old.thing.ask").timeout(2)).await?;
    let lasted = begun.elapsed();
    println!(
        "figure: a budget of 2,000 ms was over after {} ms by a clock that is {told}",
        lasted.as_millis()
    );
    // Longer it may have been by a slow machine, and shorter by nothing.
    assert!(lasted >= Duration::from_millis(1_990), "the budget was cut short: {lasted:?}");
    assert_eq!((reply.status.as_str(), reply.attempts, silent.taken()), ("timeout", 1, 1), "{reply:?}");

    world.recon().await?;
    let ok = world.count("SELECT count(*) FROM main_service.mq_reply WHERE status = 'ok'").await?;
    assert_eq!(ok, 152, "{:?}", world.replies("main").await?);
    eventually("the event's effect is there", async || Ok(Rogue::effects(&world).await? == 153)).await?;
    let times = "SELECT count(*) FROM
        (SELECT r.sent_at, p.created_at FROM main_service.mq_reply r JOIN main_service.mq_publish p ON p.id = r.mq_id
         UNION ALL SELECT r.sent_at, r.replied_at FROM rogue_service.mq_reply r
         UNION ALL SELECT p.created_at, clock_timestamp() FROM rogue_service.mq_publish p) t
        WHERE abs(extract(epoch FROM sent_at - created_at)) > 300";
    assert_eq!(world.count(times).await?, 0, "the tables have the database's time");

    // The fault was one: of the spans of one message, that of the row has the database's time, and others have not.
    let bent = eventually_some("spans of the first message have arrived", async || {
        let spans = world.collector.trace(&trace).spans;
        let producer = spans.iter().find(|span| span.kind == Kind::Producer).map(|span| span.start_ns);
        let server = spans.iter().find(|span| span.kind == Kind::Server).map(|span| span.start_ns);
        Ok(producer.zip(server).map(|(row, server)| (server as f64 - row as f64) / 1e6))
    })
    .await?;
    assert!(
        off.iter().any(|off| (bent - off).abs() < SLACK),
        "the span began {bent} ms after the row was made"
    );
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}

/// Waits until the copy's metric shows so much of a skew.
async fn skewed(copy: &SidecarProcess, skew: f64) -> Outcome {
    eventually(&format!("the metric shows {skew} ms"), async || {
        Ok((copy.metric("tpro_clock_skew_ms").await? - skew).abs() < SLACK)
    })
    .await
}
