//! A real pgbouncer in front of a database.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::net::TcpStream;
use tpro_servers::account::Account;

use crate::database::Database;
use crate::eventually::eventually;
use crate::failure::{Context, Failure, Outcome};
use crate::ports::free_port;
use crate::postgres::{Postgres, folder};
use crate::process::{Process, Signal};

const PROGRAM: &str = "/usr/sbin/pgbouncer";

static POOLERS: AtomicU32 = AtomicU32::new(0);

/// A running pgbouncer. Dropping it stops it and removes its files.
pub struct Pooler {
    folder: PathBuf,
    port: u16,
    cluster: Arc<Postgres>,
    _process: Process,
}

impl Pooler {
    /// Starts one for a cluster, for these login roles. `mode` is `session` or `transaction`: the
    /// time that a client keeps a session of the server.
    pub async fn start(cluster: &Arc<Postgres>, mode: &str, roles: &[&str]) -> Outcome<Pooler> {
        let number = POOLERS.fetch_add(1, Ordering::Relaxed);
        let folder = folder(&format!("pooler-{}-{number}", std::process::id()))?;
        let port = free_port()?;
        // pgbouncer refuses root, as PostgreSQL does.
        let account = Account::of_postgres()?;
        account.own(&folder)?;
        let password = cluster.role_password();
        let users: String = roles.iter().map(|role| format!("\"{role}\" \"{password}\"\n")).collect();
        let configuration = format!(
            "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {}\npool_mode = {mode}\ndefault_pool_size = 8\n",
            cluster.port(),
            folder.join("users").display()
        );
        for (name, text) in [("users", users), ("pgbouncer.ini", configuration)] {
            let path = folder.join(name);
            fs::write(&path, text).context(format!("writing {}", path.display()))?;
            account.own(&path)?;
        }
        let mut command = account.command(Path::new(PROGRAM));
        command.arg(folder.join("pgbouncer.ini")).current_dir(&folder);
        let log = folder.join("pgbouncer.log");
        let process = Process::start("pgbouncer", command, &log, Signal::KILL, Some(&folder))?;
        eventually("pgbouncer is ready", async || {
            if let Some(exit) = process.exit()? {
                return Err(Failure::new(format!("pgbouncer ended with {exit} at its start")));
            }
            Ok(TcpStream::connect(("127.0.0.1", port)).await.is_ok())
        })
        .await
        .map_err(|failure| failure.with_log(&log))?;
        Ok(Pooler { folder, port, cluster: cluster.clone(), _process: process })
    }

    /// The URL of a login role through the pooler.
    pub fn role_url(&self, database: &Database, role: &str) -> String {
        let (ours, theirs) =
            (format!("127.0.0.1:{}", self.port), format!("127.0.0.1:{}", self.cluster.port()));
        database.role_url(role).replacen(&theirs, &ours, 1)
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}
