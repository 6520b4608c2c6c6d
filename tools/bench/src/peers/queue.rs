//! A peer's queue in a database of its own, with its workers.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tokio_postgres::Client;
use tpro_testkit::eventually::eventually_within;
use tpro_testkit::{Context as _, Database, Failure, Outcome, Process, Signal, paths};

use super::peer::{Peer, Tuned};
use crate::latency::Way;
use crate::session::Statements;
use crate::stand::Stand;

/// The longest time for all jobs that wait.
const LIMIT: Duration = Duration::from_secs(120);
/// The longest time in which a worker ends what it has.
const PATIENCE: Duration = Duration::from_secs(20);

/// The reply rows, each with its moment. The client's login has the queue, as the login of an
/// application has it: it makes all tables of the peer.
const GROUND: &str = "
CREATE SCHEMA floor;
CREATE SEQUENCE floor.job;
CREATE TABLE floor.reply (
    id bigint PRIMARY KEY, result jsonb NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp()
);
GRANT USAGE ON SCHEMA floor TO main;
GRANT USAGE ON SEQUENCE floor.job TO main;
GRANT SELECT, INSERT ON floor.reply TO main;
GRANT CREATE ON SCHEMA public TO main;";

/// A queue.
pub struct Queue {
    /// The peer.
    pub peer: Peer,
    database: Database,
    admin: Client,
    folder: PathBuf,
}

impl Queue {
    /// Makes the database. Fails if the peer is not installed.
    pub async fn open(stand: &Stand, peer: Peer) -> Outcome<Self> {
        let folder = paths::checkout().join(".local/peers").join(peer.name());
        // `make bench PEERS=1` leaves this mark when it has installed the manifest.
        let mark = fs::read_to_string(folder.join("installed")).unwrap_or_default();
        if mark != peer.manifest() {
            return Err(Failure::new(format!(
                "version {} is not installed: make bench PEERS=1 installs it, or says why it cannot",
                peer.version()
            )));
        }
        let database = stand.database().await?;
        let admin = database.connect().await?;
        admin.batch_execute(GROUND).await.context("making the reply table")?;
        let grant = format!("GRANT CREATE ON DATABASE {} TO main", database.name());
        admin.batch_execute(&grant).await.context("granting")?;
        if peer == Peer::Pgmq {
            let script = fs::read_to_string(packages(&folder)?.join("pgmq/sql/pgmq.sql"))
                .context("reading its SQL")?;
            let main = database.connect_as("main").await?;
            main.batch_execute(&script).await.context("running its SQL")?;
            main.batch_execute("SELECT pgmq.create('ask')").await.context("making the queue")?;
        }
        Ok(Self { peer, database, admin, folder })
    }

    /// The clients that publish jobs and look for replies.
    pub fn way(&self) -> Outcome<Way> {
        let look = "SELECT id, true FROM floor.reply WHERE id = ANY($1::bigint[])".to_owned();
        Way::open(&self.database, &Statements { publish: self.peer.publish(), look })
    }

    /// Starts its workers, and waits until they are ready.
    pub async fn start(&self, stand: &Stand, tuned: Tuned) -> Outcome<Vec<Process>> {
        let mut workers = Vec::new();
        for number in 1..=self.peer.processes(tuned) {
            let name = format!("{}-{number}", self.peer.name());
            workers.push(stand.spawn(&name, self.command()?, &self.database.role_url("main"))?);
        }
        for worker in &workers {
            stand.await_ready(worker).await?;
        }
        Ok(workers)
    }

    /// Jobs a second, from the first reply row to the last, of all that wait when the workers are
    /// started. The responder runs.
    pub async fn drain(&self, stand: &Stand) -> Outcome<f64> {
        let (table, jobs) = (self.peer.table(), self.peer.backlog());
        let admin = &self.admin;
        admin.batch_execute(&format!("TRUNCATE {table}, floor.reply CASCADE")).await?;
        admin.batch_execute(&self.peer.fill(jobs)).await.context("making jobs")?;
        admin.batch_execute(&format!("VACUUM ANALYZE {table}")).await?;
        admin.batch_execute("CHECKPOINT").await?;
        let workers = self.start(stand, Tuned::Throughput).await?;
        let all = i64::try_from(jobs)?;
        eventually_within(LIMIT, &format!("{} has done all jobs", self.peer.name()), async || {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let done: i64 = admin.query_one("SELECT count(*) FROM floor.reply", &[]).await?.get(0);
            Ok((done >= all).then_some(()))
        })
        .await
        .map_err(|failure| workers.iter().fold(failure, |told, worker| told.with_log(worker.log_path())))?;
        let span = "SELECT extract(epoch FROM max(at) - min(at))::float8 FROM floor.reply";
        let seconds: f64 = admin.query_one(span, &[]).await?.get(0);
        stop(workers).await?;
        Ok(jobs as f64 / seconds)
    }

    fn command(&self) -> Outcome<Command> {
        let within = |program: &str| self.folder.join(program);
        let mut command = match self.peer {
            Peer::GraphileWorker | Peer::PgBoss => {
                let own = within("node_modules/.bin/node");
                let mut node = Command::new(if own.is_file() { own.as_path() } else { Path::new("node") });
                node.arg("worker.mjs");
                node
            }
            Peer::Procrastinate => {
                let mut python = Command::new(within("venv/bin/python"));
                python.arg("worker.py");
                python
            }
            Peer::Pgmq => {
                let mut consumer = Command::new(std::env::current_exe().context("finding this program")?);
                consumer.arg("pgmq-consumer");
                consumer
            }
        };
        command.current_dir(&self.folder);
        Ok(command)
    }
}

/// The packages of a Python environment, whose folder has the name of a version of Python.
fn packages(folder: &Path) -> Outcome<PathBuf> {
    let lib = folder.join("venv/lib");
    let mut versions = fs::read_dir(&lib).context(format!("reading {}", lib.display()))?;
    let version = versions.next().context(format!("{} is empty", lib.display()))??;
    Ok(version.path().join("site-packages"))
}

/// Asks workers to end; one that does not is killed.
pub async fn stop(workers: Vec<Process>) -> Outcome {
    for worker in &workers {
        worker.signal(Signal::TERM)?;
    }
    for worker in &workers {
        if worker.wait_within(PATIENCE).await.is_err() {
            worker.kill().await?;
        }
    }
    Ok(())
}
