//! A trace collector that is gone, slow, or swallows everything.

use std::time::{Duration, Instant};

use tpro_testkit::proxy::Fault;
use tpro_testkit::times::Times;
use tpro_testkit::{Message, Outcome, Proxy, World, eventually, ports};

use crate::answerer::Answerer;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_down_slow_or_a_black_hole_costs_spans_and_nothing_else() -> Outcome {
    for (what, fault, dropped) in [
        ("that is well", Some(Fault::None), false),
        ("that is down", None, true),
        ("that is a black hole", Some(Fault::BlackHole), true),
        ("that is slow", Some(Fault::Latency(Duration::from_millis(300))), false),
    ] {
        with_collector(what, fault, dropped).await.map_err(|failure| failure.during(what))?;
    }
    Ok(())
}

async fn with_collector(what: &str, fault: Option<Fault>, dropped: bool) -> Outcome {
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
    if dropped {
        eventually("what was dropped is counted", async || {
            Ok(main.metric("tpro_spans_dropped_total").await? > 0.0)
        })
        .await?;
        assert_eq!(main.metric("tpro_spans_exported_total").await?, 0.0);
    } else {
        eventually("some have come", async || Ok(!world.collector.spans().is_empty())).await?;
    }
    assert_eq!(main.get("/readyz").await?.status, 200, "traces are no reason not to work");
    // Some that are not exported yet.
    request.publish_many(&world.main, 100).await?;
    world.recon().await?;
    let begun = Instant::now();
    main.stop().await?;
    println!(
        "figure: the stop took {} ms with a collector {what} (5,000 ms for the last spans)",
        begun.elapsed().as_millis()
    );
    if fault == Some(Fault::None) {
        let settled =
            async || Ok(world.collector.spans().iter().filter(|span| span.name == "settle").count() == 1_200);
        eventually("all spans have come", settled).await?;
    }
    world.finish(&[]).await?;
    Ok(())
}
