//! All that one test needs, in one call.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use tokio_postgres::Client;

use crate::collector::Collector;
use crate::database::Database;
use crate::eventually::eventually;
use crate::failure::{Context, Failure, Outcome, tail};
use crate::message::{Message, Reply};
use crate::nats::{Nats, NatsOptions};
use crate::paths;
use crate::postgres::{Postgres, folder};
use crate::recon::Recon;
use crate::sidecar::{Sidecar, SidecarProcess};
use crate::span::{Kind, SpanRecord};

static WORLDS: AtomicU32 = AtomicU32::new(0);

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

/// A world to be.
pub struct WorldOptions {
    services: Vec<String>,
    cluster: Option<Arc<Postgres>>,
    release: Option<String>,
    nats: NatsOptions,
}

impl WorldOptions {
    /// The services in the database; `main` must be among them.
    pub fn services(mut self, services: &[&str]) -> WorldOptions {
        self.services = services.iter().map(|service| service.to_string()).collect();
        self
    }

    /// A cluster of the test's own instead of the shared one.
    pub fn cluster(mut self, cluster: Arc<Postgres>) -> WorldOptions {
        self.cluster = Some(cluster);
        self
    }

    /// Extension and services in the database as an earlier release made them.
    pub fn release(mut self, release: &str) -> WorldOptions {
        self.release = Some(release.to_owned());
        self
    }

    /// A nats-server that is configured.
    pub fn nats(mut self, nats: NatsOptions) -> WorldOptions {
        self.nats = nats;
        self
    }

    /// Makes it.
    pub async fn start(self) -> Outcome<World> {
        let cluster = match self.cluster {
            Some(cluster) => cluster,
            None => Postgres::shared().await?,
        };
        let database = match &self.release {
            Some(release) => cluster.database_of(release).await?,
            None => cluster.database().await?,
        };
        for service in &self.services {
            match &self.release {
                Some(release) => database.create_service_of(release, service).await?,
                None => database.create_service(service).await?,
            }
        }
        let number = WORLDS.fetch_add(1, Ordering::Relaxed);
        let folder = folder(&format!("world-{}-{number}", std::process::id()))?;
        Ok(World {
            admin: database.connect().await?,
            main: database.connect_as("main").await?,
            database,
            nats: self.nats.start().await?,
            collector: Collector::start().await?,
            services: self.services,
            folder,
            started: Mutex::new(Vec::new()),
            finished: false,
        })
    }
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
        WorldOptions {
            services: ["main", "analytic", "co"].map(str::to_owned).to_vec(),
            cluster: None,
            release: None,
            nats: Nats::options(),
        }
    }

    /// Makes its sessions anew, after they were lost with a server.
    pub async fn reconnect(&mut self) -> Outcome {
        self.admin = self.database.connect().await?;
        self.main = self.database.connect_as("main").await?;
        Ok(())
    }

    /// Goes over to the same database in another cluster, such as a standby that was promoted. Copies stay as they were
    /// configured.
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

    /// Waits until every outbox is settled, then asks the oracle.
    pub async fn recon(&self) -> Outcome<Recon> {
        Recon::drained(&self.admin, &self.services).await?;
        Recon::look(&self.admin, &self.services).await?.clean()
    }

    /// The end of a test: the oracle; that no copy has ended that was not told to; that those in `alive` live and have
    /// nothing left in hand; and that each message was executed as often as the spans must tell.
    pub async fn finish(mut self, alive: &[&Arc<SidecarProcess>]) -> Outcome<Recon> {
        // First, for what has ended settles nothing.
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
        self.executed_once().await?;
        self.none_has_ended()?;
        self.finished = true;
        Ok(recon)
    }

    /// No copy has ended that was not told to, in `alive` or not.
    fn none_has_ended(&self) -> Outcome {
        self.started().iter().filter(|copy| !copy.may_end()).try_for_each(|copy| lives(copy))
    }

    /// All copies that were started, in that order.
    fn started(&self) -> Vec<Arc<SidecarProcess>> {
        self.started.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }

    /// Of a message with a stored outcome, each run is one SERVER span with `tpro.repeat=false`, those aside that a stop cut off.
    async fn executed_once(&self) -> Outcome {
        for service in &self.services {
            if self.tells_all(service).await? {
                self.executed(service).await?;
            }
            let mut executed = BTreeMap::<_, u32>::new();
            for span in self.executions(service) {
                if span.attribute("tpro.stopped") != "true" {
                    let uid = span.attribute("messaging.message.id").to_owned();
                    *executed.entry((uid, span.attribute("tpro.run").to_owned())).or_default() += 1;
                }
            }
            let stored = self.uids(&format!("SELECT uid::text FROM {service}_service.mq_outcome")).await?;
            let twice = executed.iter().find(|((uid, _), times)| stored.contains(uid) && **times > 1);
            if let Some(((uid, _), times)) = twice {
                return Err(Failure::new(format!("{service} has executed message {uid} {times} times")));
            }
        }
        Ok(())
    }

    /// Whether the spans of a service must be here sooner or later: it exports them to this world's collector, has lost
    /// none, and no copy of it was killed or stood still.
    async fn tells_all(&self, service: &str) -> Outcome<bool> {
        let endpoint = self.collector.endpoint();
        let mut tells = false;
        for copy in self.started().iter().filter(|copy| copy.value("SERVICE_NAME") == Some(service)) {
            let exports = copy.value("OTEL_EXPORTER_OTLP_ENDPOINT") == Some(&endpoint)
                && copy.value("OTEL_TRACES_SAMPLER").is_none();
            if !exports || !copy.is_undisturbed()? {
                return Ok(false);
            }
            if copy.process().exit()?.is_none() && copy.metric("tpro_spans_dropped_total").await? > 0.0 {
                return Ok(false);
            }
            tells = true;
        }
        Ok(tells)
    }

    /// Waits for the span of each stored outcome whose message's trace is sampled. Spans leave half a second late.
    async fn executed(&self, service: &str) -> Outcome {
        let mut missing = BTreeSet::new();
        for asking in &self.services {
            let stored = format!(
                "SELECT uid::text FROM {service}_service.mq_outcome JOIN {asking}_service.mq_publish USING (uid)
                 WHERE traceparent LIKE '%-01'"
            );
            missing.append(&mut self.uids(&stored).await?);
        }
        let mut seen = 0;
        let what = format!("the runs of {service} have their spans");
        let told = eventually(&what, async || {
            if !missing.is_empty() && self.collector.arrivals() != seen {
                seen = self.collector.arrivals();
                for span in self.executions(service) {
                    missing.remove(span.attribute("messaging.message.id"));
                }
            }
            Ok(missing.is_empty())
        });
        told.await.map_err(|failure| {
            failure.during(format!(
                "{} outcomes have none, the first is of {:?}",
                missing.len(),
                missing.first()
            ))
        })
    }

    /// The SERVER spans of a service that are runs of a handler.
    fn executions(&self, service: &str) -> impl Iterator<Item = SpanRecord> {
        self.collector.spans().into_iter().filter(move |span| {
            span.service == service && span.kind == Kind::Server && span.attribute("tpro.repeat") == "false"
        })
    }

    async fn uids(&self, query: &str) -> Outcome<BTreeSet<String>> {
        Ok(self.admin.query(query, &[]).await.context(query)?.iter().map(|row| row.get(0)).collect())
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
        // They end before their folder goes, those aside that the test still holds.
        self.started.get_mut().unwrap_or_else(|poisoned| poisoned.into_inner()).clear();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
