//! The test kit itself: what the other tests stand on.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tpro_testkit::eventually::DEADLINE;
use tpro_testkit::process::signal_pid;
use tpro_testkit::proxy::Fault;
use tpro_testkit::{
    Context, Nats, Outcome, Postgres, Process, Proxy, Recon, Sidecar, Signal, StopMode, World, eventually,
    listen,
};

#[tpro_testkit::test(threads = 3)]
async fn a_test_runs_on_as_many_threads_as_it_asks_for() -> Outcome {
    assert_eq!(tokio::runtime::Handle::current().metrics().num_workers(), 3);
    Ok(())
}

#[tpro_testkit::test]
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

#[tpro_testkit::test]
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

#[tpro_testkit::test]
async fn a_subscription_is_known_to_the_server_before_anybody_else_publishes() -> Outcome {
    let nats = Nats::new().await?;
    let far = Proxy::start(nats.port()).await?;
    let listener = async_nats::ConnectOptions::with_token(nats.token().to_owned())
        .connect(format!("nats://127.0.0.1:{}", far.port()))
        .await?;
    let speaker = nats.client().await?;
    // The listener has written its subscription long before the server has it.
    far.set(Fault::Latency(Duration::from_millis(300)));
    for subject in ["far.one", "far.two"] {
        let mut messages = listen(&listener, subject).await?;
        speaker.publish(subject, "a word".into()).await?;
        let message = tokio::time::timeout(DEADLINE, messages.next()).await?.context("a message")?;
        assert_eq!(message.payload, "a word");
    }
    Ok(())
}

#[tpro_testkit::test]
async fn a_program_without_failpoints_is_a_failure_that_says_so_and_not_a_long_wait() -> Outcome {
    let folder = std::env::temp_dir().join(format!("tpro-kit-failpoints-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let program = folder.join("plain");
    fs::write(&program, "#!/bin/sh\necho it starts\nexec sleep 1000\n")?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
    let copy = Sidecar::new("main", program, &folder).stand_still_at("dispatcher.before_send", 0).spawn()?;
    for failure in [copy.stands_still_at("dispatcher.before_send").await, copy.ready().await] {
        let said = failure.expect_err("it has no failpoints").to_string();
        assert!(said.contains("without failpoints") && said.contains("--all-targets"), "{said}");
    }
    drop(copy);
    fs::remove_dir_all(&folder)?;
    Ok(())
}

#[tpro_testkit::test]
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

#[tpro_testkit::test]
async fn a_process_that_is_told_to_stand_still_does_nothing_more() -> Outcome {
    let log = std::env::temp_dir().join(format!("tpro-kit-still-{}.log", std::process::id()));
    let mut command = Command::new("sh");
    command.args(["-c", "while :; do echo word; done"]);
    let process = Process::start("a writer", command, &log, Signal::KILL, None)?;
    for _ in 0..300 {
        let before = fs::metadata(&log)?.len();
        process.signal(Signal::CONT)?;
        eventually("it writes", async || Ok(fs::metadata(&log)?.len() > before)).await?;
        process.signal(Signal::STOP)?;
        let stat = fs::read_to_string(format!("/proc/{}/stat", process.pid()))?;
        assert!(stat.contains(") T "), "{stat}");
    }
    drop(process);
    fs::remove_file(log)?;
    Ok(())
}

#[tpro_testkit::test]
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

#[tpro_testkit::test]
async fn the_oracle_sees_effects_that_should_not_be_as_they_are() -> Outcome {
    let database = Postgres::shared().await?.database().await?;
    database.create_service("main").await?;
    let admin = database.connect().await?;
    let services = ["main".to_owned()];
    let look = async || Ok::<_, tpro_testkit::Failure>(Recon::look(&admin, &services).await?.violations);
    assert!(look().await?.is_empty(), "a database without the table has no effects");

    // A message that is done as it should be, and an effect of a stateless handler.
    admin
        .batch_execute(
            "CREATE TABLE public.effect (uid uuid NOT NULL, what text NOT NULL);
             CREATE TABLE public.done AS SELECT tpro.uuid7() AS uid;
             INSERT INTO main_service.mq_receive (uid, run, copy_key, target, attempt, deadline)
               SELECT uid, 1, 1, 'tpro.main.transactional.effect', 1, now() FROM public.done;
             INSERT INTO main_service.mq_outcome (uid, run, answer) SELECT uid, 1, '{\"result\": 1}' FROM public.done;
             INSERT INTO public.effect SELECT uid, 'effect' FROM public.done;
             SELECT tpro.publish('main', 'stateless', 'effect', sender => 'main');
             INSERT INTO main_service.mq_reply (mq_id, uid, status) SELECT id, uid, 'ok' FROM main_service.mq_publish;
             INSERT INTO public.effect SELECT uid, 'effect' FROM main_service.mq_publish",
        )
        .await?;
    assert_eq!(look().await?, Vec::<String>::new());

    for (fault, seen) in [
        ("INSERT INTO public.effect SELECT uid, 'effect' FROM public.done", "more than one effect"),
        ("DELETE FROM public.effect WHERE uid IN (SELECT uid FROM public.done)", "and not its effect"),
        ("INSERT INTO public.effect VALUES (tpro.uuid7(), 'effect')", "no inbox row"),
        ("INSERT INTO public.effect VALUES (tpro.uuid7(), 'noted')", "no reply"),
        (
            "INSERT INTO public.effect SELECT uid, 'noted' FROM main_service.mq_publish, generate_series(1, 2)",
            "handled more than once",
        ),
    ] {
        admin.batch_execute(&format!("BEGIN; {fault}")).await?;
        let violations = look().await?;
        assert!(violations.len() == 1 && violations[0].contains(seen), "{fault}: {violations:?}");
        admin.batch_execute("ROLLBACK").await?;
    }
    Ok(())
}

#[tpro_testkit::test]
async fn a_copy_that_ends_unseen_fails_the_test() -> Outcome {
    let world = World::options().services(&["main"]).start().await?;
    // The world is not told of it, and is not asked to look at it.
    let main = world.run("main").await?;
    signal_pid(main.process().pid(), Signal::KILL)?;
    eventually("it has ended", async || Ok(main.process().exit()?.is_some())).await?;
    let failure = world.finish(&[]).await.expect_err("a copy has ended by itself");
    assert!(failure.to_string().contains("main-1 has ended by itself"), "{failure}");
    Ok(())
}
