//! The test kit itself: what the other tests stand on.

use std::fs;
use std::process::Command;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tpro_testkit::proxy::Fault;
use tpro_testkit::{Context, Nats, Outcome, Postgres, Process, Proxy, Signal, StopMode, eventually};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_has_the_extension_and_comes_back_after_a_crash() -> Outcome {
    let cluster = Postgres::own().set("work_mem", "5MB").start().await?;
    let database = cluster.database().await?;
    database.create_service("main").await?;
    let before = database.connect_as("main").await?;
    let sender =
        before.query_one("SELECT current_setting('tpro.sender'), current_setting('work_mem')", &[]).await?;
    assert_eq!((sender.get(0), sender.get(1)), ("main", "5MB"));

    cluster.restart(StopMode::Immediate).await?;

    assert!(before.simple_query("SELECT 1").await.is_err());
    let after = database.connect().await?;
    after.query_one("SELECT count(*) FROM main_service.mq_publish", &[]).await?;
    assert!(cluster.log().contains("was not properly shut down"));
    let folder = cluster.data();
    drop(database);
    drop(cluster);
    assert!(!folder.exists(), "the files of a dropped cluster are removed");
    Ok(())
}

#[tokio::test]
async fn a_nats_server_wants_its_token_and_restarts_on_its_port() -> Outcome {
    let nats = Nats::new().await?;
    assert!(async_nats::connect(nats.url()).await.is_err());
    let client = nats.client().await?;
    let port = nats.port();
    nats.kill().await?;
    nats.start().await?;
    assert_eq!(nats.port(), port);
    eventually("the client is connected again", async || {
        Ok(client.connection_state() == async_nats::connection::State::Connected)
    })
    .await?;
    assert!(nats.monitor("/varz").await?["version"].is_string());
    Ok(())
}

#[tokio::test]
async fn a_process_dies_with_the_test_that_started_it() -> Outcome {
    let log = std::env::temp_dir().join(format!("tpro-kit-{}.log", std::process::id()));
    let mut command = Command::new("sh");
    command.args(["-c", "echo started; exec sleep 1000"]);
    let process = Process::start("a sleeper", command, &log, Signal::KILL, None)?;
    eventually("it has written", async || Ok(process.log().contains("started"))).await?;
    // A stopped process is the hard case.
    process.signal(Signal::STOP)?;
    let pid = process.pid();
    drop(process);
    assert!(!fs::exists(format!("/proc/{pid}"))?);
    fs::remove_file(log)?;
    Ok(())
}

#[tokio::test]
async fn a_proxy_delays_swallows_cuts_and_resets() -> Outcome {
    let echo = TcpListener::bind(("127.0.0.1", 0)).await?;
    let proxy = Proxy::start(echo.local_addr()?.port()).await?;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = echo.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = stream.split();
                tokio::io::copy(&mut read, &mut write).await
            });
        }
    });
    let connect = async || TcpStream::connect(("127.0.0.1", proxy.port())).await;
    let mut word = [0; 4];

    let mut stream = connect().await?;
    stream.write_all(b"word").await?;
    stream.read_exact(&mut word).await?;
    assert_eq!(&word, b"word");
    assert_eq!((proxy.open(), proxy.carried()), (1, 8));

    proxy.set(Fault::Pause);
    stream.write_all(b"held").await?;
    assert!(tokio::time::timeout(Duration::from_millis(50), stream.read_exact(&mut word)).await.is_err());
    proxy.set(Fault::None);
    stream.read_exact(&mut word).await?;
    assert_eq!(&word, b"held");

    proxy.set(Fault::BlackHole);
    stream.write_all(b"gone").await?;
    assert!(tokio::time::timeout(Duration::from_millis(50), stream.read_exact(&mut word)).await.is_err());

    proxy.set(Fault::None);
    let behind_a_gap = stream.read(&mut word).await.err().context("the connection goes on")?;
    assert_eq!(behind_a_gap.kind(), std::io::ErrorKind::ConnectionReset);

    let mut stream = connect().await?;
    proxy.set(Fault::CutAfter(2));
    stream.write_all(b"torn").await?;
    assert!(stream.read_exact(&mut word).await.is_err(), "the connection is cut in the middle of a word");

    proxy.set(Fault::None);
    let mut stream = connect().await?;
    stream.write_all(b"word").await?;
    stream.read_exact(&mut word).await?;
    proxy.set(Fault::Reset);
    let reset = stream.read(&mut word).await.err().context("the connection goes on")?;
    assert_eq!(reset.kind(), std::io::ErrorKind::ConnectionReset);
    Ok(())
}
