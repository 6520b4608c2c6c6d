//! `make roll-NAME` itself, in a checkout of the test's own, with what cargo has built already.

use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::json;
use tpro_testkit::ports::free_port;
use tpro_testkit::{Context, Failure, Message, Outcome, Process, Signal, World, eventually, paths};

use crate::load::Load;

#[tpro_testkit::test]
async fn a_release_takes_the_place_of_another_and_gives_it_back_without_a_pause() -> Outcome {
    let world = World::options().services(&["main", "co"]).start().await?;
    let main = world.run("main").await?;
    let checkout = Checkout::new(&world)?;
    checkout.well("up-co", "1.0").await?;
    let question = Message::to("co.example.request_with_parallel_queries").body(json!({}));
    let load = Load::start(&world, vec![question]).await?;

    answered_by(&world, "co/1.0/1").await?;
    let told = checkout.well("roll-co", "2.0").await?;
    assert!(told.contains("co  is version 2.0 now (1 replaced); kept: 2.0 1.0"), "{told}");
    answered_by(&world, "co/2.0/2").await?;
    // The old one begins to stop when the new one answers, so that for a moment both do.
    let ready = checkout.time_of("co-2", "co is up")?;
    let stopping = checkout.time_of("co", "stopping")?;
    assert!(ready < stopping, "the new one was ready at {ready}, the old one began to stop at {stopping}");

    // One that does not come up changes nothing.
    checkout.keep("3.0", "#!/bin/sh\nexit 1\n")?;
    let (well, told) = checkout.make("roll-co", "3.0").await?;
    assert!(!well && told.contains("co 3.0 did not become ready; co 2 (version 2.0) goes on"), "{told}");

    // And back to the binary that was kept.
    let told = checkout.well("roll-co", "1.0").await?;
    assert!(told.contains("co 1.0  is kept and started as it is"), "{told}");
    let again = world.ask(&Message::to("co.example.request_with_parallel_queries").body(json!({}))).await?;
    assert_eq!((again.status.as_str(), again.responder.as_deref()), ("ok", Some("co/1.0/1")), "{again:?}");

    // A newer build of what runs takes its place, and without one nothing is replaced.
    checkout.is_older("1.0")?;
    let told = checkout.well("up-co", "1.0").await?;
    assert!(told.contains("co  is version 1.0 now (1 replaced)"), "{told}");
    answered_by(&world, "co/1.0/2").await?;
    let told = checkout.well("up-co", "1.0").await?;
    assert!(told.contains("co 2  http://127.0.0.1:") && told.contains("running already"), "{told}");
    // Another version was put there on purpose.
    checkout.is_older("1.0")?;
    let told = checkout.well("up-co", "4.0").await?;
    assert!(told.contains("make roll-co replaces it without a pause"), "{told}");

    let published = load.stop().await?;
    let recon = world.recon().await?;
    assert_eq!(recon.settled, published + 1);
    for reply in world.replies("main").await? {
        assert_eq!(reply.status, "ok", "{reply:?}");
    }
    checkout.well("down-co", "").await?;
    world.finish(&[&main]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn the_copy_that_the_file_names_is_started_with_its_port_and_its_log() -> Outcome {
    let world = World::options().services(&["main", "co"]).start().await?;
    let checkout = Checkout::new(&world)?;
    checkout.well("up-co", "1.0").await?;
    let port = free_port()?;
    let file = checkout.root.join("services/co/.env");
    let mut text = fs::read_to_string(&file)?;
    text.push_str(&format!("COPY_NUMBER=2\nSERVICE_PORT={port}\nLOG_FILE_NAME=logs/mine.log\n"));
    fs::write(&file, text)?;
    let (well, told) = checkout.call("up-co", &[]).await?;
    assert!(well && told.contains(&format!("co 2  http://127.0.0.1:{port}, ready")), "{told}");
    assert!(fs::read_to_string(checkout.root.join("logs/mine.log"))?.contains("co is up"));
    let (_, told) = checkout.call("status", &[]).await?;
    assert!(told.contains("co 1") && told.contains("co 2"), "{told}");
    checkout.well("down-co", "").await?;
    world.finish(&[]).await?;
    Ok(())
}

/// Waits until a message was answered by that copy of that release.
async fn answered_by(world: &World, responder: &str) -> Outcome {
    let answers = format!("SELECT count(*) FROM main_service.mq_reply WHERE responder = '{responder}'");
    eventually(&format!("{responder} answers"), async || Ok(world.count(&answers).await? > 0)).await
}

/// Waits to be told that the test is over, or that it has died, and then ends what make has started, which outlives make.
const KEEPER: &str = "trap '' INT HUP QUIT; trap 'kill $!; make down-co; exit' TERM; sleep infinity & wait";

/// What `make` needs of a checkout, and the surroundings of a world in its environment.
pub struct Checkout {
    /// Its folder.
    pub root: PathBuf,
    /// The variables of its commands.
    pub environment: Vec<(&'static str, String)>,
    _keeper: Process,
}

impl Checkout {
    /// A checkout in the folder of a world, with the service `co`.
    pub fn new(world: &World) -> Outcome<Checkout> {
        let root = world.folder().join("a checkout");
        for path in [
            "Makefile",
            "make",
            "Cargo.toml",
            "rust-toolchain.toml",
            ".cargo",
            "sql",
            "docker",
            "services/co/Cargo.toml",
            "sidecar/wire/src/reserved.txt",
        ] {
            copy(&paths::checkout().join(path), &root.join(path))?;
        }
        fs::create_dir_all(root.join("target"))?;
        symlink(paths::binaries()?, root.join("target/debug"))?;
        let sidecar = world.sidecar("co")?;
        let of = |name| sidecar.value(name).unwrap_or_default().to_owned();
        let given = [
            "DATABASE_URL",
            "NATS_URL",
            "NATS_TOKEN",
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "EXAMPLE_PAUSE_MS",
            "RUST_LOG",
        ];
        let mut environment: Vec<_> = given.map(|name| (name, of(name))).to_vec();
        // Nothing is built, since that would be done with other features.
        environment.push(("BUILT", "yes".to_owned()));
        environment.extend(["PATH", "HOME"].map(|name| (name, env::var(name).unwrap_or_default())));
        let pg_config = env::var("PG_CONFIG").or_else(|_| env::var("PGRX_PG_CONFIG_PATH"));
        environment.extend(pg_config.map(|path| ("PG_CONFIG", path)));
        let mut keeper = Command::new("bash");
        keeper.args(["-c", KEEPER]).current_dir(&root).env_clear().envs(environment.iter().cloned());
        let keeper =
            Process::start("make down-co", keeper, &world.folder().join("keeper.out"), Signal::TERM, None)?;
        Ok(Checkout { root, environment, _keeper: keeper })
    }

    /// Calls make, which must succeed; returns what it said.
    pub async fn well(&self, goal: &str, version: &str) -> Outcome<String> {
        let (well, told) = self.make(goal, version).await?;
        assert!(well, "make {goal} failed: {told}");
        Ok(told)
    }

    /// Calls make; returns whether it succeeded, and what it said.
    async fn make(&self, goal: &str, version: &str) -> Outcome<(bool, String)> {
        let port = free_port()?.to_string();
        let version = Some(("SERVICE_VERSION", version)).filter(|(_, version)| !version.is_empty());
        let variables: Vec<_> = [("SERVICE_PORT", port.as_str())].into_iter().chain(version).collect();
        self.call(goal, &variables).await
    }

    /// Calls make with these variables.
    async fn call(&self, goal: &str, variables: &[(&str, &str)]) -> Outcome<(bool, String)> {
        let mut make = tokio::process::Command::new("make");
        make.arg(goal).current_dir(&self.root).stdin(Stdio::null());
        make.env_clear().envs(self.environment.iter().cloned()).envs(variables.iter().copied());
        let done = make.output().await.context(format!("make {goal}"))?;
        let told = [done.stdout, done.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        Ok((done.status.success(), told.concat()))
    }

    /// Puts a program there as a release that is kept.
    fn keep(&self, version: &str, script: &str) -> Outcome {
        let folder = self.root.join(".local/releases/co").join(version);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("co_service"), script)?;
        let program = fs::metadata(paths::binary("co_service", "co_service")?)?;
        fs::set_permissions(folder.join("co_service"), program.permissions())?;
        Ok(())
    }

    /// Makes a release that is kept older than what cargo has built.
    fn is_older(&self, version: &str) -> Outcome {
        let program = self.root.join(".local/releases/co").join(version).join("co_service");
        // By its name: a program that runs cannot be opened to be written to.
        let done = Command::new("touch").args(["-d", "@1"]).arg(&program).status().context("touch")?;
        if done.success() { Ok(()) } else { Err(Failure::new(format!("touch {}", program.display()))) }
    }

    /// When a copy has said something for the first time, as its log has it.
    fn time_of(&self, copy: &str, words: &str) -> Outcome<String> {
        let log = fs::read_to_string(self.root.join("logs").join(format!("{copy}_service.log")))?;
        let line =
            log.lines().find(|line| line.contains(words)).context(format!("{words:?} is not in {log}"))?;
        Ok(line.split_whitespace().next().unwrap_or_default().to_owned())
    }
}

/// Copies a file or a folder with all that is in it.
pub fn copy(from: &Path, to: &Path) -> Outcome {
    if from.is_dir() {
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from)? {
            let name = entry?.file_name();
            copy(&from.join(&name), &to.join(&name))?;
        }
        return Ok(());
    }
    fs::create_dir_all(to.parent().context("a file lies in a folder")?)?;
    fs::copy(from, to).context(format!("copying {}", from.display()))?;
    Ok(())
}
