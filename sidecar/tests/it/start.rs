//! Starts that must not succeed.

use std::net::TcpListener;

use tpro_testkit::{Outcome, Sidecar, World};

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
