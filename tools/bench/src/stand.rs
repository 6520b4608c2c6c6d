//! The ground of the benchmark: a cluster and a nats-server of its own, and the processes that are
//! measured.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use tpro_testkit::postgres::connect;
use tpro_testkit::{
    Context as _, Database, Failure, Nats, Outcome, Postgres, Process, Sidecar, Signal, eventually, paths,
};

use crate::echo_floor::READY;

/// The settings that differ from PostgreSQL's own, or that matter.
///
/// The cluster is durable as a production server is, because the cost of a commit is measured.
pub const SETTINGS: [(&str, &str); 7] = [
    ("fsync", "on"),
    ("full_page_writes", "on"),
    ("synchronous_commit", "on"),
    ("shared_buffers", "512MB"),
    ("max_wal_size", "8GB"),
    ("checkpoint_timeout", "30min"),
    ("max_connections", "250"),
];

/// The servers.
pub struct Stand {
    /// PostgreSQL.
    pub cluster: Arc<Postgres>,
    /// NATS.
    pub nats: Nats,
    folder: PathBuf,
}

impl Stand {
    /// Starts the servers.
    pub async fn start() -> Outcome<Self> {
        // A folder of this name is tidied away by the test kit, should this process be killed.
        let folder = paths::run_root()?.join(format!("world-{}-bench", std::process::id()));
        fs::create_dir_all(&folder).context(format!("making {}", folder.display()))?;
        let options =
            SETTINGS.iter().fold(Postgres::own(), |options, (name, value)| options.set(name, value));
        Ok(Self { cluster: options.start().await?, nats: Nats::new().await?, folder })
    }

    /// Makes every flush take 2 ms longer: the server waits so long before it, for other commits
    /// that may share it.
    pub async fn slow_flushes(&self) -> Outcome {
        let admin = connect(&self.cluster.superuser_url("postgres")).await?;
        for setting in ["commit_delay = 2000", "commit_siblings = 0"] {
            admin.execute(&format!("ALTER SYSTEM SET {setting}"), &[]).await?;
        }
        admin.execute("SELECT pg_reload_conf()", &[]).await?;
        Ok(())
    }

    /// A fresh database with the services `main`, which asks, and `echo`, which answers.
    pub async fn database(&self) -> Outcome<Database> {
        let database = self.cluster.database().await?;
        for service in ["main", "echo"] {
            database.create_service(service).await?;
        }
        Ok(database)
    }

    /// A copy of a service on a database. Traces are off: they would go nowhere.
    pub fn sidecar(&self, database: &Database, service: &str) -> Outcome<Sidecar> {
        self.sidecar_of(database, service, &format!("{service}_service"))
    }

    /// A copy of a service of any name, which answers as `echo` does.
    pub fn echo(&self, database: &Database, service: &str) -> Outcome<Sidecar> {
        Ok(self.sidecar_of(database, service, "echo_service")?.env("SERVICE_NAME", service))
    }

    fn sidecar_of(&self, database: &Database, service: &str, program: &str) -> Outcome<Sidecar> {
        Ok(Sidecar::new(service, paths::binary(program, "tpro-bench -p main_service")?, &self.folder)
            .env("DATABASE_URL", database.role_url(service))
            .env("NATS_URL", self.nats.url())
            .env("NATS_TOKEN", self.nats.token())
            .env("RUST_LOG", "warn"))
    }

    /// Another process of this program, doing one of its hidden tasks.
    pub fn spawn_task(&self, task: &str, arguments: &[&str], database_url: &str) -> Outcome<Process> {
        let mut command = Command::new(std::env::current_exe().context("finding this program")?);
        command.arg(task).args(arguments);
        self.spawn(task, command, database_url)
    }

    /// A process that works on the database and NATS.
    pub fn spawn(&self, name: &str, mut command: Command, database_url: &str) -> Outcome<Process> {
        command
            .env("DATABASE_URL", database_url)
            .env("NATS_URL", self.nats.url())
            .env("NATS_TOKEN", self.nats.token());
        let log = self.folder.join(format!("{name}.out"));
        // The log of an earlier round must not be taken for this round's.
        let _absent = fs::remove_file(&log);
        Process::start(name, command, &log, Signal::KILL, None)
    }

    /// A process of this kind, when it says that it is ready.
    pub async fn ready_task(&self, task: &str, database: &Database) -> Outcome<Process> {
        let process = self.spawn_task(task, &[], &database.url())?;
        self.await_ready(&process).await?;
        Ok(process)
    }

    /// Waits until a process says that it is ready.
    pub async fn await_ready(&self, process: &Process) -> Outcome {
        let is_ready = async || match process.exit()? {
            Some(exit) => Err(Failure::new(format!("{} ended with {exit}", process.name()))),
            None => Ok(process.log().contains(READY)),
        };
        let ready = eventually(&format!("{} is ready", process.name()), is_ready).await;
        ready.map_err(|failure| failure.with_log(process.log_path()))
    }

    /// The folder for files of the benchmark.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Stand {
    fn drop(&mut self) {
        let _absent = fs::remove_dir_all(&self.folder);
    }
}
