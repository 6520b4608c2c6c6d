//! A trace collector that is gone, slow, or swallows everything.

use std::time::{Duration, Instant};

use tpro_testkit::proxy::Fault;
use tpro_testkit::times::Times;
use tpro_testkit::{Message, Outcome, Proxy, World, eventually, ports};

use crate::answerer::Answerer;

/// Spans of a message in the service that asks: its publish, its call, its settlement.
const SPANS: u32 = 3;
/// Spans of one export.
const BATCH: u32 = 512;
/// How long a stop may take: three times what the last spans may, and half of what a stop is waited for.
const STOP: Duration = Duration::from_secs(15);

#[tpro_testkit::test]
async fn a_collector_that_is_down_slow_or_a_black_hole_costs_spans_and_nothing_else() -> Outcome {
    // Who is down costs all spans of 1,100 messages. In a black hole each export takes its five seconds, so that more than
    // the first full one is not waited for.
    for (what, fault, dropped) in [
        ("that is well", Some(Fault::None), 0),
        ("that is down", None, 1_100 * SPANS),
        ("that is a black hole", Some(Fault::BlackHole), BATCH),
        ("that is slow", Some(Fault::Latency(Duration::from_millis(300))), 0),
    ] {
        with_collector(what, fault, dropped).await.map_err(|failure| failure.during(what))?;
    }
    Ok(())
}

async fn with_collector(what: &str, fault: Option<Fault>, dropped: u32) -> Outcome {
    let world = World::new().await?;
    let _answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    let line = Proxy::start(world.collector.port()).await?;
    let port = match fault {
        Some(fault) => {
            line.set(fault);
            line.port()
        }
        None => ports::free_port()?,
    };
    let endpoint = format!("http://127.0.0.1:{port}");
    let main = world.start(world.sidecar("main")?.env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)).await?;
    let request = Message::to("old.thing.ask").protocol("json");
    let mut times = Times::of(format!("one request, with a collector {what}"));
    for _ in 0..100 {
        let begun = Instant::now();
        world.ask(&request).await?.ok()?;
        times.add(begun.elapsed());
    }
    times.report();
    request.publish_many(&world.main, 1_000).await?;
    let recon = world.recon().await?;
    assert_eq!(recon.settled, 1_100);
    assert!(world.replies("main").await?.iter().all(|reply| reply.status == "ok" && reply.attempts == 1));
    if dropped > 0 {
        eventually(&format!("{dropped} that were dropped are counted"), async || {
            Ok(main.metric("tpro_spans_dropped_total").await? >= f64::from(dropped))
        })
        .await?;
        assert_eq!(main.metric("tpro_spans_exported_total").await?, 0.0);
    } else {
        let settled = async || Ok(world.collector.spans().iter().any(|span| span.name == "settle"));
        eventually("some have come", settled).await?;
    }
    assert_eq!(main.get("/readyz").await?.status, 200, "traces are no reason not to work");
    // Some that are not exported yet.
    request.publish_many(&world.main, 100).await?;
    world.recon().await?;
    let begun = Instant::now();
    main.stop().await?;
    let took = begun.elapsed();
    println!(
        "figure: the stop took {} ms with a collector {what} (5,000 ms for the last spans)",
        took.as_millis()
    );
    assert!(took < STOP, "the collector held up the end for {took:?}");
    if fault == Some(Fault::None) {
        let settled =
            async || Ok(world.collector.spans().iter().filter(|span| span.name == "settle").count() == 1_200);
        eventually("all spans have come", settled).await?;
    }
    world.finish(&[]).await?;
    Ok(())
}
