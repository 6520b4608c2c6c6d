//! All that one test needs, in one call.

mod executions;
mod options;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tokio_postgres::Client;

use self::executions::Executions;
pub use self::options::WorldOptions;
use crate::collector::Collector;
use crate::database::Database;
use crate::eventually::eventually;
use crate::failure::{Context, Failure, Outcome, tail};
use crate::message::{Message, Reply};
use crate::nats::Nats;
use crate::paths;
use crate::postgres::Postgres;
use crate::recon::Recon;
use crate::sidecar::{Sidecar, SidecarProcess};

/// A database with services, a nats-server, a collector, and the copies that the test has started.
pub struct World {
    /// The database.
    pub database: Database,
    /// A session of the superuser.
    pub admin: Client,
    /// A session of role `main`, as a user has it.
    pub main: Client,
    /// The nats-server, this world's own.
    pub nats: Nats,
    /// The collector of its traces.
    pub collector: Collector,
    services: Vec<String>,
    folder: PathBuf,
    started: Mutex<Vec<Arc<SidecarProcess>>>,
    finished: bool,
}

impl World {
    /// A world with the services `main`, `analytic` and `co`, and none of them running.
    pub async fn new() -> Outcome<World> {
        World::options().start().await
    }

    /// A world as [`World::new`] makes it, with the data of the demo in it.
    pub async fn demo() -> Outcome<World> {
        let world = World::new().await?;
        world.database.load_demo().await?;
        Ok(world)
    }

    /// A world to be configured.
    pub fn options() -> WorldOptions {
        WorldOptions::default()
    }

    /// Makes its sessions again, after they were lost with a server.
    pub async fn reconnect(&mut self) -> Outcome {
        self.admin = self.database.connect().await?;
        self.main = self.database.connect_as("main").await?;
        Ok(())
    }

    /// Goes over to this database in another cluster, such as a standby that was promoted. Copies
    /// stay as they were configured.
    pub async fn move_to(&mut self, cluster: Arc<Postgres>) -> Outcome {
        self.database = self.database.in_copy(cluster);
        self.reconnect().await
    }

    /// A copy of a service's own binary, ready to start in this world.
    pub fn sidecar(&self, service: &str) -> Outcome<Sidecar> {
        let name = format!("{service}_service");
        Ok(self.sidecar_of(service, paths::binary(&name, &name)?))
    }

    /// A copy of a service that another program runs.
    pub fn sidecar_of(&self, service: &str, program: PathBuf) -> Sidecar {
        let sidecar = Sidecar::new(service, program, &self.folder);
        let login = self.nats.login(service).into_iter();
        login
            .fold(sidecar, |sidecar, (key, value)| sidecar.env(key, value))
            .env("DATABASE_URL", self.database.role_url(service))
            .env("NATS_URL", self.nats.url())
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", self.collector.endpoint())
            .env("EXAMPLE_PAUSE_MS", 0)
            .env("RUST_LOG", "info")
    }

    /// Starts a copy as configured and waits until it is ready.
    pub async fn start(&self, sidecar: Sidecar) -> Outcome<Arc<SidecarProcess>> {
        let process = self.spawn(sidecar)?;
        process.ready().await?;
        Ok(process)
    }

    /// Starts a copy and waits for nothing.
    pub fn spawn(&self, sidecar: Sidecar) -> Outcome<Arc<SidecarProcess>> {
        let process = sidecar.spawn()?;
        self.started.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(process.clone());
        Ok(process)
    }

    /// Starts the first copy of a service's own binary.
    pub async fn run(&self, service: &str) -> Outcome<Arc<SidecarProcess>> {
        self.start(self.sidecar(service)?).await
    }

    /// A folder of this world's own, where its copies run.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Publishes as role `main`, returns the id.
    pub async fn publish(&self, message: &Message) -> Outcome<i64> {
        message.publish(&self.main).await
    }

    /// Waits for the reply to a message of `main`.
    pub async fn await_reply(&self, id: i64) -> Outcome<Reply> {
        Reply::wait(&self.main, "main", id).await
    }

    /// Publishes as `main` and waits for the reply.
    pub async fn ask(&self, message: &Message) -> Outcome<Reply> {
        self.await_reply(self.publish(message).await?).await
    }

    /// The replies of a service, in the order of the ids.
    pub async fn replies(&self, service: &str) -> Outcome<Vec<Reply>> {
        let statement = format!("SELECT {} FROM {service}_service.mq_reply ORDER BY mq_id", Reply::COLUMNS);
        self.admin.query(&statement, &[]).await?.iter().map(Reply::read).collect()
    }

    /// One number from the database, as the superuser.
    pub async fn count(&self, query: &str) -> Outcome<i64> {
        Ok(self.admin.query_one(query, &[]).await.context(query)?.get(0))
    }

    /// Drops a trigger of a partitioned table that copies use, if it is there. DROP TRIGGER locks
    /// the partitions before their table, and a copy locks the table first. Without a lock before
    /// both, that is a deadlock now and then.
    pub async fn drop_trigger(&self, trigger: &str, table: &str) -> Outcome {
        let sql = format!("BEGIN; LOCK TABLE {table}; DROP TRIGGER IF EXISTS {trigger} ON {table}; COMMIT");
        self.admin.batch_execute(&sql).await.context(sql)
    }

    /// Waits until every outbox is settled, then asks the oracle.
    pub async fn recon(&self) -> Outcome<Recon> {
        Recon::drained(&self.admin, &self.services).await?;
        Recon::look(&self.admin, &self.services).await?.clean()
    }

    /// The end of a test. It asks the oracle. It checks that no copy has ended without an order,
    /// that those in `alive` live and have nothing left in hand, and that each message was executed
    /// as often as the spans must tell.
    pub async fn finish(mut self, alive: &[&Arc<SidecarProcess>]) -> Outcome<Recon> {
        // First, because a copy that has ended settles nothing.
        self.none_has_ended()?;
        let recon = self.recon().await?;
        for copy in alive {
            lives(copy)?;
            let name = copy.process().name();
            for gauge in ["tpro_unsettled", "tpro_waiting", "tpro_in_flight", "tpro_handlers_at_work"] {
                let what = format!("{name} has nothing in hand: {gauge} is 0");
                eventually(&what, async || Ok(copy.metric(gauge).await? == 0.0)).await?;
            }
        }
        Executions::of(&self).told_once().await?;
        self.none_has_ended()?;
        self.finished = true;
        Ok(recon)
    }

    /// Checks that no copy has ended without an order, in `alive` or not.
    fn none_has_ended(&self) -> Outcome {
        self.started().iter().filter(|copy| !copy.may_end()).try_for_each(|copy| lives(copy))
    }

    /// All copies that were started, in that order.
    fn started(&self) -> Vec<Arc<SidecarProcess>> {
        self.started.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }
}

/// A failure if a copy has ended.
fn lives(copy: &SidecarProcess) -> Outcome {
    let Some(exit) = copy.process().exit()? else { return Ok(()) };
    let what = format!("{} has ended by itself with {exit}", copy.process().name());
    Err(Failure::new(what).with_log(copy.process().log_path()))
}

impl Drop for World {
    fn drop(&mut self) {
        if !self.finished {
            let mut logs: Vec<PathBuf> =
                self.started().iter().map(|copy| copy.process().log_path().to_path_buf()).collect();
            logs.sort();
            logs.dedup();
            logs.push(self.database.cluster().log_path());
            for log in logs {
                eprintln!("--- the end of {} ---\n{}", log.display(), tail(&log));
            }
        }
        // They end before their folder goes, except those that the test still holds.
        self.started.get_mut().unwrap_or_else(|poisoned| poisoned.into_inner()).clear();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
