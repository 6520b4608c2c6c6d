//! A cluster of three NATS servers, as production has it. Each of them is killed once, under load.

use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::task::JoinHandle;
use tokio_postgres::Client;
use tpro_testkit::nats::NatsOptions;
use tpro_testkit::ports::free_port;
use tpro_testkit::{Context, Nats, Outcome, Reply, SidecarProcess, World, eventually, paths};

use crate::login::request;

const SERVERS: usize = 3;
/// Those who ask, each one thing after the other.
const USERS: usize = 8;
/// Messages that are settled before a server is killed, and once more after it.
const ROUND: i64 = 200;

/// The options of each server: all know all.
fn options(token: &str) -> Outcome<Vec<NatsOptions>> {
    let ports = (0..SERVERS).map(|_| free_port()).collect::<Outcome<Vec<u16>>>()?;
    let routes: Vec<String> = ports.iter().map(|port| format!("\"nats://127.0.0.1:{port}\"")).collect();
    let line = |port: &u16| {
        let routes = routes.join(", ");
        format!("cluster {{ name: three, listen: \"127.0.0.1:{port}\", routes: [{routes}] }}")
    };
    Ok(ports.iter().map(|port| Nats::options().token(token).line(&line(port))).collect())
}

/// Waits until each server has a route to both others.
async fn connected(servers: &[&Nats]) -> Outcome {
    for server in servers {
        eventually("a server has routes to all others", async || {
            let routes = server.monitor("/routez").await?["routes"].clone();
            let mut others: Vec<String> =
                routes.as_array().into_iter().flatten().map(|route| route["remote_id"].to_string()).collect();
            // Newer servers have several routes to the same other one.
            others.sort();
            others.dedup();
            Ok(others.len() == SERVERS - 1)
        })
        .await?;
    }
    Ok(())
}

/// Asks until it is enough. Each request has to be answered within its time.
async fn user(session: Client, enough: Arc<AtomicBool>) -> Outcome {
    let request = request("request_with_parallel_queries");
    while !enough.load(Ordering::Relaxed) {
        let id = request.publish(&session).await?;
        Reply::wait(&session, "main", id).await?.ok()?;
    }
    Ok(())
}

/// Waits until a round of messages is settled, or a user has failed.
async fn settles(world: &World, users: &[JoinHandle<Outcome>]) -> Outcome {
    const SETTLED: &str = "SELECT count(*) FROM main_service.mq_reply";
    let before = world.count(SETTLED).await?;
    eventually("messages are settled", async || {
        Ok(users.iter().any(JoinHandle::is_finished) || world.count(SETTLED).await? >= before + ROUND)
    })
    .await
}

/// How often each copy has lost its server.
async fn losses(copies: &[Arc<SidecarProcess>]) -> Outcome<Vec<f64>> {
    let mut losses = Vec::new();
    for copy in copies {
        losses.push(copy.metric("tpro_nats_disconnects_total").await?);
    }
    Ok(losses)
}

#[tpro_testkit::test]
async fn each_server_of_a_cluster_is_killed_and_no_message_is_lost() -> Outcome {
    const TOKEN: &str = "of-all-three";
    let mut options = options(TOKEN)?.into_iter();
    let first = options.next().unwrap_or_default();
    let world = World::options().nats(first).start().await?;
    world.database.load_demo().await?;
    let mut others = Vec::new();
    for other in options {
        others.push(other.start().await?);
    }
    let servers: Vec<&Nats> = [&world.nats].into_iter().chain(&others).collect();
    connected(&servers).await?;

    // Some know all servers, and some know one of them, which tells of the others.
    let all = servers.iter().map(|server| server.url()).collect::<Vec<_>>().join(",");
    let mut copies = Vec::new();
    for (service, number, urls) in [
        ("main", 1, &all),
        ("main", 2, &servers[1].url()),
        ("analytic", 1, &servers[2].url()),
        ("analytic", 2, &all),
    ] {
        let copy = world.sidecar(service)?.copy(number).env("NATS_URL", urls);
        copies.push(world.start(copy).await?);
    }

    let enough = Arc::new(AtomicBool::new(false));
    let mut users = Vec::new();
    for _ in 0..USERS {
        users.push(tokio::spawn(user(world.database.connect_as("main").await?, enough.clone())));
    }
    for server in &servers {
        settles(&world, &users).await?;
        server.kill().await?;
        settles(&world, &users).await?;
        for copy in &copies {
            copy.ready().await?;
        }
        server.start().await?;
        connected(&servers).await?;
    }
    enough.store(true, Ordering::Relaxed);
    for user in users {
        user.await??;
    }

    // Nobody has waited for as long as a request may take, from the publish on.
    const TOO_LONG: &str =
        "SELECT count(*) FROM main_service.mq_reply r JOIN main_service.mq_publish p ON p.id = r.mq_id
        WHERE r.replied_at - p.created_at >= make_interval(secs => p.timeout)";
    assert_eq!(world.count(TOO_LONG).await?, 0);
    const LONGEST: &str = "SELECT (extract(epoch FROM max(r.replied_at - p.created_at)) * 1000)::int8
        FROM main_service.mq_reply r JOIN main_service.mq_publish p ON p.id = r.mq_id";
    println!("figure: the longest wait for a reply: {} ms", world.count(LONGEST).await?);

    // Wherever a copy was, its server was killed.
    let losses = losses(&copies).await?;
    assert!(losses.iter().all(|times| *times > 0.0), "{losses:?}");
    let alive: Vec<&Arc<SidecarProcess>> = copies.iter().collect();
    world.finish(&alive).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn nats_server_takes_the_configuration_that_the_page_shows() -> Outcome {
    let page = fs::read_to_string(paths::checkout().join("docs/operations.md"))?;
    let mut blocks = page.split("```");
    let shown = blocks.find(|block| block.trim_start().starts_with("# /etc/nats/nats-server.conf"));
    let template = fs::read_to_string(paths::checkout().join("docker/nats-user.conf"))?;
    let user = |name: &str| template.replace("@NAME@", name).replace("@TARGETS@", "\"tpro.>\"");
    let folder = paths::run_root()?.join(format!("page-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("users.conf"), format!("users: [{}{}]", user("main"), user("analytic")))?;
    let configuration = folder.join("nats-server.conf");
    fs::write(&configuration, shown.context("the page shows no configuration")?)?;
    let tested = Command::new("nats-server").arg("-t").arg("-c").arg(&configuration).output()?;
    fs::remove_dir_all(&folder)?;
    assert!(tested.status.success(), "{}", String::from_utf8_lossy(&tested.stderr));
    Ok(())
}
