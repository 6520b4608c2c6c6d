//! One session with the database, and what kind of database it is.

use serde::Serialize;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls, Row};

use crate::address::Address;
use crate::problem::{self, Ending, Problem, READ, Right};

/// Settings that the statements rely on, whatever role and database say.
///
/// Each statement goes by keys: a hash or a merge would read the whole of a table of replies. `row_security = off` makes a policy
/// that hides rows an error. Nothing here waits long for a lock, and nothing writes but what is asked for.
const SETTINGS: &str = "\
    SET search_path = pg_catalog, pg_temp; \
    SET default_transaction_read_only = on; \
    SET default_transaction_isolation = 'read committed'; \
    SET row_security = off; \
    SET enable_seqscan = off; \
    SET enable_hashjoin = off; \
    SET enable_mergejoin = off; \
    SET plan_cache_mode = force_custom_plan; \
    SET jit = off; \
    SET max_parallel_workers_per_gather = 0; \
    SET statement_timeout = '30s'; \
    SET lock_timeout = '5s'; \
    SET DateStyle = 'ISO, YMD'; \
    SET TimeZone = 'UTC'; \
    SET client_encoding = 'UTF8'; \
    SET client_min_messages = 'error'";

/// The database that was asked.
#[derive(Clone, Debug, Serialize)]
pub struct Database {
    /// Its name.
    pub name: String,
    /// The address without a password.
    pub address: String,
    /// The role of this session.
    pub role: String,
    /// The release of the extension.
    pub extension: String,
    /// Whether the server is a standby: nobody leads there.
    pub standby: bool,
}

/// A session.
pub struct Session {
    client: Client,
    /// The database.
    pub database: Database,
    /// `tpro.sender` of the role: whose outbox is meant when none is named.
    pub sender: Option<String>,
}

impl Session {
    /// Opens it, and sees to it that tpro is there.
    pub async fn open(address: &Address) -> Result<Self, Problem> {
        let mut config = address.config.clone();
        if config.get_application_name().is_none() {
            config.application_name("tpro command");
        }
        let failed =
            |error: tokio_postgres::Error| problem::of_connecting(&error, &address.shown, address.origin);
        let (client, connection) = config.connect(NoTls).await.map_err(failed)?;
        // Its error shows in the statement that is under way.
        tokio::spawn(connection);
        client.batch_execute(SETTINGS).await.map_err(failed)?;
        let row = client.query_one(
            "SELECT current_database()::text, current_user::text, pg_is_in_recovery(),
                    (SELECT e.extversion FROM pg_extension e WHERE e.extname = 'pg_tpro'),
                    to_regprocedure('tpro.waiting(text)') IS NOT NULL, nullif(current_setting('tpro.sender', true), '')",
            &[],
        );
        let row = row.await.map_err(failed)?;
        let (name, extension): (String, Option<String>) = (row.get(0), row.get(3));
        let Some(extension) = extension else {
            return Err(Problem::new(
                Ending::Unreachable,
                format!("database {name} at {} has no extension pg_tpro", address.shown),
                format!(
                    "name another database in {}, or as a superuser: CREATE EXTENSION pg_tpro;",
                    address.origin
                ),
            ));
        };
        if !row.get::<_, bool>(4) {
            return Err(Problem::new(
                Ending::Unreachable,
                format!(
                    "the extension in database {name} is of release {extension}, which this command does not know"
                ),
                "as a superuser: ALTER EXTENSION pg_tpro UPDATE; CALL tpro.upgrade_services();",
            ));
        }
        let database = Database {
            name,
            address: address.shown.clone(),
            role: row.get(1),
            extension,
            standby: row.get(2),
        };
        Ok(Self { client, database, sender: row.get(5) })
    }

    /// Lets the statements from here on write.
    pub async fn may_write(&self) -> Result<(), Problem> {
        self.query("SELECT set_config('default_transaction_read_only', 'off', false)", &[]).await.map(drop)
    }

    /// Rows of a statement that reads.
    pub async fn query(
        &self,
        statement: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Problem> {
        self.query_as(READ, statement, parameters).await
    }

    /// Rows of a statement that needs this right.
    pub async fn query_as(
        &self,
        right: Right,
        statement: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Problem> {
        let failed = |error| problem::of_statement(&error, &self.database.role, right);
        self.client.query(statement, parameters).await.map_err(failed)
    }
}
