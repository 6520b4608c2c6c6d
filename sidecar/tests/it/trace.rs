//! One trace from the INSERT to the reply.

use std::collections::BTreeSet;

use serde_json::json;
use tpro_testkit::ports::free_port;
use tpro_testkit::{Context, Kind, Message, Outcome, SpanRecord, Trace, World, eventually_some};

use crate::answerer::Answerer;
use crate::login;
use crate::rogue::Rogue;

const TRANSIT: &str = "example.request_with_parallel_queries_with_transit_on_external_service";
/// The name of the span of a start.
const START: &str = "start";
const PARALLEL: &str = "example.request_with_parallel_queries";

#[tpro_testkit::test]
async fn a_request_over_three_services_is_one_trace() -> Outcome {
    let world = World::demo().await?;
    // With a pause in each query there is something to overlap.
    let main = world.run("main").await?;
    let analytic = world.start(world.sidecar("analytic")?.env("EXAMPLE_PAUSE_MS", 500)).await?;
    let co = world.start(world.sidecar("co")?.env("EXAMPLE_PAUSE_MS", 500)).await?;

    let request = login::request(TRANSIT.trim_start_matches("example."));
    // The first one has the connections opened, for which one of two queries may wait for long.
    world.ask(&request).await?.ok()?;
    let id = world.publish(&request).await?;
    world.await_reply(id).await?.ok()?;
    let trace = whole_trace(&world, id).await?;
    let drawing = trace.drawing();

    assert_eq!(trace.roots().len(), 1, "one root:\n{drawing}");
    assert!(trace.orphans().is_empty(), "no orphan:\n{drawing}");
    assert_eq!(trace.services(), BTreeSet::from(["main", "analytic", "co"]), "{drawing}");

    let producer = trace.roots()[0];
    assert_eq!(
        (producer.kind, producer.name.as_str(), producer.service.as_str()),
        (Kind::Producer, format!("publish tpro.analytic.{TRANSIT}").as_str(), "main"),
        "{drawing}"
    );
    let client = only(&trace, producer, Kind::Client)?;
    assert_eq!(
        (client.service.as_str(), client.name.as_str()),
        ("main", format!("analytic.{TRANSIT}").as_str())
    );
    assert_eq!((client.attribute("rpc.system"), client.attribute("messaging.system")), ("jsonrpc", "nats"));
    let settle = only(&trace, producer, Kind::Internal)?;
    assert_eq!((settle.service.as_str(), settle.name.as_str()), ("main", "settle"), "{drawing}");

    let server = only(&trace, client, Kind::Server)?;
    assert_eq!(
        (server.service.as_str(), server.name.as_str()),
        ("analytic", format!("analytic.{TRANSIT}").as_str())
    );
    assert_eq!(server.attribute("tpro.repeat"), "false", "{:?}", server.attributes);
    let below = trace.children(server);
    let (calls, queries): (Vec<_>, Vec<_>) = below
        .into_iter()
        .filter(|span| span.kind == Kind::Client)
        .partition(|span| span.name == format!("co.{PARALLEL}"));
    assert_eq!((calls.len(), selects(&queries).len()), (1, 2), "{drawing}");
    overlap(&selects(&queries), &drawing);
    assert!(calls[0].overlaps(selects(&queries)[0]), "the call overlaps the queries:\n{drawing}");

    let server = only(&trace, calls[0], Kind::Server)?;
    assert_eq!((server.service.as_str(), server.name.as_str()), ("co", format!("co.{PARALLEL}").as_str()));
    let queries = trace.children(server);
    assert_eq!(selects(&queries).len(), 2, "{drawing}");
    overlap(&selects(&queries), &drawing);

    for span in &trace.spans {
        assert!(span.end_ns >= span.start_ns && !span.failed, "{span:?}");
        for text in ["db.statement", "db.query.text"] {
            assert!(!span.attribute(text).contains("login342"), "{span:?}");
        }
    }
    world.finish(&[&main, &analytic, &co]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_session_that_has_a_trace_is_its_parent() -> Outcome {
    let world = World::new().await?;
    let _answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    let main = world.run("main").await?;
    let trace = "0af7651916cd43dd8448eb211c80319c";
    world.main.batch_execute(&format!("SET tpro.traceparent = '00-{trace}-b7ad6b7169203331-01'")).await?;
    let id = world.publish(&Message::to("old.thing.ask").protocol("json")).await?;
    assert_eq!(world.main.query_one("SELECT tpro.trace_id($1)", &[&id]).await?.get::<_, &str>(0), trace);
    world.await_reply(id).await?.ok()?;
    let producer = eventually_some("the PRODUCER span has arrived", async || {
        let trace = world.collector.trace(trace);
        Ok(trace.of("main", Kind::Producer).first().map(|span| (*span).clone()))
    })
    .await?;
    assert_eq!(producer.parent.as_deref(), Some("b7ad6b7169203331"));
    world.finish(&[&main]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_service_that_keeps_every_trace_names_its_spans_whatever_its_caller_keeps() -> Outcome {
    let world = Rogue::world().await?;
    let main = world.start(world.sidecar("main")?.env("OTEL_TRACES_SAMPLER", "always_off")).await?;
    let rogue = world.start(Rogue::copy(&world, 1)?.env("OTEL_TRACES_SAMPLER", "always_on")).await?;
    for method in ["stateless.echo", "default.effect", "transactional.effect"] {
        world.ask(&Rogue::request(method, json!({}))).await?.ok()?;
    }
    let servers = eventually_some("the SERVER spans have arrived", async || {
        let spans = world.collector.spans().into_iter().filter(|span| span.kind == Kind::Server);
        let servers: Vec<_> = spans.collect();
        Ok((servers.len() >= 3).then_some(servers))
    })
    .await?;
    for server in servers {
        assert_eq!(server.name, format!("rogue.{}", server.attribute("rpc.method")), "{server:?}");
    }
    assert!(world.collector.spans().iter().all(|span| !span.name.is_empty() && span.service == "rogue"));
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_dispatcher_that_finds_nothing_makes_no_spans() -> Outcome {
    let world = World::new().await?;
    let main = world.start(world.sidecar("main")?.env("POLL_INTERVAL_MS", 20)).await?;
    let read = main.metric("tpro_reads_total").await?;
    eventually_some("it has looked often", async || {
        Ok((main.metric("tpro_reads_total").await? >= read + 10.0).then_some(()))
    })
    .await?;
    main.stop().await?;
    let spans = world.collector.spans();
    assert!(spans.iter().all(|span| span.name == START), "{spans:?}");
    assert!(!spans.is_empty(), "what it had was sent before it ended");
    world.finish(&[]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn each_start_of_a_copy_is_a_span_that_names_its_host_and_its_failure() -> Outcome {
    let world = World::new().await?;
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname")?.trim().to_owned();
    let mut pids = BTreeSet::new();
    for version in ["1.0", "1.1"] {
        let main = world.start(world.sidecar("main")?.version(version)).await?;
        pids.insert(main.process().pid().to_string());
        main.stop().await?;
    }
    let two = starts(&world);
    assert_eq!(two.len(), 2, "{two:?}");
    for (start, version) in two.iter().zip(["1.0", "1.1"]) {
        assert_eq!((start.kind, start.parent.as_deref(), start.failed), (Kind::Internal, None, false));
        assert_eq!(start.resource.get("service.version").map(String::as_str), Some(version), "{start:?}");
        assert_eq!(start.resource.get("host.name"), Some(&host), "{start:?}");
        assert_eq!(start.attribute("tpro.ready"), "true", "{start:?}");
        assert!(start.attribute("tpro.source").starts_with("main/"), "{start:?}");
        assert!(pids.remove(start.attribute("process.pid")), "{start:?}");
    }
    assert!(two[0].end_ns < two[1].start_ns, "one ended before the other began: {two:?}");

    // A start that fails is an error. A copy that is stopped while it starts is none.
    let refused = world.spawn(world.sidecar("main")?.env("NATS_TOKEN", "a wrong one"))?;
    assert!(!refused.wait().await?.success(), "it was let in");
    let failed = starts(&world).pop().context("the third start")?;
    assert!(failed.failed && failed.attribute("tpro.ready") == "false", "{failed:?}");
    let nowhere = format!("nats://127.0.0.1:{}", free_port()?);
    let waiting = world.spawn(world.sidecar("main")?.env("NATS_URL", nowhere))?;
    eventually_some("it waits for NATS", async || {
        Ok(waiting.get("/readyz").await.ok().filter(|answer| answer.body.contains("nats")))
    })
    .await?;
    waiting.stop().await?;
    let stopped = starts(&world).pop().context("the fourth start")?;
    assert!(!stopped.failed && stopped.attribute("tpro.ready") == "false", "{stopped:?}");
    assert_eq!(starts(&world).len(), 4);
    world.finish(&[]).await?;
    Ok(())
}

/// The spans of starts, in their order.
fn starts(world: &World) -> Vec<SpanRecord> {
    world.collector.spans().into_iter().filter(|span| span.name == START).collect()
}

/// The trace of a message of `main`, when all of it has arrived: spans come in batches, the root among the last.
async fn whole_trace(world: &World, id: i64) -> Outcome<Trace> {
    let trace_id: String = world.main.query_one("SELECT tpro.trace_id($1)", &[&id]).await?.get(0);
    eventually_some("the trace is whole", async || {
        let trace = world.collector.trace(&trace_id);
        let settled = trace.spans.iter().any(|span| span.name == "settle");
        Ok((settled && trace.services().len() == 3 && trace.orphans().is_empty()).then_some(trace))
    })
    .await
    .map_err(|failure| {
        failure.during(format!("what has come:\n{}", world.collector.trace(&trace_id).drawing()))
    })
}

fn only<'a>(trace: &'a Trace, parent: &SpanRecord, kind: Kind) -> Outcome<&'a SpanRecord> {
    let mut children = trace.children(parent).into_iter().filter(|span| span.kind == kind);
    let child =
        children.next().context(format!("{} has no {kind:?} child:\n{}", parent.name, trace.drawing()))?;
    assert!(
        children.next().is_none(),
        "{} has more than one {kind:?} child:\n{}",
        parent.name,
        trace.drawing()
    );
    Ok(child)
}

fn selects<'a>(spans: &[&'a SpanRecord]) -> Vec<&'a SpanRecord> {
    spans.iter().copied().filter(|span| span.name.starts_with("SELECT")).collect()
}

fn overlap(queries: &[&SpanRecord], drawing: &str) {
    assert!(queries[0].overlaps(queries[1]), "the queries overlap:\n{drawing}");
    let backend = |span: &SpanRecord| span.attribute("tpro.backend_pid").to_owned();
    assert_ne!(backend(queries[0]), backend(queries[1]), "a connection each:\n{drawing}");
}
