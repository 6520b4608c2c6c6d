//! The connection of a run.

use std::{fmt::Display, time::Duration};

use tokio_postgres::{Client, Row, error::SqlState, types::ToSql};

use crate::{
    config::Config,
    db::{self, DbError, Servers, plain},
};

/// How long a statement that waits for others may wait in all. What it leaves half done the next run finishes.
const PATIENCE: &str = "10s";
/// A strong lock is waited for so long: whoever comes behind us waits as long.
const LOCK: &str = "50ms";

/// Why a run came to nothing, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum MaintenanceError {
    /// There is no connection.
    #[error(transparent)]
    Session(#[from] DbError),
    /// The login may not become the maintainer.
    #[error(
        "{login} may not become {role}; GRANT {role} TO {login}, or MAINTENANCE_INTERVAL=0 where another login maintains"
    )]
    Role {
        /// Who we are.
        login: String,
        /// Who it takes.
        role: String,
    },
    /// A statement failed.
    #[error("{what}: {}", plain(source))]
    Run {
        /// What was tried.
        what: String,
        /// What the server says.
        source: tokio_postgres::Error,
    },
    /// A range that was to be replaced has got rows meanwhile.
    #[error("{0} has got rows meanwhile")]
    Used(String),
    /// The tables are not as the template and earlier runs leave them.
    #[error("{0}")]
    Odd(String),
}

impl MaintenanceError {
    /// Whether it is only a matter of time: a lock or a transaction that others hold.
    pub(super) fn is_held(&self) -> bool {
        let held = [SqlState::LOCK_NOT_AVAILABLE, SqlState::QUERY_CANCELED, SqlState::T_R_DEADLOCK_DETECTED];
        match self {
            Self::Run { source, .. } => source.code().is_some_and(|code| held.contains(code)),
            // The next run plans with what is there then.
            Self::Used(_) => true,
            _ => false,
        }
    }
}

/// The connection, as the maintainer of a service.
pub(super) struct Session {
    client: Client,
    /// The schema, a plain identifier.
    pub schema: String,
}

impl Session {
    /// Connects and takes the lock; none if another session has it, or the database is not adopted.
    pub async fn open(
        config: &Config,
        servers: &Servers,
    ) -> Result<Result<Self, &'static str>, MaintenanceError> {
        let client = db::session(servers, "maintain").await?.client;
        let session = Self { client, schema: config.service.schema() };
        // A restored database is looked at by somebody first: nothing of it goes before it is adopted.
        let lock = "SELECT CASE WHEN tpro.adopted() THEN tpro.maintain($1) END, current_user::text";
        let row = session.one(lock, &[&config.service.as_str()]).await?;
        match row.get(0) {
            Some(true) => {}
            Some(false) => return Ok(Err("another session is at it")),
            None => return Ok(Err("the database is not adopted; SELECT tpro.adopt()")),
        }
        let role = format!("{}_maintainer", config.service);
        session.execute(&format!("SET ROLE {role}")).await.map_err(|error| match error {
            MaintenanceError::Run { source, .. }
                if source.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) =>
            {
                MaintenanceError::Role { login: row.get(1), role }
            }
            other => other,
        })?;
        // Whole partitions are looked through, and joined with their replies.
        session.execute(&format!("SET statement_timeout = '10min'; SET lock_timeout = '{LOCK}'")).await?;
        Ok(Ok(session))
    }

    /// Days since 1970, in UTC, by the database's clock: by that of a host that is days ahead the inbox of today would go.
    pub async fn today(&self) -> Result<i64, MaintenanceError> {
        let sql = "SELECT floor(extract(epoch FROM clock_timestamp()) / 86400)::bigint";
        Ok(self.one(sql, &[]).await?.get(0))
    }

    /// Statements in one go; of more than one all or none.
    pub async fn execute(&self, sql: &str) -> Result<(), MaintenanceError> {
        self.client.batch_execute(sql).await.map_err(|source| failed(sql, source))
    }

    /// A statement that waits for the transactions of others, and lets nobody wait for it.
    pub async fn execute_patiently(&self, sql: &str) -> Result<(), MaintenanceError> {
        // lock_timeout would count the waiting for transactions.
        self.execute(&format!("SET statement_timeout = '{PATIENCE}'; SET lock_timeout = 0")).await?;
        let done = self.execute(sql).await;
        self.execute(&format!("SET statement_timeout = '10min'; SET lock_timeout = '{LOCK}'")).await?;
        done
    }

    /// One row.
    pub async fn one(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<Row, MaintenanceError> {
        self.client.query_one(sql, params).await.map_err(|source| failed(sql, source))
    }

    /// Rows.
    pub async fn all(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, MaintenanceError> {
        self.client.query(sql, params).await.map_err(|source| failed(sql, source))
    }

    /// Whether there is such a row.
    pub async fn exists(&self, from: impl Display) -> Result<bool, MaintenanceError> {
        Ok(self.one(&format!("SELECT EXISTS (SELECT FROM {from})"), &[]).await?.get(0))
    }

    /// So many rows went.
    pub async fn delete(&self, sql: &str) -> Result<u64, MaintenanceError> {
        self.client.execute(sql, &[]).await.map_err(|source| failed(sql, source))
    }

    /// Waits until nobody is left who uses the table now; false if that takes longer than the limit. Nobody waits for us: it
    /// looks at the locks, and takes none.
    pub async fn outlast_users_of(&self, table: &str, limit: Duration) -> Result<bool, MaintenanceError> {
        let users = "SELECT coalesce(array_agg(DISTINCT virtualtransaction), '{}') FROM pg_locks l
             WHERE l.locktype = 'relation' AND l.relation = to_regclass($1) AND l.granted
               AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
               AND l.pid IS DISTINCT FROM pg_backend_pid()";
        let users: Vec<String> = self.one(users, &[&table]).await?.get(0);
        let until = tokio::time::Instant::now() + limit;
        let left = "SELECT EXISTS (SELECT FROM pg_locks l WHERE l.virtualtransaction = ANY ($2)
               AND l.locktype = 'relation' AND l.relation = to_regclass($1))";
        loop {
            if users.is_empty() || !self.one(left, &[&table, &users]).await?.get::<_, bool>(0) {
                return Ok(true);
            }
            if tokio::time::Instant::now() >= until {
                return Ok(false);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn failed(sql: &str, source: tokio_postgres::Error) -> MaintenanceError {
    // Statements of ours: names and numbers, no values of anybody's.
    let what = sql.split_whitespace().take(12).collect::<Vec<_>>().join(" ");
    MaintenanceError::Run { what, source }
}
