//! A user of NATS for each service, as the shipped configuration has them: all that tpro does works, and nobody sees, forges or
//! takes what is another's.

use std::collections::BTreeSet;
use std::fs;

use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Duration, timeout};
use tpro_testkit::ports::free_port;
use tpro_testkit::{
    Context as _, Message, Nats, Outcome, Process, Signal, World, eventually, heard, listen, paths,
};

use crate::labels::Listener;
use crate::raw::Raw;
use crate::rogue::Rogue;

/// Words that are in bodies and nowhere else.
const CANARY: &str = "canary-body-5e1b";

/// Services `main` and `caller`, who may ask anybody, `rogue`, who may ask `caller`, and `bystander`, who may ask nobody.
async fn world() -> Outcome<World> {
    let nats = Nats::options()
        .service("main", "\"tpro.>\"")?
        .service("caller", "\"tpro.>\"")?
        .service("rogue", "\"tpro.caller.>\"")?
        .service("bystander", "")?;
    let services = ["main", "rogue", "caller", "bystander"];
    let world = World::options().services(&services).nats(nats).start().await?;
    world.admin.batch_execute(Rogue::EFFECTS).await?;
    Ok(world)
}

#[tpro_testkit::test]
async fn every_kind_of_message_passes_between_services_with_a_user_each() -> Outcome {
    let world = world().await?;
    let main = world.start(world.sidecar("main")?.env("ATTEMPT_TIMEOUT_MS", 300)).await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    let second = world.start(Rogue::copy(&world, 2)?).await?;
    let caller = world.start(world.sidecar_of("caller", paths::rogue()?)).await?;

    let body = json!({"canary": CANARY});
    assert_eq!(world.ask(&Rogue::request("default.echo", body.clone())).await?.ok()?, body);
    assert_eq!(world.ask(&Rogue::request("transactional.effect", json!({}))).await?.status, "ok");
    // An event, and a call of a handler.
    assert_eq!(world.ask(&Rogue::request("default.effect", json!({})).timeout(0)).await?.status, "ok");
    let call = json!({"target": "tpro.rogue.default.echo", "body": {"n": 1}});
    let reply = world.ask(&Message::to("caller.default.call").body(call)).await?;
    assert_eq!(reply.ok()?, json!([{"n": 1}, {"n": 1}]));
    // A reply that is published to the label of its message.
    let listener = Listener::on(&world, "$$.nats-pwl-reply.orders").await?;
    world.ask(&Rogue::request("default.echo", json!({"n": 1})).reply_to("orders")).await?.ok()?;
    assert_eq!(listener.hears(1).await?[0].payload, "{\"n\":1}");
    // "Working on it", more than once, and then the answer.
    let lock = Rogue::hold(&world).await?;
    let id = world.publish(&Rogue::request("default.effect", Rogue::held()).timeout(600)).await?;
    eventually("it was asked for again and again", async || {
        let repeats = [rogue.metric("tpro_not_run_total").await?, second.metric("tpro_not_run_total").await?];
        Ok(repeats.iter().sum::<f64>() >= 3.0)
    })
    .await?;
    drop(lock);
    assert_eq!(world.await_reply(id).await?.status, "ok");
    // A client that knows nothing of tpro asks and is asked.
    let stranger = world.nats.client().await?;
    let request =
        json!({"jsonrpc": "2.0", "id": 1, "method": "default.echo", "params": {"a": 1}}).to_string();
    #[expect(clippy::disallowed_methods, reason = "this is how a client that knows nothing of tpro asks")]
    let answer = stranger.request("tpro.rogue.default.echo", request.into()).await?;
    let answer: Value = serde_json::from_slice(&answer.payload)?;
    assert_eq!(answer["result"], json!({"a": 1}));
    let mut asked = listen(&stranger, "tpro.old.thing.ask").await?;
    let answering = tokio::spawn(async move {
        if let Some(message) = asked.next().await
            && let Some(reply) = message.reply
        {
            let _ = stranger.publish(reply, "{\"old\":true}".into()).await;
            let _ = heard(&stranger).await;
        }
    });
    let reply = world.ask(&Message::to("old.thing.ask").protocol("json").timeout(60)).await?;
    assert_eq!(reply.ok()?, json!({"old": true}));
    answering.await?;
    // A copy that goes leaves its queue group in good order, and one that is back says so.
    second.stop().await?;
    world.nats.stop().await?;
    world.nats.start().await?;
    for copy in [&main, &rogue, &caller] {
        copy.ready().await?;
    }
    assert_eq!(world.ask(&Rogue::request("default.echo", body.clone())).await?.ok()?, body);
    for copy in [&main, &rogue, &second, &caller] {
        let log = copy.log();
        let said = log.lines().find(|line| line.to_lowercase().contains("violation"));
        assert_eq!(said, None, "{} was forbidden something", copy.process().name());
    }
    world.finish(&[&main, &rogue, &caller]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_bystander_sees_no_body_forges_no_reply_and_joins_no_queue() -> Outcome {
    let world = world().await?;
    let main = world.start(world.sidecar("main")?.env("ATTEMPT_TIMEOUT_MS", 600_000)).await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    let mut bystander = Raw::log_in(&world.nats, "bystander").await?;
    for (subject, queue) in [
        (">", ""),
        ("*.>", ""),
        ("tpro.>", ""),
        ("tpro.rogue.>", ""),
        ("tpro.rogue.>", "rogue-queue"),
        ("tpro.*.default.echo", "bystander-queue"),
        ("tpro.bystander.>", ""),
        ("_INBOX.>", ""),
        ("_INBOX.tpro.>", ""),
        ("_INBOX.tpro.main.>", ""),
        ("_INBOX.tpro.*.*.*.*.*", ""),
        ("_TPRO.>", ""),
        ("_TPRO.serve.tpro.rogue", ""),
        ("$SYS.>", ""),
        ("$SRV.>", ""),
        ("$$.nats-pwl-reply.>", ""),
    ] {
        let told = bystander.told_of(format!("SUB {subject} {queue} 9").as_bytes()).await?;
        assert!(told.contains("Permissions Violation for Subscription"), "{subject} {queue}: {told}");
    }
    // A message is under way: its reply subject is known to whoever answers it, and to nobody else. Even who knows it cannot use it.
    let lock = Rogue::hold(&world).await?;
    let held = Rogue::request("default.effect", Rogue::held()).timeout(600);
    let id = world.publish(&held).await?;
    Rogue::waiting(&world, 1).await?;
    let uid: String = world
        .admin
        .query_one("SELECT uid::text FROM main_service.mq_publish WHERE id = $1", &[&id])
        .await?
        .get(0);
    let instance: String = world.admin.query_one("SELECT tpro.instance()::text", &[]).await?.get(0);
    let inbox = format!("_INBOX.tpro.main.{}", &instance[..8]);
    let forged = json!({"jsonrpc": "2.0", "id": uid, "result": {"forged": true}}).to_string();
    for subject in [
        format!("{inbox}.rogue.{uid}.1"),
        format!("{inbox}.{uid}.1"),
        format!("{inbox}.0a0b0c0d.rogue.{uid}.1"),
        "tpro.rogue.default.echo".to_owned(),
        "tpro.main.default.echo".to_owned(),
        "_TPRO.back.tpro.rogue".to_owned(),
        "_TPRO.serve.tpro.rogue".to_owned(),
        "$$.nats-pwl-other.x".to_owned(),
        "$SYS.REQ.SERVER.PING".to_owned(),
    ] {
        let told =
            bystander.told_of(format!("PUB {subject} {}\r\n{forged}", forged.len()).as_bytes()).await?;
        assert!(told.contains("Permissions Violation for Publish"), "{subject}: {told}");
    }
    // What it may publish to, in its own name, settles nothing of others.
    let own = format!("{inbox}.bystander.{uid}.1");
    let told = bystander.told_of(format!("PUB {own} {}\r\n{forged}", forged.len()).as_bytes()).await?;
    assert!(!told.contains("Violation"), "{told}");
    eventually("the leader has dropped it", async || {
        Ok(main.metric_of("tpro_dropped_replies_total", "reason=\"responder\"").await? == 1.0)
    })
    .await?;
    drop(lock);
    let reply = world.await_reply(id).await?;
    assert_eq!((reply.status.as_str(), reply.attempts), ("ok", 1), "{reply:?}");
    assert_eq!(reply.result["number"], 1, "{reply:?}");
    for _ in 0..20 {
        let body = json!({"canary": CANARY});
        assert_eq!(world.ask(&Rogue::request("default.echo", body.clone())).await?.ok()?, body);
    }
    bystander.flush().await?;
    assert!(!bystander.has_heard(CANARY), "it saw a body");
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}

/// Pages of nats-server's monitoring, of a copy and of the viewer, with all they can be asked to show.
const PAGES: [&str; 18] = [
    "/",
    "/varz",
    "/connz?auth=1&subs=detail&state=any",
    "/connz?auth=true&subs=1&state=closed",
    "/subsz?subs=1&test=tpro.main.x.y",
    "/routez?subs=detail",
    "/gatewayz?accs=1&accz_detail=1",
    "/leafz?subs=1",
    "/accountz?acc=$G",
    "/accstatz?unused=1",
    "/jsz?config=1&accounts=1&streams=1&consumers=1",
    "/healthz",
    "/stacksz",
    "/readyz",
    "/metrics",
    "/version",
    "/api/services",
    "/api/traces?service=main",
];

#[tpro_testkit::test]
async fn no_port_that_is_opened_shows_a_secret() -> Outcome {
    let world = world().await?;
    let (otlp, ui) = (free_port()?, free_port()?);
    let mut viewer = std::process::Command::new(paths::binary("tpro-viewer", "tpro-viewer")?);
    viewer.args(["--otlp", &format!("127.0.0.1:{otlp}"), "--ui", &format!("127.0.0.1:{ui}")]);
    let viewer = Process::start("viewer", viewer, &world.folder().join("viewer.out"), Signal::KILL, None)?;
    let traced = |sidecar: tpro_testkit::Sidecar| {
        sidecar.env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://127.0.0.1:{otlp}"))
    };
    let main = world.start(traced(world.sidecar("main")?)).await?;
    let rogue = world.start(traced(Rogue::copy(&world, 1)?)).await?;
    let body = json!({"canary": CANARY});
    world.ask(&Rogue::request("default.echo", body)).await?.ok()?;
    // One that was refused is on a page of its own.
    let refused = world.spawn(Rogue::copy(&world, 2)?.env("NATS_PASSWORD", "canary-password-90d3"))?;
    assert!(!refused.wait().await?.success());

    let secrets =
        [world.nats.password(), world.database.cluster().role_password(), "canary-password-90d3", CANARY];
    let mut shown = 0;
    for (name, pid) in [
        ("nats-server", world.nats.pid()?),
        ("main", main.process().pid()),
        ("rogue", rogue.process().pid()),
        ("viewer", viewer.pid()),
    ] {
        let ports = listening(pid)?;
        assert!(!ports.is_empty(), "{name} listens somewhere");
        for port in ports {
            for page in PAGES {
                let text = ask(port, page).await?;
                shown += text.len();
                for secret in secrets {
                    assert!(!text.contains(secret), "{name}, port {port}, {page} shows {secret}: {text}");
                }
            }
        }
    }
    assert!(shown > 10_000, "it was shown something: {shown} bytes");
    let connections = ask(world.nats.monitor_port(), PAGES[2]).await?;
    assert!(
        connections.contains("\"authorized_user\": \"main\""),
        "the page that names users: {connections}"
    );
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}

/// What a port answers to a GET, whatever it speaks.
async fn ask(port: u16, page: &str) -> Outcome<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.context("connecting")?;
    stream.write_all(format!("GET {page} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n").as_bytes()).await?;
    let mut answer = Vec::new();
    // One that speaks something else may neither answer nor close.
    let _ = timeout(Duration::from_secs(2), stream.read_to_end(&mut answer)).await;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// The ports on which a process listens.
fn listening(pid: u32) -> Outcome<BTreeSet<u16>> {
    let mut sockets = BTreeSet::new();
    for file in fs::read_dir(format!("/proc/{pid}/fd"))? {
        let Ok(target) = fs::read_link(file?.path()) else { continue };
        let target = target.to_string_lossy().into_owned();
        sockets.extend(
            target.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']')).map(str::to_owned),
        );
    }
    let mut ports = BTreeSet::new();
    for table in ["tcp", "tcp6"] {
        for line in fs::read_to_string(format!("/proc/{pid}/net/{table}"))?.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            if words.len() > 9 && words[3] == "0A" && sockets.contains(words[9]) {
                let (_, port) = words[1].rsplit_once(':').context("an address has a port")?;
                ports.insert(u16::from_str_radix(port, 16)?);
            }
        }
    }
    Ok(ports)
}
