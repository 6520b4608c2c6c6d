//! A world to be: its services, its cluster, its nats-server.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use super::World;
use crate::collector::Collector;
use crate::failure::Outcome;
use crate::nats::{Nats, NatsOptions};
use crate::postgres::{Postgres, folder};

static WORLDS: AtomicU32 = AtomicU32::new(0);

/// A world to be.
pub struct WorldOptions {
    services: Vec<String>,
    cluster: Option<Arc<Postgres>>,
    release: Option<String>,
    nats: NatsOptions,
}

impl Default for WorldOptions {
    fn default() -> WorldOptions {
        WorldOptions {
            services: ["main", "analytic", "co"].map(str::to_owned).to_vec(),
            cluster: None,
            release: None,
            nats: Nats::options(),
        }
    }
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
