//! What a copy says of itself over HTTP.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tpro_testkit::process::open_files_max;
use tpro_testkit::{Failure, Message, Outcome, SidecarProcess, World, eventually, listen};

use crate::answerer::Answerer;

#[tpro_testkit::test]
async fn a_copy_tells_health_version_and_metrics() -> Outcome {
    let world = World::new().await?;
    let _answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    let main = world.start(world.sidecar("main")?.version("2.73").copy(3)).await?;
    world.ask(&Message::to("old.thing.ask").protocol("json")).await?.ok()?;

    assert_eq!(main.get("/healthz").await?.status, 200);
    assert_eq!(main.get("/readyz").await?.status, 200);
    let version = main.get("/version").await?;
    assert_eq!(version.status, 200);
    assert!(version.body.contains("main") && version.body.contains("2.73"), "{}", version.body);
    let metrics = main.get("/metrics").await?;
    assert_eq!(metrics.status, 200);
    assert!(metrics.body.ends_with("# EOF\n"), "no Prometheus text: {}", metrics.body);
    assert!(metrics.body.lines().any(|line| line.starts_with("tpro_")), "{}", metrics.body);
    assert_eq!(main.get("/nothing").await?.status, 404);

    world.finish(&[&main]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_copy_is_alive_and_not_ready_while_it_is_drained() -> Outcome {
    let world = World::new().await?;
    // Nobody answers, so that the drain has something to wait for.
    let silent = world.nats.client().await?;
    let _requests = listen(&silent, "tpro.old.>").await?;
    let main = world.start(world.sidecar("main")?.env("STOP_TIMEOUT", 600)).await?;
    let id = world.publish(&Message::to("old.thing.ask").timeout(8)).await?;
    eventually("the request is on its way", async || {
        Ok(world.nats.monitor("/varz").await?["out_msgs"].as_i64() > Some(0)
            && main.metric("tpro_in_flight").await? > 0.0)
    })
    .await?;
    main.signal(tpro_testkit::Signal::TERM)?;
    eventually("it is not ready", async || Ok(main.get("/readyz").await?.status == 503)).await?;
    assert_eq!(main.get("/healthz").await?.status, 200);
    assert!(main.wait().await?.success());
    // Its budget was over within the drain, or the next leader settles it.
    let next = world.start(main.sidecar()).await?;
    assert!(matches!(&*world.await_reply(id).await?.status, "timeout" | "unavailable"));
    world.finish(&[&next]).await?;
    Ok(())
}

/// Connections that each hold half a request.
const HALVES: usize = 3_000;

#[tpro_testkit::test]
async fn half_requests_are_let_go_and_keep_nobody_from_an_answer() -> Outcome {
    let world = World::new().await?;
    let main = world.run("main").await?;
    let before = open_files(&main)?;
    let may_open = usize::try_from(open_files_max(HALVES as u64 + 1_000)?)?;
    let mut halves = Vec::new();
    for n in 0..may_open.saturating_sub(500).min(HALVES) {
        let mut half = TcpStream::connect(("127.0.0.1", main.port())).await?;
        half.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-Half: ").await?;
        halves.push(half);
        if n % 250 == 249 {
            assert_eq!(main.get("/healthz").await?.status, 200, "beside {n} half requests");
            assert_eq!(main.get("/metrics").await?.status, 200, "beside {n} half requests");
        }
    }
    assert!(halves.len() >= 500, "the machine gives only {} connections", halves.len());
    assert_eq!(main.get("/readyz").await?.status, 200);
    let held = open_files(&main)?.saturating_sub(before);
    assert!(held < 200, "{held} connections are held of {}", halves.len());
    // And those that are held go by themselves, each with an end or an error.
    for half in &mut halves {
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(120), half.read_to_end(&mut rest)).await;
        ended.map_err(|_| Failure::new("a half request is held for two minutes"))?.ok();
        assert!(!String::from_utf8_lossy(&rest).contains("200 OK"));
    }
    eventually("no connection is left", async || Ok(open_files(&main)? <= before + 5)).await?;
    world.finish(&[&main]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_header_without_end_is_refused_in_little_memory() -> Outcome {
    let world = World::new().await?;
    let main = world.run("main").await?;
    let mut endless = TcpStream::connect(("127.0.0.1", main.port())).await?;
    endless.write_all(b"GET /healthz HTTP/1.1\r\n").await?;
    let line = format!("X-Long: {}\r\n", "x".repeat(1_000));
    let mut sent = 0;
    // It breaks off, or answers with an error, long before a megabyte.
    while sent < 1_000_000 && endless.write_all(line.as_bytes()).await.is_ok() {
        sent += line.len();
    }
    let mut answer = Vec::new();
    endless.read_to_end(&mut answer).await.ok();
    assert!(!String::from_utf8_lossy(&answer).contains("200 OK"), "after {sent} bytes it was answered");
    assert_eq!(main.get("/healthz").await?.status, 200);
    world.finish(&[&main]).await?;
    Ok(())
}

/// The files and connections that a copy has open.
fn open_files(copy: &SidecarProcess) -> Outcome<usize> {
    Ok(std::fs::read_dir(format!("/proc/{}/fd", copy.process().pid()))?.count())
}
