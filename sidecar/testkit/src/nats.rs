//! A real nats-server on loopback, with a token or with users.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::Value;
use tpro_servers::nats::{self, ADMIN, REPLY_TO_PREFIX, Subjects};
use tpro_servers::secret;

use crate::eventually::eventually;
use crate::failure::{Context, Failure, Outcome};
use crate::http;
use crate::paths;
use crate::ports::free_port;
use crate::postgres::folder;
use crate::process::{Process, Signal};

static SERVERS: AtomicU32 = AtomicU32::new(0);

/// A running nats-server. Dropping it stops it and removes its files.
pub struct Nats {
    folder: PathBuf,
    port: u16,
    monitor: u16,
    token: String,
    password: String,
    users: BTreeSet<String>,
    server: Mutex<Option<Process>>,
}

/// A server to be.
#[derive(Clone, Default)]
pub struct NatsOptions {
    lines: Vec<String>,
    token: Option<String>,
    users: Vec<String>,
    services: BTreeSet<String>,
}

impl NatsOptions {
    /// Adds a line to the server's configuration, such as `max_payload: 2048`.
    pub fn line(mut self, line: &str) -> NatsOptions {
        self.lines.push(line.to_owned());
        self
    }

    /// Another token than a random one.
    pub fn token(mut self, token: &str) -> NatsOptions {
        self.token = Some(token.to_owned());
        self
    }

    /// Users instead of the token: an entry of the configuration's list, such as `{ user: main,
    /// password: "x" }`. The kit's own clients have a user of their own, with all rights.
    pub fn user(mut self, user: &str) -> NatsOptions {
        self.users.push(user.to_owned());
        self
    }

    /// A user for this service, as the shipped template has it, who may publish to `targets`:
    /// subjects in quotes.
    pub fn service(mut self, name: &str, targets: &str) -> Outcome<NatsOptions> {
        let subjects = Subjects { space: "tpro", reply_to_prefix: REPLY_TO_PREFIX, targets };
        let user = nats::user(&paths::checkout(), name, &subjects)?;
        self.services.insert(name.to_owned());
        Ok(self.user(&user))
    }

    /// Lets the server keep streams.
    pub fn jetstream(self) -> NatsOptions {
        self.line("jetstream { store_dir: \"STORE\" }")
    }

    /// Starts the server.
    pub async fn start(self) -> Outcome<Nats> {
        let number = SERVERS.fetch_add(1, Ordering::Relaxed);
        let folder = folder(&format!("nats-{}-{number}", std::process::id()))?;
        // Chosen here and not by the server, since it must come back on the same ports after a
        // restart.
        let (port, monitor) = (free_port()?, free_port()?);
        let token = self.token.clone().map_or_else(secret::fresh, Ok)?;
        let (password, users) = (secret::fresh()?, self.services.clone());
        let nats = Nats { folder, port, monitor, token, password, users, server: Mutex::new(None) };
        nats.configure(&self)?;
        nats.start().await?;
        Ok(nats)
    }
}

impl Nats {
    /// A server with nothing special.
    pub async fn new() -> Outcome<Nats> {
        NatsOptions::default().start().await
    }

    /// Writes its configuration.
    fn configure(&self, options: &NatsOptions) -> Outcome {
        let (port, monitor) = (self.port, self.monitor);
        let store = self.folder.join("store");
        let more = options.lines.join("\n").replace("STORE", &store.to_string_lossy());
        let login = if options.users.is_empty() {
            format!("token: \"{}\"", options.token.as_ref().unwrap_or(&self.token))
        } else {
            let users = options.users.join("\n").replace("@PASSWORD@", &self.password);
            format!("users: [ {{ user: {ADMIN}, password: \"{}\" }}\n{users}\n]", self.password)
        };
        let configuration = format!(
            "listen: \"127.0.0.1:{port}\"\nhttp: \"127.0.0.1:{monitor}\"\nauthorization {{ {login} }}\n{more}\n"
        );
        secret::replace(&self.folder.join("nats.conf"), &configuration).context("writing nats.conf")
    }

    /// Has the running server take up another configuration, and waits until it has.
    pub async fn reload(&self, options: &NatsOptions) -> Outcome {
        let loaded =
            async || -> Outcome<Value> { Ok(self.monitor("/varz").await?["config_load_time"].clone()) };
        let before = loaded().await?;
        self.configure(options)?;
        self.signal(Signal::HUP)?;
        eventually("nats-server has taken up its configuration", async || Ok(loaded().await? != before))
            .await
            .map_err(|failure| failure.with_log(self.log_path()))
    }

    /// A server to be configured.
    pub fn options() -> NatsOptions {
        NatsOptions::default()
    }

    /// Its URL, without the token.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// The port for clients.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The token that clients must show.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The password of all users that the kit has made.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// The settings by which a copy of a service logs in.
    pub fn login(&self, service: &str) -> Vec<(&'static str, String)> {
        if self.users.contains(service) {
            vec![("NATS_USER", service.to_owned()), ("NATS_PASSWORD", self.password.clone())]
        } else {
            vec![("NATS_TOKEN", self.token.clone())]
        }
    }

    /// The id of the server's process.
    pub fn pid(&self) -> Outcome<u32> {
        let server = self.server.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        Ok(server.as_ref().context("nats-server is stopped")?.pid())
    }

    /// The port of the monitor.
    pub fn monitor_port(&self) -> u16 {
        self.monitor
    }

    /// A page of the monitor, such as `/subsz?subs=1`.
    pub async fn monitor(&self, path: &str) -> Outcome<Value> {
        Ok(serde_json::from_str(&http::get(self.monitor, path).await?.body)?)
    }

    /// A client that knows nothing of tpro.
    pub async fn client(&self) -> Outcome<async_nats::Client> {
        // The server looks at its own configuration.
        async_nats::ConnectOptions::with_user_and_password(ADMIN.to_owned(), self.password.clone())
            .token(self.token.clone())
            .request_timeout(Some(Duration::from_secs(20)))
            .connect(self.url())
            .await
            .context("connecting to nats-server")
    }

    /// The log of the server.
    pub fn log_path(&self) -> PathBuf {
        self.folder.join("nats.log")
    }

    /// Starts the stopped server, on the ports it had.
    pub async fn start(&self) -> Outcome {
        let mut command = Command::new("nats-server");
        command.arg("-c").arg(self.folder.join("nats.conf")).current_dir(&self.folder);
        let server =
            Process::start("nats-server", command, &self.log_path(), Signal::KILL, Some(&self.folder))?;
        eventually("nats-server is ready", async || {
            if let Some(exit) = server.exit()? {
                return Err(Failure::new(format!("nats-server ended with {exit} at its start")));
            }
            Ok(http::get(self.monitor, "/healthz").await.is_ok_and(|answer| answer.status == 200))
        })
        .await
        .map_err(|failure| failure.with_log(self.log_path()))?;
        *self.server.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(server);
        Ok(())
    }

    /// Stops it in good order.
    pub async fn stop(&self) -> Outcome {
        self.end(Signal::TERM).await
    }

    /// Kills it.
    pub async fn kill(&self) -> Outcome {
        self.end(Signal::KILL).await
    }

    /// Sends it a signal, such as [`Signal::STOP`].
    pub fn signal(&self, signal: Signal) -> Outcome {
        let server = self.server.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        server.as_ref().context("nats-server is stopped")?.signal(signal)
    }

    async fn end(&self, signal: Signal) -> Outcome {
        let server = self.server.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take();
        if let Some(server) = server {
            server.signal(signal)?;
            server.wait().await?;
        }
        Ok(())
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        self.server.get_mut().unwrap_or_else(|poisoned| poisoned.into_inner()).take();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
