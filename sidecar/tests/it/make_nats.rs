//! The local nats-server of `make`: a user for each service that there is, known without a restart.

use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use futures_util::StreamExt as _;
use serde_json::Value;
use tpro_local::env_file::EnvFile;
use tpro_testkit::ports::free_port;
use tpro_testkit::{Context as _, Outcome, Process, Signal, World, eventually, heard, http, listen, paths};

/// Waits to be told that the test is over, or that it has died, and then ends what make has started, which outlives make.
const KEEPER: &str = "trap '' INT HUP QUIT; trap 'kill $!; make stop-nats; exit' TERM; sleep infinity & wait";

/// What the scripts need of a checkout.
struct Checkout {
    root: PathBuf,
    environment: Vec<(&'static str, String)>,
    port: u16,
    monitor: u16,
    _keeper: Process,
}

impl Checkout {
    fn new(world: &World, services: &[&str]) -> Outcome<Checkout> {
        let root = world.folder().join("a checkout");
        let reserved = "sidecar/wire/src/reserved.txt";
        fs::create_dir_all(root.join("sidecar/wire/src"))?;
        fs::copy(paths::checkout().join(reserved), root.join(reserved))?;
        let done = Command::new("cp")
            .args(["-R", "Makefile", "make", "docker", "sql", "Cargo.toml", "rust-toolchain.toml"])
            .arg(&root)
            .current_dir(paths::checkout())
            .status()?;
        assert!(done.success());
        let (port, monitor) = (free_port()?, free_port()?);
        fs::create_dir(root.join("target"))?;
        symlink(paths::binaries()?, root.join("target/debug"))?;
        let mut environment = vec![
            ("BUILT", "yes".to_owned()),
            ("NATS_PORT", port.to_string()),
            ("NATS_MONITOR_PORT", monitor.to_string()),
        ];
        environment.extend(["PATH", "HOME"].map(|name| (name, env::var(name).unwrap_or_default())));
        let mut keeper = Command::new("bash");
        keeper.args(["-c", KEEPER]).current_dir(&root).env_clear().envs(environment.iter().cloned());
        let keeper =
            Process::start("make stop-nats", keeper, &world.folder().join("keeper.out"), Signal::TERM, None)?;
        let checkout = Checkout { root, environment, port, monitor, _keeper: keeper };
        services.iter().try_for_each(|service| checkout.add(service))?;
        Ok(checkout)
    }

    /// Another service.
    fn add(&self, name: &str) -> Outcome {
        let folder = self.root.join("services").join(name);
        fs::create_dir_all(&folder)?;
        Ok(fs::write(folder.join("Cargo.toml"), "")?)
    }

    /// Runs a line of shell in it, which must succeed; returns what it said.
    async fn run(&self, line: &str) -> Outcome<String> {
        let mut shell = tokio::process::Command::new("bash");
        shell.args(["-c", line]).current_dir(&self.root).stdin(Stdio::null());
        let done = shell
            .env_clear()
            .envs(self.environment.iter().cloned())
            .output()
            .await
            .context(line.to_owned())?;
        let told =
            [done.stdout, done.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        assert!(done.status.success(), "{line} failed: {told}");
        Ok(told)
    }

    /// A value of a service's `.env`.
    fn setting(&self, service: &str, key: &str) -> String {
        self.env_file(service).get(key).unwrap_or_default()
    }

    fn env_file(&self, service: &str) -> EnvFile {
        EnvFile::at(self.root.join("services").join(service).join(".env"))
    }

    /// A client with the login in a service's `.env`.
    async fn client(&self, service: &str) -> Outcome<async_nats::Client> {
        let (user, password) = (self.setting(service, "NATS_USER"), self.setting(service, "NATS_PASSWORD"));
        async_nats::ConnectOptions::with_user_and_password(user, password)
            .custom_inbox_prefix(format!("_INBOX.tpro.{service}"))
            .connect(format!("nats://127.0.0.1:{}", self.port))
            .await
            .context(format!("logging in as {service}"))
    }
}

#[tpro_testkit::test]
async fn a_new_service_gets_its_user_while_the_server_runs_and_old_tokens_give_way() -> Outcome {
    let world = World::options().services(&["main"]).start().await?;
    let checkout = Checkout::new(&world, &["main", "analytic"])?;
    // As an installation of before had it.
    checkout.run("make create-env-main").await?;
    checkout.env_file("main").put("NATS_TOKEN", "told_by_make")?;
    fs::write(
        checkout.root.join("services/analytic/targets"),
        "# what it asks\ntpro.co.>  # sums\n$$.nats-pwl-reply.>\n",
    )?;
    checkout.run("make up-nats").await?;
    checkout.run("make create-env-main create-env-analytic").await?;
    assert_eq!(checkout.setting("main", "NATS_TOKEN"), "");
    assert_eq!(checkout.setting("main", "NATS_USER"), "main");
    let first = checkout.client("main").await?;
    let mut inbox = listen(&first, "_INBOX.tpro.main.x").await?;

    checkout.add("billing")?;
    checkout.run("make create-env-billing").await?;
    let billing = checkout.client("billing").await?;
    billing.publish("tpro.main.a.b", "".into()).await?;
    heard(&billing).await?;
    // Whoever was there has not been sent away.
    first.publish("_INBOX.tpro.main.x", "still here".into()).await?;
    let message = inbox.next().await.context("the connection is the same")?;
    assert_eq!(message.payload, "still here");
    assert_eq!(first.statistics().connects.load(std::sync::atomic::Ordering::Relaxed), 1);

    // What it declares is what it may ask.
    let page = http::get(checkout.monitor, "/varz").await?.body;
    let varz: Value = serde_json::from_str(&page)?;
    assert_eq!(varz["auth_required"], true);
    let users = fs::read_to_string(checkout.root.join(".local/nats/nats.conf"))?;
    assert!(users.contains("\"tpro.co.>\", \"$$.nats-pwl-reply.>\""), "{users}");
    assert!(users.contains("\"tpro.>\""), "without a file it is all of its space: {users}");

    // People have a user who may do everything, and no secret is on a page.
    let told = checkout.run("make env").await?;
    assert!(told.contains("NATS_USER='admin'") && !told.contains("NATS_TOKEN"), "{told}");
    let mut secrets = Vec::new();
    for user in ["admin", "main", "analytic", "billing"] {
        let secret = fs::read_to_string(checkout.root.join(".local/nats/users").join(user))?;
        secrets.push(secret.trim().to_owned());
    }
    assert!(told.contains(&secrets[0]), "{told}");
    for page in ["/varz", "/connz?auth=1&subs=detail", "/subsz?subs=1", "/accountz", "/jsz?config=1"] {
        let text = http::get(checkout.monitor, page).await?.body;
        assert!(secrets.iter().all(|secret| !text.contains(secret)), "{page} shows a secret: {text}");
    }
    eventually("its user is named", async || {
        Ok(http::get(checkout.monitor, "/connz?auth=1")
            .await?
            .body
            .contains("\"authorized_user\": \"billing\""))
    })
    .await?;
    checkout.run("make stop-nats").await?;
    world.finish(&[]).await?;
    Ok(())
}
