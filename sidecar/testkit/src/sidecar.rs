//! The real binary of a service, as a child process.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::eventually::eventually;
use crate::failure::{Failure, Outcome};
use crate::http::{self, Response};
use crate::ports::free_port;
use crate::process::{Process, Signal};

/// A copy of a service to be started. Made by [`World::sidecar`](crate::World::sidecar), which
/// fills in the surroundings.
#[derive(Clone)]
pub struct Sidecar {
    service: String,
    program: PathBuf,
    folder: PathBuf,
    environment: BTreeMap<String, String>,
    arguments: Vec<String>,
}

impl Sidecar {
    /// A copy of `service`, run by `program` in `folder`, with nothing set but its name and port.
    pub fn new(service: &str, program: PathBuf, folder: &Path) -> Sidecar {
        Sidecar {
            service: service.to_owned(),
            program,
            folder: folder.to_path_buf(),
            environment: BTreeMap::new(),
            arguments: Vec::new(),
        }
        .env("SERVICE_NAME", service)
        .copy(1)
    }

    /// Sets `COPY_NUMBER`.
    pub fn copy(self, number: u32) -> Sidecar {
        self.env("COPY_NUMBER", number)
    }

    /// Sets `SERVICE_VERSION`.
    pub fn version(self, version: &str) -> Sidecar {
        self.env("SERVICE_VERSION", version)
    }

    /// Sets a variable of the environment.
    pub fn env(mut self, name: &str, value: impl ToString) -> Sidecar {
        self.environment.insert(name.to_owned(), value.to_string());
        self
    }

    /// Adds an argument: a subcommand of the program instead of serving.
    pub fn arg(mut self, argument: &str) -> Sidecar {
        self.arguments.push(argument.to_owned());
        self
    }

    /// Takes a variable out of the environment.
    pub fn without(mut self, name: &str) -> Sidecar {
        self.environment.remove(name);
        self
    }

    /// Has it stand still at a failpoint when it has passed it this number of times.
    pub fn stand_still_at(self, point: &str, passes: u32) -> Sidecar {
        let before = if passes > 0 { format!("{passes}*off->") } else { String::new() };
        self.env("FAILPOINTS", format!("{point}={before}return(pause)"))
    }

    /// The value of a variable as it is set so far.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str)
    }

    /// Starts it and waits until it is ready.
    pub async fn start(self) -> Outcome<Arc<SidecarProcess>> {
        let process = self.spawn()?;
        process.ready().await?;
        Ok(process)
    }

    /// Starts it and waits for nothing.
    pub fn spawn(mut self) -> Outcome<Arc<SidecarProcess>> {
        let port = match self.environment.get("SERVICE_PORT") {
            Some(port) => port.parse().unwrap_or(0),
            None => free_port()?,
        };
        self.environment.entry("SERVICE_PORT".to_owned()).or_insert(port.to_string());
        let name = format!("{}-{}", self.service, self.value("COPY_NUMBER").unwrap_or("1"));
        let mut command = Command::new(&self.program);
        // Nothing of the developer's own environment gets in, and no .env: the folder has none.
        command.args(&self.arguments).env_clear().envs(&self.environment).current_dir(&self.folder);
        for inherited in ["PATH", "HOME", "RUST_BACKTRACE"] {
            if let Some(value) = std::env::var_os(inherited) {
                command.env(inherited, value);
            }
        }
        let log = self.folder.join(format!("{name}.out"));
        let process = Process::start(name, command, &log, Signal::KILL, None)?;
        let fate = Fate::default();
        Ok(Arc::new(SidecarProcess { process, port, sidecar: self, fate }))
    }
}

/// The line of a program with failpoints.
const FAILPOINTS: &str = "failpoints are compiled in";

/// A running copy. Dropping it kills it.
pub struct SidecarProcess {
    process: Process,
    port: u16,
    sidecar: Sidecar,
    fate: Fate,
}

/// The deeds of the test to a copy, for the end of the test.
#[derive(Default)]
struct Fate {
    ends: AtomicBool,
    stood_still: AtomicBool,
}

impl SidecarProcess {
    /// The process: its id, its log, its end.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// The configuration that it was started from, for starting it again.
    pub fn sidecar(&self) -> Sidecar {
        self.sidecar.clone()
    }

    /// True if the test has ended it or waits for its end. A subcommand ends by itself when it is
    /// done.
    pub(crate) fn may_end(&self) -> bool {
        self.fate.ends.load(Ordering::Relaxed) || !self.sidecar.arguments.is_empty()
    }

    /// True if it could tell all that it did: it lives or has ended in good order, and has never
    /// stood still.
    pub(crate) fn is_undisturbed(&self) -> Outcome<bool> {
        let still = self.fate.stood_still.load(Ordering::Relaxed) || self.value("FAILPOINTS").is_some();
        Ok(!still && self.process.exit()?.is_none_or(|exit| exit.success()))
    }

    /// The value of a variable that it was started with.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.sidecar.value(name)
    }

    /// Its HTTP port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// All it has written to its output so far, over all starts of this copy.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Waits until `/readyz` says 200; its end before that is a failure that shows the log.
    pub async fn ready(&self) -> Outcome {
        let name = self.process.name();
        eventually(&format!("{name} is ready"), async || {
            if let Some(exit) = self.process.exit()? {
                return Err(Failure::new(format!("{name} ended with {exit} before it was ready")));
            }
            self.has_its_failpoints()?;
            Ok(self.get("/readyz").await.is_ok_and(|answer| answer.status == 200))
        })
        .await
        .map_err(|failure| failure.with_log(self.process.log_path()))
    }

    /// `GET` from its HTTP port.
    pub async fn get(&self, path: &str) -> Outcome<Response> {
        http::get(self.port, path).await
    }

    /// The sum of a metric over all its label sets. One that has labels is not on the page before
    /// it was first counted: 0.
    pub async fn metric(&self, name: &str) -> Outcome<f64> {
        self.metric_of(name, "").await
    }

    /// The sum of a metric over the label sets that have this in them, such as `result="late"`.
    pub async fn metric_of(&self, name: &str, label: &str) -> Outcome<f64> {
        let page = self.get("/metrics").await?.body;
        Ok(page
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| {
                let (series, value) = line.rsplit_once(' ')?;
                let metric = series.split('{').next()?;
                (metric == name && series.contains(label)).then(|| value.parse::<f64>().ok()).flatten()
            })
            // The sum of an empty set would be -0.
            .fold(0.0, |sum, value| sum + value))
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> Outcome {
        self.process.signal(signal)?;
        match signal {
            Signal::STOP => self.fate.stood_still.store(true, Ordering::Relaxed),
            Signal::CONT => {}
            _ => self.fate.ends.store(true, Ordering::Relaxed),
        }
        Ok(())
    }

    /// Waits for its end.
    pub async fn wait(&self) -> Outcome<ExitStatus> {
        self.fate.ends.store(true, Ordering::Relaxed);
        self.process.wait().await
    }

    /// Stops it in good order with SIGTERM; anything but exit code 0 is a failure.
    pub async fn stop(&self) -> Outcome {
        self.signal(Signal::TERM)?;
        let exit = self.wait().await?;
        if exit.success() {
            return Ok(());
        }
        let what = format!("{} ended with {exit} after SIGTERM", self.process.name());
        Err(Failure::new(what).with_log(self.process.log_path()))
    }

    /// Kills it with SIGKILL. Another end is a failure.
    pub async fn kill(&self) -> Outcome {
        self.signal(Signal::KILL)?;
        let exit = self.wait().await?;
        if exit.signal() == Some(Signal::KILL.as_raw()) {
            return Ok(());
        }
        let what = format!("{} ended with {exit} and not by SIGKILL", self.process.name());
        Err(Failure::new(what).with_log(self.process.log_path()))
    }

    /// A failure if it was started with failpoints and is a program without them: it would pass
    /// them all, and the test would wait in vain. A program with failpoints says so before anything
    /// else.
    fn has_its_failpoints(&self) -> Outcome {
        if self.value("FAILPOINTS").is_none() || !self.process.has_spoken() || self.log().contains(FAILPOINTS)
        {
            return Ok(());
        }
        let program = self.sidecar.program.display();
        Err(Failure::new(format!(
            "{program} was built without failpoints: cargo build --workspace --all-targets"
        )))
    }

    /// Waits until it stands still at a failpoint, for which it was started with
    /// [`Sidecar::stand_still_at`].
    pub async fn stands_still_at(&self, point: &str) -> Outcome {
        let line = format!("failpoint {point}: pause");
        eventually(&format!("{} stands still at {point}", self.process.name()), async || {
            if let Some(exit) = self.process.exit()? {
                return Err(Failure::new(format!("{} ended with {exit}", self.process.name())));
            }
            self.has_its_failpoints()?;
            Ok(self.log().contains(&line))
        })
        .await
        .map_err(|failure| failure.with_log(self.process.log_path()))
    }
}
