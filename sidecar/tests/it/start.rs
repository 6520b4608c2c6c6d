//! Starts that must not succeed.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;

use tpro_testkit::{Context, Nats, Outcome, Postgres, Sidecar, World, eventually, paths};

/// Where a copy of [`main`] writes its stderr, in the folder of the world.
const STDERR: &str = "main.err";

/// What a copy said that must not start.
pub struct Said {
    /// The log, on stdout.
    pub log: String,
    /// What a person sees who starts it by hand.
    pub stderr: String,
}

#[tpro_testkit::test]
async fn every_error_of_the_configuration_is_told_at_once() -> Outcome {
    let world = World::new().await?;
    let said = refused(
        &world,
        main(&world)?
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
        assert!(said.stderr.contains(key), "{key} is not named in: {}", said.stderr);
    }
    world.finish(&[]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_wrong_token_ends_the_process_and_names_the_setting() -> Outcome {
    let world = World::new().await?;
    let said = refused(&world, main(&world)?.env("NATS_TOKEN", "canary-token-3d9f")).await?;
    assert_one_clear_line(&said, "NATS_TOKEN");
    world.finish(&[]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_wrong_database_password_ends_the_process_and_names_the_setting() -> Outcome {
    let world = World::new().await?;
    let url =
        world.database.role_url("main").replace(world.database.cluster().role_password(), "canary-dsn-4e0a");
    let said = refused(&world, main(&world)?.env("DATABASE_URL", url)).await?;
    assert_one_clear_line(&said, "DATABASE_URL");
    world.finish(&[]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_nats_server_of_an_unknown_ca_ends_the_process_and_names_the_setting() -> Outcome {
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
    let strange = main(&world)?.env("NATS_URL", strict.url()).env("NATS_TOKEN", strict.token());
    let said = refused(&world, strange).await?;
    assert_one_clear_line(&said, "NATS_CA");
    assert!(![said.log, said.stderr].concat().contains(strict.token()), "the other server's token is told");
    world.finish(&[]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_database_that_wants_tls_ends_the_process_and_names_the_setting() -> Outcome {
    let cluster = Postgres::own().start().await?;
    let world = World::options().services(&["main"]).cluster(cluster.clone()).start().await?;
    // The server has none, and is asked for it.
    let url = format!("{}?sslmode=require", world.database.role_url("main"));
    assert_one_clear_line(&refused(&world, main(&world)?.env("DATABASE_URL", url)).await?, "sslmode");
    assert_one_clear_line(
        &refused(&world, main(&world)?.env("PGSSLMODE", "verify-full")).await?,
        "PGSSLROOTCERT",
    );

    let rules = cluster.data().join("pg_hba.conf");
    let before = std::fs::read_to_string(&rules)?;
    std::fs::write(&rules, format!("hostnossl all main 127.0.0.1/32 reject\n{before}"))?;
    world.admin.batch_execute("SELECT pg_reload_conf()").await?;
    eventually("the server lets nobody in without TLS", async || {
        Ok(world.database.connect_as("main").await.is_err())
    })
    .await?;
    let said = refused(&world, main(&world)?).await?;
    assert_one_clear_line(&said, "DATABASE_URL");
    assert!(said.stderr.contains("no encryption"), "{}", said.stderr);
    world.finish(&[]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn every_problem_of_a_file_is_told_at_once_with_its_line() -> Outcome {
    let world = World::new().await?;
    let file = world.folder().join("bad.env");
    let text = "SERVICE_VERSION=1 0\nDB_POOL_MAX=many\nthis is no setting canary-line-7c1e\nCOPY_NUMBER=-3\n\
                RUNS_MAX=99999999999999999999\nATTEMPT_TIMEOUT_MS=\nLOG_FORMAT='xml'\nNO_SUCH_KEY=canary-value-2f6a\n\
                HANDLERS_MAXX=7\nINBOX_WINDOW=forever\nTPRO_SPACE=Not A Space\n";
    std::fs::write(&file, text)?;
    let said = refused(&world, main(&world)?.without("COPY_NUMBER").env("ENV_FILE", file.display())).await?;
    for (key, line) in [
        ("SERVICE_VERSION", 1),
        ("DB_POOL_MAX", 2),
        (".env", 3),
        ("COPY_NUMBER", 4),
        ("RUNS_MAX", 5),
        ("LOG_FORMAT", 7),
        ("INBOX_WINDOW", 10),
        ("TPRO_SPACE", 11),
    ] {
        let place = format!("{}:{line}", file.display());
        let told = said.stderr.lines().any(|told| told.contains(key) && told.contains(&place));
        assert!(told, "{key} at {place} is not told in: {}", said.stderr);
    }

    // A file that is no text, one that is a folder, and one that is not there.
    std::fs::write(world.folder().join("bytes.env"), b"SERVICE_VERSION=\xff\xfe\n")?;
    std::fs::create_dir(world.folder().join("folder.env"))?;
    for name in ["bytes.env", "folder.env", "missing.env"] {
        let file = world.folder().join(name);
        let said = refused(&world, main(&world)?.env("ENV_FILE", file.display())).await?;
        assert!(said.stderr.contains("ENV_FILE") && said.stderr.contains(name), "{}", said.stderr);
    }
    world.finish(&[]).await?;
    Ok(())
}

/// Unknown keys are no problem by themselves, but whoever corrects the others wants to know of them too.
#[tpro_testkit::test]
async fn unknown_keys_of_a_file_are_told_with_its_problems() -> Outcome {
    let world = World::new().await?;
    let file = world.folder().join("bad.env");
    std::fs::write(&file, "DB_POOL_MAX=many\nNO_SUCH_KEY=canary-value-8d3e\nHANDLERS_MAXX=7\n")?;
    let said = refused(&world, main(&world)?.env("ENV_FILE", file.display())).await?;
    for (key, line) in [("DB_POOL_MAX", 1), ("NO_SUCH_KEY", 2), ("HANDLERS_MAXX", 3)] {
        let place = format!("{}:{line}", file.display());
        let told = said.stderr.lines().any(|told| told.contains(key) && told.contains(&place));
        assert!(told, "{key} at {place} is not told in: {}", said.stderr);
    }
    world.finish(&[]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_taken_port_ends_the_process_and_names_the_setting() -> Outcome {
    let world = World::new().await?;
    let taken = TcpListener::bind(("127.0.0.1", 0))?;
    let said = refused(&world, main(&world)?.env("SERVICE_PORT", taken.local_addr()?.port())).await?;
    assert_one_clear_line(&said, "SERVICE_PORT");
    world.finish(&[]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn an_unknown_key_is_a_warning_that_knows_the_nearest() -> Outcome {
    let world = World::new().await?;
    let folder = world.folder().join("services/main");
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join(".env"), "SERVICE_PROT=9\nSERVICE_VERSION=7.1\n")?;
    let main = world.run("main").await?;
    let log = main.log();
    let warning = log.lines().find(|line| line.contains("SERVICE_PROT"));
    let told = |line: &str| line.contains("SERVICE_PORT") && line.contains("services/main/.env:1");
    assert!(warning.is_some_and(told), "the key that was meant, the file and the line: {log}");
    assert!(main.get("/version").await?.body.contains("7.1"), "the .env file is read");
    world.finish(&[&main]).await?;
    Ok(())
}

/// A copy of the service `main` whose stderr goes into a file of its own.
pub fn main(world: &World) -> Outcome<Sidecar> {
    let program = paths::binary("main_service", "main_service")?;
    let shell = world.sidecar_of("main", PathBuf::from("/bin/sh"));
    Ok(shell.arg("-c").arg(&format!("exec \"$0\" 2>{STDERR}")).arg(&program.to_string_lossy()))
}

/// Runs a copy that must end by itself, not with exit code 0, and returns what it said; no secret may be in it.
pub async fn refused(world: &World, sidecar: Sidecar) -> Outcome<Said> {
    let copy = world.spawn(sidecar)?;
    let exit = copy.wait().await?;
    let said = Said { log: copy.log(), stderr: std::fs::read_to_string(world.folder().join(STDERR))? };
    let all = [said.log.as_str(), said.stderr.as_str()].concat();
    assert!(exit.code().is_some_and(|code| code != 0), "it ended with {exit} and said: {all}");
    assert!(!all.contains("panicked"), "{all}");
    for secret in ["canary", world.database.cluster().role_password(), world.nats.token()] {
        assert!(!all.contains(secret), "the secret {secret} is told in: {all}");
    }
    Ok(said)
}

/// One line on stderr, and no other: it names the setting.
pub fn assert_one_clear_line(said: &Said, setting: &str) {
    let lines: Vec<&str> = said.stderr.lines().collect();
    assert_eq!(lines.len(), 1, "{}", said.stderr);
    assert!(lines[0].contains(setting), "{setting} is not named in: {}", said.stderr);
}
