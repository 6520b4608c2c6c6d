//! `make roll-NAME` itself: the scripts of `make/`, in a checkout of the test's own, with what cargo has built already.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::json;
use tokio::process::Command;
use tpro_testkit::{Context, Message, Outcome, World, eventually, paths};

use crate::load::Load;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
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

/// Waits until a message was answered by that copy of that release.
async fn answered_by(world: &World, responder: &str) -> Outcome {
    let answers = format!("SELECT count(*) FROM main_service.mq_reply WHERE responder = '{responder}'");
    eventually(&format!("{responder} answers"), async || Ok(world.count(&answers).await? > 0)).await
}

/// What `make` needs of a checkout, and the surroundings of a world in its environment.
struct Checkout {
    root: PathBuf,
    environment: Vec<(&'static str, String)>,
}

impl Checkout {
    fn new(world: &World) -> Outcome<Checkout> {
        let root = world.folder().join("a checkout");
        for path in [
            "Makefile",
            "make",
            "Cargo.toml",
            "rust-toolchain.toml",
            ".cargo",
            "sql",
            "services/co/Cargo.toml",
        ] {
            copy(&paths::checkout().join(path), &root.join(path))?;
        }
        let binaries = paths::binaries()?;
        let target = binaries.parent().context("the folder of the binaries has no parent")?;
        let sidecar = world.sidecar("co")?;
        let of = |name| sidecar.value(name).unwrap_or_default().to_owned();
        let given =
            ["DATABASE_URL", "NATS_URL", "NATS_TOKEN", "OTEL_EXPORTER_OTLP_ENDPOINT", "EXAMPLE_PAUSE_MS"];
        let mut environment: Vec<_> = given.map(|name| (name, of(name))).to_vec();
        environment.push(("BUILT", "yes".to_owned()));
        environment.push(("CARGO_TARGET_DIR", target.display().to_string()));
        Ok(Checkout { root, environment })
    }

    /// Calls make, which must succeed; returns what it said.
    async fn well(&self, goal: &str, version: &str) -> Outcome<String> {
        let (well, told) = self.make(goal, version).await?;
        assert!(well, "make {goal} failed: {told}");
        Ok(told)
    }

    /// Calls make; returns whether it succeeded, and what it said.
    async fn make(&self, goal: &str, version: &str) -> Outcome<(bool, String)> {
        let mut make = self.command(goal);
        if !version.is_empty() {
            make.env("SERVICE_VERSION", version);
        }
        let done = make.output().await.context(format!("make {goal}"))?;
        let told = [done.stdout, done.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        Ok((done.status.success(), told.concat()))
    }

    fn command(&self, goal: &str) -> Command {
        let mut make = Command::new("make");
        make.arg(goal).current_dir(&self.root).stdin(Stdio::null()).envs(self.environment.iter().cloned());
        for name in
            ["COPY_NUMBER", "SERVICE_NAME", "SERVICE_PORT", "SERVICE_VERSION", "LOG_FILE_NAME", "MAKEFLAGS"]
        {
            make.env_remove(name);
        }
        make
    }

    /// Puts a program there as a release that is kept.
    fn keep(&self, version: &str, script: &str) -> Outcome {
        let folder = self.root.join(".local/releases/co").join(version);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("co_service"), script)?;
        let program = folder.join("co_service");
        copy_mode(&paths::binary("co_service", "co_service")?, &program)
    }

    /// When a copy has said something for the first time, as its log has it.
    fn time_of(&self, copy: &str, words: &str) -> Outcome<String> {
        let log = fs::read_to_string(self.root.join("logs").join(format!("{copy}_service.log")))?;
        let line =
            log.lines().find(|line| line.contains(words)).context(format!("{words:?} is not in {log}"))?;
        Ok(line.split_whitespace().next().unwrap_or_default().to_owned())
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        // Also after a failure: what make starts outlives it.
        let _ = self.command("down-co").into_std().stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

/// Copies a file or a folder with all that is in it.
fn copy(from: &Path, to: &Path) -> Outcome {
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

fn copy_mode(from: &Path, to: &Path) -> Outcome {
    fs::set_permissions(to, fs::metadata(from)?.permissions())?;
    Ok(())
}
