//! The connection of a run: the functions of the extension, by name.

use std::time::Duration;

use tokio_postgres::{Client, Row, error::SqlState, types::ToSql};
use tpro_runtime::{
    config::Config,
    db::{self, DbError, Servers, is_held, plain},
};

use super::bounds::Bounds;

/// The reason why a run failed.
#[derive(Debug, thiserror::Error)]
pub enum MaintenanceError {
    /// There is no connection.
    #[error(transparent)]
    Session(#[from] DbError),
    /// A statement failed.
    #[error("{what}: {}{}", plain(source), hint(source))]
    Run {
        /// The step.
        what: &'static str,
        /// The error of the server.
        source: tokio_postgres::Error,
    },
}

impl MaintenanceError {
    /// True if another session holds a lock or a transaction: a later run may do it.
    pub(super) fn is_held(&self) -> bool {
        let passing = [SqlState::QUERY_CANCELED, SqlState::T_R_DEADLOCK_DETECTED];
        self.code().is_some_and(|code| is_held(code) || passing.contains(code))
    }

    /// True if the error is about the tables, and not about the connection or the server.
    pub(super) fn is_of_tables(&self) -> bool {
        // 08, 25, 53, 57, 58, XX: connection, transaction, room, operators, files, bugs.
        let server = ["08", "25", "53", "57", "58", "XX"];
        self.code().is_some_and(|code| !server.iter().any(|class| code.code().starts_with(class)))
    }

    fn code(&self) -> Option<&SqlState> {
        match self {
            Self::Run { source, .. } => source.code(),
            Self::Session(_) => None,
        }
    }
}

/// The remedy that the server names. The functions name tables and keys in it, and show no value of
/// a row.
fn hint(error: &tokio_postgres::Error) -> String {
    let hint = error.as_db_error().and_then(|error| error.hint());
    hint.map_or(String::new(), |hint| format!("; {hint}"))
}

/// A partition that is attached.
#[derive(Debug)]
pub(super) struct Partition {
    /// The partitioned table.
    pub table: String,
    /// The partition's own table.
    part: u32,
    /// Its keys.
    pub bounds: Bounds,
    /// Its name for a person.
    pub words: String,
}

impl Partition {
    fn read(row: &Row) -> Self {
        let bounds = Bounds { low: row.get(2), high: row.get(3) };
        Self { table: row.get(0), part: row.get(1), bounds, words: row.get(4) }
    }
}

/// The connection of a run.
pub(super) struct Session {
    client: Client,
    service: String,
    schema: String,
}

impl Session {
    /// Connects and takes the lock. None if another session has the lock, or the database is not
    /// adopted.
    pub async fn open(
        config: &Config,
        servers: &Servers,
    ) -> Result<Result<Self, &'static str>, MaintenanceError> {
        let client = db::session(servers, "maintain").await?.client;
        let session = Self { client, service: config.service.to_string(), schema: config.service.schema() };
        // Whole partitions are looked through, and joined with their replies: with hash tables,
        // which a generic plan of these functions may choose.
        let settings = session.client.batch_execute("SET statement_timeout = '10min'").await;
        settings.map_err(|source| MaintenanceError::Run { what: "the settings", source })?;
        // A person looks at a restored database first: nothing of it goes before it is adopted.
        let lock = "SELECT CASE WHEN tpro.adopted() THEN tpro.maintain($1) END";
        match session.one("the lock", lock, &[&session.service]).await?.get(0) {
            Some(true) => Ok(Ok(session)),
            Some(false) => Ok(Err("another session maintains it")),
            None => Ok(Err("the database is not adopted; SELECT tpro.adopt()")),
        }
    }

    /// Mends a table after changes by others. Returns true if others hold the table, and the
    /// changes in words.
    pub async fn mend(&self, table: &str, keep: i64) -> Result<Vec<(bool, String)>, MaintenanceError> {
        let sql = "SELECT held, said FROM tpro.mend_partitions($1, $2, $3)";
        let rows = self.all("mending", sql, &[&self.service, &table, &keep]).await?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    /// Makes partitions ahead, each for this number of ids or for one day. Returns the changes in
    /// words.
    pub async fn make(&self, table: &str, width: i64) -> Result<Vec<String>, MaintenanceError> {
        let sql = "SELECT tpro.make_partitions($1, $2, $3)";
        let rows = self.all("making partitions", sql, &[&self.service, &table, &width]).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// Drops a partition if all of it may go. Returns the result in words.
    pub async fn drop(&self, part: &Partition, keep: i64) -> Result<String, MaintenanceError> {
        let sql = "SELECT tpro.drop_partition($1, $2, $3)";
        Ok(self.one("dropping a partition", sql, &[&self.service, &part.part, &keep]).await?.get(0))
    }

    /// Drops up to this many dedup keys that are no longer held. Returns their number.
    pub async fn drop_dedup_keys(&self, at_most: i32) -> Result<i64, MaintenanceError> {
        let sql = "SELECT tpro.drop_dedup_keys($1, $2)";
        Ok(self.one("dropping dedup keys", sql, &[&self.service, &at_most]).await?.get(0))
    }

    /// The partitions of all tables, in order.
    pub async fn partitions(&self) -> Result<Vec<Partition>, MaintenanceError> {
        let sql = "SELECT table_name, part, low, high, words FROM tpro.partitions($1)
             WHERE low IS NOT NULL ORDER BY table_name, low";
        let rows = self.all("looking at partitions", sql, &[&self.service]).await?;
        Ok(rows.iter().map(Partition::read).collect())
    }

    /// Partitions of a table that look old enough, in order. The last reply of each decides; `drop`
    /// looks at all of them.
    pub async fn old_partitions(&self, table: &str, keep: i64) -> Result<Vec<Partition>, MaintenanceError> {
        let sql = "SELECT p.table_name, p.part, p.low, p.high, p.words FROM tpro.partitions($1) p
             WHERE p.table_name = $2 AND p.low IS NOT NULL
               AND tpro.partition_kept($1, $2, p.part, p.low, p.high, $3, false) = '' ORDER BY p.low";
        let rows = self.all("looking for old partitions", sql, &[&self.service, &table, &keep]).await?;
        Ok(rows.iter().map(Partition::read).collect())
    }

    /// The first id that the sequence has not given out.
    pub async fn next_id(&self) -> Result<i64, MaintenanceError> {
        let sql = "SELECT tpro.next_key($1, 'mq_publish')";
        Ok(self.one("looking at the sequence", sql, &[&self.service]).await?.get(0))
    }

    /// Waits until all who use the table now have ended; false if that takes longer than the limit.
    /// It reads the locks and takes none, so nobody waits for it.
    pub async fn outlast_users_of(&self, table: &str, limit: Duration) -> Result<bool, MaintenanceError> {
        let table = format!("{}.{table}", self.schema);
        let users = "SELECT coalesce(array_agg(DISTINCT virtualtransaction), '{}') FROM pg_locks l
             WHERE l.locktype = 'relation' AND l.relation = to_regclass($1) AND l.granted
               AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
               AND l.pid IS DISTINCT FROM pg_backend_pid()";
        let users: Vec<String> = self.one("looking at locks", users, &[&table]).await?.get(0);
        let until = tokio::time::Instant::now() + limit;
        let left = "SELECT EXISTS (SELECT FROM pg_locks l WHERE l.virtualtransaction = ANY ($2)
               AND l.locktype = 'relation' AND l.relation = to_regclass($1))";
        loop {
            if users.is_empty()
                || !self.one("looking at locks", left, &[&table, &users]).await?.get::<_, bool>(0)
            {
                return Ok(true);
            }
            if tokio::time::Instant::now() >= until {
                return Ok(false);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn one(
        &self,
        what: &'static str,
        sql: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Row, MaintenanceError> {
        self.client.query_one(sql, params).await.map_err(|source| MaintenanceError::Run { what, source })
    }

    async fn all(
        &self,
        what: &'static str,
        sql: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, MaintenanceError> {
        self.client.query(sql, params).await.map_err(|source| MaintenanceError::Run { what, source })
    }
}
