//! A PostgreSQL cluster: one that all tests of a process share, or one of its own for a test that
//! breaks it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

mod copies;

use tokio::sync::OnceCell;
use tokio_postgres::{Client, NoTls};
use tpro_servers::account::Account;
use tpro_servers::extension::{LIBRARY, LIBRARY_OF_BEFORE};
use tpro_servers::process::children;
use tpro_servers::{cluster, secret};

use crate::eventually::{eventually, eventually_some};
use crate::failure::{Context, Failure, Outcome};
use crate::installation::Installation;
use crate::paths;
use crate::ports::free_port;
use crate::process::{Process, Signal, signal_pid};

/// The settings of every cluster beside those of all private clusters, unless a test changes them.
/// Tests do not pull the plug of the machine, so nothing is flushed.
const SETTINGS: [(&str, &str); 8] = [
    ("unix_socket_directories", ""),
    ("fsync", "off"),
    ("full_page_writes", "off"),
    ("shared_buffers", "128MB"),
    ("max_wal_size", "4GB"),
    ("log_line_prefix", "%m [%p] %a %u@%d "),
    ("logging_collector", "off"),
    ("timezone", "UTC"),
];

/// The longest time for a server to stop.
const STOP_LIMIT: Duration = Duration::from_secs(180);

static SHARED: OnceCell<Arc<Postgres>> = OnceCell::const_new();
static CLUSTERS: AtomicU32 = AtomicU32::new(0);

/// The way to stop a server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum StopMode {
    /// Ends the sessions, flushes, stops.
    Fast,
    /// As if it had crashed: the next start recovers.
    Immediate,
    /// `kill -9` of the postmaster: its backends find out by themselves.
    Kill,
}

/// One cluster with its server. Dropping it stops the server and removes the files.
pub struct Postgres {
    installation: Installation,
    account: Account,
    folder: PathBuf,
    port: u16,
    server: Mutex<Option<Process>>,
    role_password: String,
    // Roles belong to the cluster, so that databases are made one at a time.
    pub(crate) making: tokio::sync::Mutex<()>,
}

/// A cluster to be.
#[derive(Default)]
pub struct PostgresOptions {
    settings: BTreeMap<String, String>,
    apart: bool,
}

impl PostgresOptions {
    /// Sets a configuration parameter of the server.
    pub fn set(mut self, name: &str, value: &str) -> PostgresOptions {
        self.settings.insert(name.to_owned(), value.to_owned());
        self
    }

    /// With an installation of its own. [`Postgres::install_library_of_before`] changes nobody
    /// else's there.
    pub fn apart(mut self) -> PostgresOptions {
        self.apart = true;
        self
    }

    /// Makes and starts the cluster.
    pub async fn start(self) -> Outcome<Arc<Postgres>> {
        let folder = new_folder()?;
        let installation = match self.apart {
            true => Installation::current()?.copy_to(&folder)?,
            false => Installation::current()?,
        };
        installation.make_data(&folder.join("data"))?;
        self.serve(installation, folder, secret::fresh()?).await
    }

    async fn serve(
        self,
        installation: Installation,
        folder: PathBuf,
        role_password: String,
    ) -> Outcome<Arc<Postgres>> {
        let port = free_port()?;
        let port_setting = port.to_string();
        let mut settings: BTreeMap<&str, &str> = cluster::SETTINGS.into_iter().chain(SETTINGS).collect();
        settings.extend(self.settings.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        settings.insert("port", &port_setting);
        let configuration = folder.join("data/postgresql.conf");
        let lines = cluster::lines(settings);
        fs::write(&configuration, lines).context(format!("writing {}", configuration.display()))?;
        let postgres = Postgres {
            installation,
            account: Account::of_postgres()?,
            folder,
            port,
            server: Mutex::new(None),
            role_password,
            making: tokio::sync::Mutex::new(()),
        };
        postgres.start().await?;
        Ok(Arc::new(postgres))
    }
}

impl Postgres {
    /// The cluster that the tests of this process share. It lives as long as the process.
    pub async fn shared() -> Outcome<Arc<Postgres>> {
        SHARED.get_or_try_init(|| PostgresOptions::default().start()).await.cloned()
    }

    /// A cluster of one's own, to be configured and broken.
    pub fn own() -> PostgresOptions {
        PostgresOptions::default()
    }

    /// The server's port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL of the superuser.
    pub fn superuser_url(&self, database: &str) -> String {
        self.url("postgres", self.installation.password(), database)
    }

    /// The URL of a login role that the test kit made.
    pub fn role_url(&self, role: &str, database: &str) -> String {
        self.url(role, &self.role_password, database)
    }

    /// The password of every login role that the test kit made.
    pub fn role_password(&self) -> &str {
        &self.role_password
    }

    /// The file that the server logs to.
    pub fn log_path(&self) -> PathBuf {
        self.folder.join("postgresql.log")
    }

    /// The server's log so far, over all its restarts.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.log_path()).unwrap_or_default()).into_owned()
    }

    /// One of the programs of the private installation, as a command that runs as the server's
    /// account.
    pub fn command(&self, program: &str) -> Command {
        let mut command = self.account.command(&self.installation.program(program));
        // pgrx would put a backtrace into every error.
        command.current_dir(&self.folder).env_remove("RUST_BACKTRACE");
        command
    }

    /// A client program such as psql, run by this process's own user.
    pub fn client_program(&self, program: &str) -> Command {
        Command::new(self.installation.client_program(program))
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Stops the server and waits for its end.
    pub async fn stop(&self, mode: StopMode) -> Outcome {
        let server = self.server.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take();
        let Some(server) = server else { return Ok(()) };
        let backends = children(server.pid());
        server.signal(match mode {
            StopMode::Fast => Signal::INT,
            StopMode::Immediate => Signal::QUIT,
            StopMode::Kill => Signal::KILL,
        })?;
        // Its last checkpoint may wait for a disk that others keep busy.
        server.wait_within(STOP_LIMIT).await?;
        // A server does not start while backends of the one before it use its memory.
        eventually("its backends are gone", async || {
            Ok(backends.iter().all(|pid| !Path::new(&format!("/proc/{pid}")).exists()))
        })
        .await
    }

    /// Starts the stopped server, on the port it had, and waits until it takes connections.
    pub async fn start(&self) -> Outcome {
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.data());
        let server =
            Process::start("PostgreSQL", command, &self.log_path(), Signal::QUIT, Some(&self.folder))?;
        let url = self.superuser_url("postgres");
        let ready = eventually_some("PostgreSQL takes connections", async || {
            if let Some(exit) = server.exit()? {
                return Err(Failure::new(format!("PostgreSQL ended with {exit} at its start")));
            }
            // Refused, or still starting: the deadline decides.
            Ok(connect(&url).await.ok())
        });
        ready.await.map_err(|failure| failure.with_log(self.log_path()))?;
        *self.server.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(server);
        Ok(())
    }

    /// Stops and starts it.
    pub async fn restart(&self, mode: StopMode) -> Outcome {
        self.stop(mode).await?;
        self.start().await
    }

    /// Installs a later version of the extension as a package would, beside the servers that run:
    /// an upgrade script, and the library in a file of its own, which only sessions that begin
    /// later load. Returns the path of the script, to be removed.
    pub fn install_version(&self, version: &str, upgrade: &str) -> Outcome<PathBuf> {
        let library = self.configured("--pkglibdir")?.join(LIBRARY);
        let content = fs::read(&library).context(format!("reading {}", library.display()))?;
        replace(&library, &content)?;
        let name = format!("pg_tpro--{}--{version}.sql", env!("CARGO_PKG_VERSION"));
        let script = self.configured("--sharedir")?.join("extension").join(name);
        fs::write(&script, upgrade).context(format!("writing {}", script.display()))?;
        Ok(script)
    }

    /// Puts another library in the place of the one that databases of release 0.1.0 know, as a
    /// package would. Sessions keep the one that they have loaded.
    pub fn install_library_of_before(&self, content: &[u8]) -> Outcome {
        replace(&self.configured("--pkglibdir")?.join(LIBRARY_OF_BEFORE), content)
    }

    /// A folder of the installation, by the option of pg_config that tells it.
    fn configured(&self, option: &str) -> Outcome<PathBuf> {
        let output = self.command("pg_config").arg(option).output().context("running pg_config")?;
        Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
    }

    /// Sends a signal to one backend of the server, by its `pg_backend_pid()`.
    pub fn signal_backend(&self, pid: i32, signal: Signal) -> Outcome {
        Ok(signal_pid(u32::try_from(pid)?, signal)?)
    }

    fn url(&self, role: &str, password: &str, database: &str) -> String {
        format!("postgres://{role}:{password}@127.0.0.1:{}/{database}", self.port)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // The server first, then its files.
        self.server.get_mut().unwrap_or_else(|poisoned| poisoned.into_inner()).take();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Writes a file in one step and as a new one.
fn replace(path: &Path, content: &[u8]) -> Outcome {
    let beside = path.with_added_extension("new");
    fs::write(&beside, content).context(format!("writing {}", beside.display()))?;
    fs::rename(&beside, path).context(format!("replacing {}", path.display()))
}

fn new_folder() -> Outcome<PathBuf> {
    let number = CLUSTERS.fetch_add(1, Ordering::Relaxed);
    let folder = paths::run_root()?.join(format!("cluster-{}-{number}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir(&folder).context(format!("making {}", folder.display()))?;
    Ok(folder)
}

/// A session. It ends when the client is dropped.
pub async fn connect(url: &str) -> Outcome<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    // The connection's own end, also by a fault, shows in the client's next call.
    tokio::spawn(connection);
    Ok(client)
}

/// The folder of one test run's other files, beside the clusters.
pub(crate) fn folder(name: &str) -> Outcome<PathBuf> {
    let folder: PathBuf = paths::run_root()?.join(name);
    fs::create_dir_all(&folder).context(format!("making {}", Path::new(&folder).display()))?;
    Ok(folder)
}
