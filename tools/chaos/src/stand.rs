//! The ground of a run: servers of its own, the services' copies behind lines that can be made bad,
//! and the tables in which handlers leave their effects.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use tokio_postgres::Client;
use tpro_testkit::{Context as _, Database, Nats, Outcome, Postgres, Proxy, Sidecar, paths};

use crate::act::SERVICES;

/// Nobody pulls the plug of the machine, so that nothing need be flushed; but a server that is
/// killed can be cut off in the middle of a page, and without full pages in its WAL it would lose
/// rows.
const SETTINGS: [(&str, &str); 5] = [
    ("max_connections", "400"),
    ("max_prepared_transactions", "32"),
    ("full_page_writes", "on"),
    ("track_commit_timestamp", "on"),
    ("log_checkpoints", "off"),
];

/// The servers, the database in them, and a folder for logs.
pub struct Stand {
    /// The database with all services.
    pub database: Database,
    /// NATS.
    pub nats: Nats,
    /// The line of the publishers to PostgreSQL.
    pub publishers: Proxy,
    folder: PathBuf,
    settings: Settings,
    downs: Mutex<Vec<SystemTime>>,
}

/// Settings of the copies beyond the usual, by their environment.
pub type Settings = &'static [(&'static str, &'static str)];

impl Stand {
    /// Starts the servers and makes the services.
    pub async fn start(settings: Settings) -> Outcome<Self> {
        // A folder of this name is tidied away by the test kit, should this process be killed.
        let folder = paths::run_root()?.join(format!("world-{}-chaos", std::process::id()));
        fs::create_dir_all(&folder).context(format!("making {}", folder.display()))?;
        let options =
            SETTINGS.iter().fold(Postgres::own(), |options, (name, value)| options.set(name, value));
        let database = options.start().await?.database().await?;
        for service in SERVICES {
            database.create_service(service).await?;
        }
        database.load_demo().await?;
        let admin = database.connect().await?;
        // The tables that the handlers of the service `rogue` fill, and a reply handler of `main`.
        admin
            .batch_execute(
                "CREATE TABLE public.effect (uid uuid NOT NULL, what text NOT NULL, n int8 GENERATED ALWAYS AS IDENTITY);
                 CREATE INDEX ON public.effect (uid);
                 GRANT SELECT, INSERT ON public.effect TO rogue;
                 CREATE TABLE public.reply_effect (mq_id int8 NOT NULL, uid uuid NOT NULL);
                 CREATE INDEX ON public.reply_effect (uid);
                 GRANT INSERT ON public.reply_effect TO main;
                 CREATE FUNCTION public.note_reply(reply tpro.reply_row) RETURNS void LANGUAGE sql AS
                     'INSERT INTO public.reply_effect VALUES (reply.id, reply.uid)';
                 SELECT tpro.on_reply('rogue', 'transactional', 'effect', 'public.note_reply'::regproc,
                                      'public.note_reply'::regproc, sender => 'main')",
            )
            .await?;
        let publishers = Proxy::start(database.cluster().port()).await?;
        Ok(Self { database, nats: Nats::new().await?, publishers, folder, settings, downs: Mutex::default() })
    }

    /// PostgreSQL is down at this moment: of the transactions that began before, only prepared ones
    /// commit after it.
    pub fn is_down(&self) {
        self.downs.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(SystemTime::now());
    }

    /// The times at which PostgreSQL was down.
    pub fn downs(&self) -> Vec<SystemTime> {
        self.downs.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }

    /// The cluster.
    pub fn cluster(&self) -> &Arc<Postgres> {
        self.database.cluster()
    }

    /// A session of the superuser, on no bad line.
    pub async fn admin(&self) -> Outcome<Client> {
        let admin = self.database.connect().await?;
        admin.batch_execute("SET application_name = 'chaos/oracle'; SET jit = off").await?;
        Ok(admin)
    }

    /// A copy of a service, behind its lines. Traces are off: they would only fill memory.
    pub fn sidecar(&self, service: &str, number: u32, nats: &Proxy, database: &Proxy) -> Outcome<Sidecar> {
        let program = match service {
            "rogue" => paths::rogue()?,
            _ => paths::binary(&format!("{service}_service"), &format!("{service}_service"))?,
        };
        let url = self.database.role_url(service);
        let sidecar = Sidecar::new(service, program, &self.folder).copy(number);
        Ok(self
            .settings
            .iter()
            .fold(sidecar, |sidecar, (name, value)| sidecar.env(name, *value))
            .env("DATABASE_URL", moved(&url, self.cluster().port(), database.port()))
            .env("NATS_URL", moved(&self.nats.url(), self.nats.port(), nats.port()))
            .env("NATS_TOKEN", self.nats.token())
            .env("EXAMPLE_PAUSE_MS", 0)
            .env("RUST_LOG", "info"))
    }

    /// The URL by which publishers come.
    pub fn publisher_url(&self) -> String {
        moved(&self.database.role_url("main"), self.cluster().port(), self.publishers.port())
    }

    /// Copies all logs into a folder.
    pub fn keep_logs(&self, to: &Path) -> Outcome {
        fs::create_dir_all(to).context(format!("making {}", to.display()))?;
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            if let (true, Some(name)) = (path.is_file(), path.file_name()) {
                fs::copy(&path, to.join(name)).context(format!("copying {}", path.display()))?;
            }
        }
        fs::copy(self.cluster().log_path(), to.join("postgresql.log"))?;
        fs::copy(self.nats.log_path(), to.join("nats.log"))?;
        Ok(())
    }
}

impl Drop for Stand {
    fn drop(&mut self) {
        let _absent = fs::remove_dir_all(&self.folder);
    }
}

/// The URL with another port.
fn moved(url: &str, from: u16, to: u16) -> String {
    url.replacen(&format!("127.0.0.1:{from}"), &format!("127.0.0.1:{to}"), 1)
}
