//! A session with the database.

use std::cell::Cell;

use serde::Serialize;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row};

use crate::address::Address;
use crate::problem::{self, Ending, Problem, READ, Right};

/// The settings that the statements rely on. Role and database may have others.
///
/// Each statement goes by keys: a hash or a merge join would read a whole table of replies.
/// `row_security = off` turns a policy that hides rows into an error. The settings hold for one
/// transaction: behind a pooler the next transaction of the session is somebody else's.
const SETTINGS: &str = "\
    SET LOCAL search_path = pg_catalog, pg_temp; \
    SET LOCAL row_security = off; \
    SET LOCAL enable_seqscan = off; \
    SET LOCAL enable_hashjoin = off; \
    SET LOCAL enable_mergejoin = off; \
    SET LOCAL plan_cache_mode = force_custom_plan; \
    SET LOCAL jit = off; \
    SET LOCAL max_parallel_workers_per_gather = 0; \
    SET LOCAL statement_timeout = '30s'; \
    SET LOCAL lock_timeout = '5s'; \
    SET LOCAL DateStyle = 'ISO, YMD'; \
    SET LOCAL TimeZone = 'UTC'; \
    SET LOCAL client_min_messages = 'error'";

const ABOUT: &str = "\
    SELECT current_database()::text, current_user::text, pg_is_in_recovery(),
           (SELECT e.extversion FROM pg_extension e WHERE e.extname = 'pg_tpro'),
           to_regprocedure('tpro.waiting(text)') IS NOT NULL, nullif(current_setting('tpro.sender', true), ''),
           quote_ident(current_user)";

/// A parameter of a statement, with its type. Typed parameters need no prepared statement, which
/// behind a pooler would outlive the transaction.
pub type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// The database that was asked.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Database {
    /// Its name.
    pub name: String,
    /// The address without a password.
    pub address: String,
    /// The role of this session.
    pub role: String,
    /// The release of the extension.
    pub extension: String,
    /// True if the server is a standby. No copy leads there.
    pub standby: bool,
}

/// A session.
pub struct Session {
    client: Client,
    /// The database.
    pub database: Database,
    /// The role, quoted for a statement.
    pub role: String,
    /// The setting `tpro.sender` of the role: the outbox that is meant if none is named.
    pub sender: Option<String>,
    in_transaction: Cell<bool>,
    mode: Cell<&'static str>,
}

impl Session {
    /// Opens a session, and checks that the database has tpro.
    pub async fn open(address: &Address) -> Result<Self, Problem> {
        let mut config = address.config.clone();
        if config.get_application_name().is_none() {
            config.application_name("tpro command");
        }
        let failed =
            |error: tokio_postgres::Error| problem::of_connecting(&error, &address.shown, address.origin);
        let (client, connection) = address.tls.connect(&config).await.map_err(failed)?;
        // An error of the connection shows in the statement that is under way.
        tokio::spawn(connection);
        let mut session = Self {
            client,
            database: Database::default(),
            role: String::new(),
            sender: None,
            in_transaction: Cell::new(false),
            mode: Cell::new("READ ONLY"),
        };
        let row = session.query(ABOUT, &[]).await?.remove(0);
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
        session.database = Database {
            name,
            address: address.shown.clone(),
            role: row.get(1),
            extension,
            standby: row.get(2),
        };
        session.sender = row.get(5);
        session.role = row.get(6);
        Ok(session)
    }

    /// Commits the transaction. The next statement begins another one.
    pub async fn rest(&self) -> Result<(), Problem> {
        self.end("COMMIT").await
    }

    /// Lets the transactions from here on write.
    pub async fn may_write(&self) -> Result<(), Problem> {
        if self.database.standby {
            let what = format!(
                "the server of {} is a standby, which nothing can be written to",
                self.database.address
            );
            return Err(Problem::new(Ending::Unreachable, what, "name the primary"));
        }
        self.mode.set("READ WRITE");
        self.rest().await
    }

    /// Rows of a statement that reads.
    pub async fn query(&self, statement: &str, parameters: &[Parameter<'_>]) -> Result<Vec<Row>, Problem> {
        self.query_as(READ, statement, parameters).await
    }

    /// Rows of a statement that needs this right. After an error the transaction has ended.
    pub async fn query_as(
        &self,
        right: Right,
        statement: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>, Problem> {
        let failed = |error| problem::of_statement(&error, &self.role, right);
        if !self.in_transaction.replace(true) {
            let begin = format!("BEGIN ISOLATION LEVEL READ COMMITTED {}; {SETTINGS}", self.mode.get());
            self.client.batch_execute(&begin).await.map_err(failed)?;
        }
        match self.client.query_typed(statement, parameters).await {
            Ok(rows) => Ok(rows),
            Err(error) => {
                // The first error is the one to tell.
                let _ = self.end("ROLLBACK").await;
                Err(failed(error))
            }
        }
    }

    /// Runs statements that return nothing, in the transaction.
    pub async fn batch(&self, right: Right, statements: &str) -> Result<(), Problem> {
        // Begins the transaction.
        self.query("SELECT", &[]).await?;
        let failed = |error| problem::of_statement(&error, &self.role, right);
        let ran = self.client.batch_execute(statements).await.map_err(failed);
        if ran.is_err() {
            // The first error is the one to tell.
            let _ = self.end("ROLLBACK").await;
        }
        ran
    }

    async fn end(&self, by: &str) -> Result<(), Problem> {
        if !self.in_transaction.replace(false) {
            return Ok(());
        }
        let failed = |error| problem::of_statement(&error, &self.role, READ);
        self.client.batch_execute(by).await.map_err(failed)
    }
}
