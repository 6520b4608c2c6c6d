//! The real program: spans in by gRPC, Jaeger's JSON and pages out, and how it starts and stops.

use std::net::TcpListener;
use std::process::Command;

use futures_util::future::join_all;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::trace::v1::{Status, span::Event, span::Link};
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;

mod common;
use common::{Outcome, Viewer, command, span, text};

const INTERNAL: i32 = 1;
const SERVER: i32 = 2;
const CLIENT: i32 = 3;
const PRODUCER: i32 = 4;

fn spans_of(trace: &Value) -> Vec<Value> {
    trace["spans"].as_array().cloned().unwrap_or_default()
}

fn tag(span: &Value, key: &str) -> Value {
    let tags = span["tags"].as_array().cloned().unwrap_or_default();
    tags.into_iter().find(|tag| tag["key"] == key).map_or(Value::Null, |tag| tag["value"].clone())
}

#[tokio::test]
async fn a_trace_of_two_services_is_whole_although_children_came_first() -> Outcome {
    let viewer = Viewer::start()?;
    viewer.send("analytic", vec![span(1, 3, 2, "example.simple", SERVER, 20, 80)]).await?;
    let mut settle = span(1, 4, 1, "settle", INTERNAL, 90, 95);
    settle.links = vec![Link { trace_id: vec![9; 16], span_id: vec![9; 8], ..Link::default() }];
    let client = span(1, 2, 1, "analytic.example.simple", CLIENT, 10, 85);
    viewer.send("main", vec![client, settle]).await?;
    viewer.send("main", vec![span(1, 1, 0, "publish", PRODUCER, 0, 5)]).await?;

    let trace = &viewer.data(&format!("/api/traces/{}", "01".repeat(16))).await?[0];
    let spans = spans_of(trace);
    let names: Vec<_> = spans.iter().map(|span| span["operationName"].as_str().unwrap_or("")).collect();
    assert_eq!(names, ["publish", "analytic.example.simple", "example.simple", "settle"]);
    let kinds: Vec<_> = spans.iter().map(|span| tag(span, "span.kind")).collect();
    assert_eq!(kinds, ["producer", "client", "server", "internal"]);
    let services: Vec<_> = spans
        .iter()
        .map(|span| &trace["processes"][span["processID"].as_str().unwrap_or("")]["serviceName"])
        .collect();
    assert_eq!(services, ["main", "main", "analytic", "main"]);
    assert_eq!(spans[0]["references"], serde_json::json!([]));
    assert_eq!(spans[2]["references"][0]["spanID"], "0202020202020202");
    assert_eq!(spans[3]["references"][0]["refType"], "CHILD_OF", "the parent comes before the link");
    assert_eq!(spans[3]["references"][1]["refType"], "FOLLOWS_FROM");
    assert_eq!(spans[2]["duration"], 60_000);

    assert_eq!(viewer.data("/api/services").await?, serde_json::json!(["analytic", "main"]));
    let calls = viewer.data("/api/dependencies").await?;
    assert_eq!(calls, serde_json::json!([{ "parent": "main", "child": "analytic", "callCount": 1 }]));
    Ok(())
}

#[tokio::test]
async fn a_trace_that_continues_a_strangers_is_found_by_search() -> Outcome {
    let viewer = Viewer::start()?;
    let mut server = span(2, 2, 1, "example.simple", SERVER, 0, 50);
    server.attributes = vec![text("tpro.target", "tpro.analytic.example.simple")];
    server.status = Some(Status { code: 2, message: "wrong password".to_owned() });
    server.events = vec![Event { name: "again".to_owned(), ..Event::default() }];
    viewer.send("analytic", vec![server]).await?;
    viewer.send("co", vec![span(3, 1, 0, "other", SERVER, 0, 10)]).await?;

    for query in [
        "service=analytic",
        "service=analytic&operation=example.simple",
        "service=analytic&tags=%7B%22error%22%3A%22true%22%7D",
        "service=analytic&minDuration=40ms&maxDuration=60ms",
    ] {
        let found = viewer.data(&format!("/api/traces?{query}&limit=20&lookback=1h")).await?;
        assert_eq!(found.as_array().map(Vec::len), Some(1), "{query}");
        let span = &spans_of(&found[0])[0];
        assert_eq!(tag(span, "error"), true);
        assert_eq!(tag(span, "otel.status_description"), "wrong password");
        assert_eq!(span["logs"][0]["fields"][0]["value"], "again");
    }
    let none = viewer.data("/api/traces?service=analytic&minDuration=1s").await?;
    assert_eq!(none, serde_json::json!([]));
    assert_eq!(viewer.get("/api/traces?limit=many").await?.0, 400);
    Ok(())
}

#[tokio::test]
async fn every_address_of_the_ui_is_its_page() -> Outcome {
    let viewer = Viewer::start()?;
    for path in ["/", "/search", "/trace/0123"] {
        let (status, body) = viewer.get(path).await?;
        assert_eq!(status, 200, "{path}");
        assert!(body.contains("<title>Jaeger UI</title>"), "{path}");
    }
    assert_eq!(viewer.get("/static/nothing.js").await?.0, 404);
    assert_eq!(viewer.get("/api/nothing").await?.0, 404);
    assert_eq!(viewer.get("/api/traces/00ff").await?.0, 404);
    assert_eq!(viewer.get("/api/traces/xyz").await?.0, 400);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_it_although_an_exporter_is_connected() -> Outcome {
    let mut viewer = Viewer::start()?;
    let _connected = tokio::net::TcpStream::connect(&viewer.otlp).await?;
    viewer.send("main", vec![span(1, 1, 0, "publish", PRODUCER, 0, 1)]).await?;
    Command::new("kill").args(["-TERM", &viewer.child.id().to_string()]).status()?;
    let status = tokio::task::block_in_place(|| viewer.child.wait());
    assert!(status?.success());
    Ok(())
}

#[test]
fn a_taken_port_is_one_line_that_names_the_flag() -> Outcome {
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?.to_string();
    for (otlp, ui, flag) in
        [(address.as_str(), "127.0.0.1:0", "--otlp"), ("127.0.0.1:0", address.as_str(), "--ui")]
    {
        let output = command(otlp, ui).output()?;
        assert!(!output.status.success());
        let said = String::from_utf8(output.stderr)?;
        assert_eq!(
            said,
            format!("tpro-viewer: {flag} {address}: the port is taken; give another with {flag}\n")
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_page_under_a_strange_name_reads_nothing() -> Outcome {
    let viewer = Viewer::start()?;
    viewer.send("main", vec![span(1, 1, 0, "publish", PRODUCER, 0, 1)]).await?;
    for path in ["/api/services", "/api/traces?service=main", "/", "/static/nothing.js"] {
        for host in ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "10.9.8.7"] {
            let (status, body) = viewer.get_as(host, path).await?;
            assert_eq!(status, 403, "{path} as {host}");
            assert!(!body.contains("main"), "{body}");
        }
    }
    for host in ["localhost", "127.0.0.1:16686", "[::1]:16686", "LOCALHOST:80"] {
        assert_eq!(viewer.get_as(host, "/api/services").await?.0, 200, "as {host}");
    }
    let named = Viewer::with(&["--host", "traces.example"])?;
    assert_eq!(named.get_as("traces.example:443", "/api/services").await?.0, 200);
    Ok(())
}

/// What a viewer may take of memory in these tests, in MiB.
const MEMORY: u64 = 64;

#[tokio::test(flavor = "multi_thread")]
async fn all_that_is_sent_and_asked_stays_within_the_memory_that_was_given() -> Outcome {
    let viewer = Viewer::with(&["--max-memory-mb", &MEMORY.to_string()])?;
    // Traces of a span, each with a name of its own.
    for round in 0..30u32 {
        let spans = (0..2_000u32).map(|n| {
            let mut one = span(1, 1, 0, &format!("operation {round} {n} {}", "n".repeat(100)), SERVER, 0, 5);
            one.trace_id = [&[7; 8][..], &u64::from(round * 2_000 + n + 1).to_be_bytes()].concat();
            one
        });
        viewer.send("names", spans.collect()).await?;
    }
    // Processes that say much about themselves.
    for n in 0..600u32 {
        let one = span(2, (n % 250) as u8 + 1, 0, "start", SERVER, 0, 5);
        viewer.send(&format!("process {n} {}", "p".repeat(60_000)), vec![one]).await?;
    }
    // One trace of many spans with much in them, and questions for it.
    for round in 0..60u32 {
        let spans = (0..100u32).map(|n| {
            let mut one = span(3, 1, 0, "large", SERVER, u64::from(n), u64::from(n) + 5);
            one.span_id = u64::from(round * 100 + n + 1).to_be_bytes().to_vec();
            one.attributes = (0..20).map(|n| text(&format!("key {n}"), &"v".repeat(200))).collect();
            one
        });
        viewer.send("large", spans.collect()).await?;
    }
    let id = "03".repeat(16);
    ask_at_once(
        &viewer,
        &[
            &format!("/api/traces/{id}"),
            "/api/traces?service=large&limit=1500",
            "/api/traces?limit=1500&minDuration=1us",
            "/api/traces?limit=1500&tags=%7B%22key%201%22%3A%22x%22%7D",
            "/api/dependencies",
            "/api/services",
            "/api/operations?service=names",
        ],
    )
    .await?;
    let (_, body) = viewer.get(&format!("/api/traces/{id}")).await?;
    assert!(body.contains("further spans of this trace are too much for one answer"), "{} bytes", body.len());
    // A message that would not fit is refused, and is no reason to grow.
    let huge = span(4, 1, 0, &"x".repeat(20 << 20), SERVER, 0, 1);
    assert!(viewer.send("huge", vec![huge]).await.is_err());
    let most = viewer.peak_memory_kb()?;
    println!("figure: the viewer has taken {} MiB at most, of {MEMORY} that it was given", most / 1024);
    assert!(most <= MEMORY * 1024, "{} MiB at most were asked for, {} taken", MEMORY, most / 1024);
    // What is two bytes on the wire and sixty in memory, as much of it as a span and a message may hold.
    for round in 0..10u32 {
        let spans = (0..16u32).map(|n| {
            let mut one = span(6, 1, 0, "empties", SERVER, 0, 5);
            one.span_id = u64::from(round * 16 + n + 1).to_be_bytes().to_vec();
            one.attributes = vec![KeyValue::default(); 15_000];
            one.events = vec![Event::default(); 7_500];
            one.links = vec![Link::default(); 7_500];
            one
        });
        viewer.send("empties", spans.collect()).await?;
    }
    ask_at_once(
        &viewer,
        &[
            "/api/traces?service=empties&tags=%7B%22key%22%3A%22x%22%7D",
            &format!("/api/traces/{}", "06".repeat(16)),
        ],
    )
    .await?;
    let most = viewer.peak_memory_kb()?;
    println!("figure: with what is thirty times as large when it is looked at, {} MiB at most", most / 1024);
    assert!(most <= 2 * MEMORY * 1024, "{} MiB were taken", most / 1024);
    // And it goes on.
    viewer.send("after", vec![span(5, 1, 0, "after", SERVER, 0, 1)]).await?;
    assert_eq!(viewer.data("/api/traces?service=after").await?.as_array().map(Vec::len), Some(1));
    Ok(())
}

/// Asks each question by eight readers at once: each gets whole JSON, or is told to come again.
async fn ask_at_once(viewer: &Viewer, paths: &[&str]) -> Outcome {
    for path in paths {
        for answer in join_all((0..8).map(|_| viewer.get(path))).await {
            let (status, body) = answer?;
            assert!(status == 200 || status == 503, "{path}: {status}");
            serde_json::from_str::<Value>(&body).map_err(|error| format!("{path}: {error}"))?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn half_requests_keep_no_reader_and_no_exporter_away() -> Outcome {
    let viewer = Viewer::start()?;
    let mut halves = Vec::new();
    for _ in 0..150 {
        for address in [&viewer.ui, &viewer.otlp] {
            let mut half = tokio::net::TcpStream::connect(address).await?;
            half.write_all(b"GET / HTTP/1.1\r\nX-Half: ").await?;
            halves.push(half);
        }
    }
    viewer.send("main", vec![span(1, 1, 0, "publish", PRODUCER, 0, 1)]).await?;
    assert_eq!(viewer.data("/api/services").await?, serde_json::json!(["main"]));
    Ok(())
}
