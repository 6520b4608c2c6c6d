//! PostgreSQL's own load generator, which costs the machine less than anything written here would.

use std::fs;
use std::path::PathBuf;

use tpro_testkit::{Context as _, Database, Failure, Outcome};

use crate::stand::Stand;

/// Statements to be run as fast as it goes.
pub struct Pgbench {
    script: PathBuf,
    database: Database,
    user: &'static str,
    /// Settings of its sessions, as PGOPTIONS has them.
    options: &'static str,
}

impl Pgbench {
    /// Prepares the script of a transaction, which the user `main` runs.
    pub fn new(stand: &Stand, database: &Database, name: &str, statement: &str) -> Outcome<Self> {
        let script = stand.folder().join(format!("{name}.sql"));
        fs::write(&script, statement).context(format!("writing {}", script.display()))?;
        Ok(Self { script, database: database.clone(), user: "main", options: "" })
    }

    /// Another user runs it.
    pub fn by_user(self, user: &'static str) -> Self {
        Self { user, ..self }
    }

    /// Its sessions have these settings, as PGOPTIONS has them.
    pub fn with(self, options: &'static str) -> Self {
        Self { options, ..self }
    }

    /// Transactions a second, from a second with so many clients, each waiting for its commit.
    pub async fn second(&self, clients: usize) -> Outcome<f64> {
        self.seconds(clients, 1).await
    }

    /// Transactions a second, from as many seconds with as many clients.
    pub async fn seconds(&self, clients: usize, seconds: u64) -> Outcome<f64> {
        let cluster = self.database.cluster();
        let mut command = cluster.client_program("pgbench");
        command
            .args(["--no-vacuum", "--protocol=prepared", "--host=127.0.0.1"])
            .arg(format!("--username={}", self.user))
            .arg(format!("--time={seconds}"))
            .arg(format!("--port={}", cluster.port()))
            .arg(format!("--client={clients}"))
            .arg(format!("--jobs={}", clients.min(2)))
            .arg("--file")
            .arg(&self.script)
            .arg(self.database.name())
            .env("PGOPTIONS", self.options)
            .env("PGPASSWORD", cluster.role_password());
        let output = tokio::process::Command::from(command).output().await.context("running pgbench")?;
        let text = String::from_utf8_lossy(&output.stdout);
        let tps = text.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
        match tps {
            Some(tps) if output.status.success() => Ok(tps),
            _ => {
                let said = String::from_utf8_lossy(&output.stderr);
                Err(Failure::new(format!(
                    "pgbench with {clients} clients has no speed to tell: {text}{said}"
                )))
            }
        }
    }
}
