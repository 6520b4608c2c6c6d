//! Starts that must not succeed.

use std::net::TcpListener;
use std::process::Command;

use tpro_testkit::{Context, Nats, Outcome, Postgres, Sidecar, World, eventually};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_error_of_the_configuration_is_told_at_once() -> Outcome {
    let world = World::new().await?;
    let output = refused(
        &world,
        world
            .sidecar("main")?
            .env("SERVICE_PORT", "eighty")
            .env("COPY_NUMBER", "first")
            .env("DB_POOL_MAX", "-1")
            .env("DATABASE_URL", "postgres://main:canary-dsn-1b7d@localhost:port/db")
            .env("NATS_URL", "ftp://localhost")
            .env("STOP_TIMEOUT", "soon")
            .env("OTEL_TRACES_SAMPLER_ARG", "often")
            .env("LOG_FORMAT", "xml")
            .env("LOG_MAX_SIZE_MB", "big")
            .env("NATS_TOKENN", "canary-token-2c8e"),
    )
    .await?;
    for key in [
        "SERVICE_PORT",
        "COPY_NUMBER",
        "DB_POOL_MAX",
        "DATABASE_URL",
        "NATS_URL",
        "STOP_TIMEOUT",
        "OTEL_TRACES_SAMPLER_ARG",
        "LOG_FORMAT",
        "LOG_MAX_SIZE_MB",
    ] {
        assert!(output.contains(key), "{key} is not named in: {output}");
    }
    assert!(!output.contains("canary"), "a secret is told in: {output}");
    world.finish(&[]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_token_ends_the_process_and_names_the_setting() -> Outcome {
    let world = World::new().await?;
    let output = refused(&world, world.sidecar("main")?.env("NATS_TOKEN", "canary-token-3d9f")).await?;
    assert_one_clear_line(&output, "NATS_TOKEN");
    world.finish(&[]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_database_password_ends_the_process_and_names_the_setting() -> Outcome {
    let world = World::new().await?;
    let url =
        world.database.role_url("main").replace(world.database.cluster().role_password(), "canary-dsn-4e0a");
    let output = refused(&world, world.sidecar("main")?.env("DATABASE_URL", url)).await?;
    assert_one_clear_line(&output, "DATABASE_URL");
    world.finish(&[]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_nats_server_that_wants_tls_ends_the_process_and_names_the_setting() -> Outcome {
    let world = World::new().await?;
    let (key, certificate) = (world.folder().join("key.pem"), world.folder().join("certificate.pem"));
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "1",
            "-subj",
            "/CN=localhost",
            "-keyout",
        ])
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output()
        .context("running openssl")?;
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let tls = format!(r#"tls {{ cert_file: "{}", key_file: "{}" }}"#, certificate.display(), key.display());
    let strict = Nats::options().line(&tls).start().await?;
    let main = world.sidecar("main")?.env("NATS_URL", strict.url()).env("NATS_TOKEN", strict.token());
    let output = refused(&world, main).await?;
    assert_one_clear_line(&output, "NATS_URL");
    assert!(output.contains("TLS") && !output.contains(strict.token()), "{output}");
    world.finish(&[]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_wants_tls_ends_the_process_and_names_the_setting() -> Outcome {
    let cluster = Postgres::own().start().await?;
    let world = World::options().services(&["main"]).cluster(cluster.clone()).start().await?;
    // What is asked for by the URL is refused before anything is tried.
    let url = format!("{}?sslmode=require", world.database.role_url("main"));
    assert_one_clear_line(
        &refused(&world, world.sidecar("main")?.env("DATABASE_URL", url)).await?,
        "DATABASE_URL",
    );
    assert_one_clear_line(
        &refused(&world, world.sidecar("main")?.env("PGSSLMODE", "verify-full")).await?,
        "PGSSLMODE",
    );

    let rules = cluster.data().join("pg_hba.conf");
    let before = std::fs::read_to_string(&rules)?;
    std::fs::write(&rules, format!("hostnossl all main 127.0.0.1/32 reject\n{before}"))?;
    world.admin.batch_execute("SELECT pg_reload_conf()").await?;
    eventually("the server lets nobody in without TLS", async || {
        Ok(world.database.connect_as("main").await.is_err())
    })
    .await?;
    let output = refused(&world, world.sidecar("main")?).await?;
    assert_one_clear_line(&output, "DATABASE_URL");
    assert!(output.contains("no encryption") && !output.contains(cluster.role_password()), "{output}");
    world.finish(&[]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_problem_of_a_file_is_told_at_once_with_its_line() -> Outcome {
    let world = World::new().await?;
    let file = world.folder().join("bad.env");
    let text = "SERVICE_VERSION=1 0\nDB_POOL_MAX=many\nthis is no setting canary-line-7c1e\nCOPY_NUMBER=-3\n\
                RUNS_MAX=99999999999999999999\nATTEMPT_TIMEOUT_MS=\nLOG_FORMAT='xml'\nNO_SUCH_KEY=canary-value-2f6a\n\
                HANDLERS_MAXX=7\nINBOX_WINDOW=forever\nTPRO_SPACE=Not A Space\n";
    std::fs::write(&file, text)?;
    let output =
        refused(&world, world.sidecar("main")?.without("COPY_NUMBER").env("ENV_FILE", file.display()))
            .await?;
    for (key, line) in [
        (".env", 1),
        ("DB_POOL_MAX", 2),
        (".env", 3),
        ("COPY_NUMBER", 4),
        ("RUNS_MAX", 5),
        ("LOG_FORMAT", 7),
        ("INBOX_WINDOW", 10),
        (".env", 11),
    ] {
        let place = format!("{}:{line}", file.display());
        let told = output.lines().any(|told| told.contains(key) && told.contains(&place));
        assert!(told, "{key} at {place} is not told in: {output}");
    }
    assert!(!output.contains("canary"), "a value that may be a secret is told in: {output}");

    // A file that is no text, one that is a folder, and one that is not there.
    std::fs::write(world.folder().join("bytes.env"), b"SERVICE_VERSION=\xff\xfe\n")?;
    std::fs::create_dir(world.folder().join("folder.env"))?;
    for name in ["bytes.env", "folder.env", "missing.env"] {
        let file = world.folder().join(name);
        let output = refused(&world, world.sidecar("main")?.env("ENV_FILE", file.display())).await?;
        assert!(output.contains("ENV_FILE") && output.contains(name), "{output}");
        assert!(!output.contains("panicked"), "{output}");
    }
    world.finish(&[]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_taken_port_ends_the_process_and_names_the_setting() -> Outcome {
    let world = World::new().await?;
    let taken = TcpListener::bind(("127.0.0.1", 0))?;
    let output =
        refused(&world, world.sidecar("main")?.env("SERVICE_PORT", taken.local_addr()?.port())).await?;
    assert_one_clear_line(&output, "SERVICE_PORT");
    world.finish(&[]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_key_is_a_warning_that_knows_the_nearest() -> Outcome {
    let world = World::new().await?;
    let folder = world.folder().join("services/main");
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join(".env"), "SERVICE_PROT=9\nSERVICE_VERSION=7.1\n")?;
    let main = world.run("main").await?;
    let log = main.log();
    let warning = log.lines().find(|line| line.contains("SERVICE_PROT"));
    assert!(warning.is_some_and(|line| line.contains("SERVICE_PORT")), "{log}");
    assert!(main.get("/version").await?.body.contains("7.1"), "the .env file is read");
    world.finish(&[&main]).await?;
    Ok(())
}

/// Runs a copy that must end by itself, not with exit code 0, and returns what it said.
async fn refused(world: &World, sidecar: Sidecar) -> Outcome<String> {
    let copy = world.spawn(sidecar)?;
    let exit = copy.wait().await?;
    let output = copy.log();
    assert!(exit.code().is_some_and(|code| code != 0), "it ended with {exit} and said: {output}");
    Ok(output)
}

fn assert_one_clear_line(output: &str, setting: &str) {
    let telling: Vec<&str> =
        output.lines().filter(|line| line.contains(setting) && !line.contains("***")).collect();
    assert!(!telling.is_empty(), "{setting} is not named in: {output}");
    assert!(!output.contains("canary"), "a secret is told in: {output}");
    assert!(!output.contains("panicked"), "{output}");
}
