//! The methods that functions in SQL answer, as `tpro.handle` has written them into `mq_handler`.
//!
//! The table is read when a message asks for a method that the program does not have. A copy whose
//! program has all methods that are asked for never reads it. A message whose method was found less
//! than [`FRESH`] ago costs no statement. A method that was not found is looked for again by each
//! message, so that it answers as soon as `tpro.handle` has committed.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, timeout_at};
use tokio_postgres::error::SqlState;
use tpro_runtime::random;
use tpro_wire::{Priority, TraceParent};

use super::method_counts::MethodCounts;
use crate::{
    handler::{
        QueryError, Statements,
        cause::describe,
        limits::Limits,
        schemas::{Description, Schemas},
        sql::SqlFunction,
        way::Way,
    },
    host::Host,
};

/// The longest time for which a copy goes by what it has read.
const FRESH: Duration = Duration::from_secs(1);
/// The most letters of a description that are told.
const MAX_TEXT: usize = 500;
/// The end of each name in the table: the types of a handler's arguments.
const ARGUMENTS: &str = "(jsonb,tpro.request_row)";

/// The methods of one service in SQL.
pub(super) struct SqlMethods {
    app: Arc<Host>,
    statement: String,
    /// Reads their descriptions.
    descriptions: String,
    described: tokio::sync::Mutex<Descriptions>,
    known: Mutex<Known>,
    /// Held while the table is read: one look serves all messages that wait for it.
    looking: tokio::sync::Mutex<()>,
}

/// The table, as it was read last.
#[derive(Clone, Default)]
struct Known {
    /// The begin of that look.
    at: Option<Instant>,
    methods: Arc<HashMap<String, Arc<SqlMethod>>>,
}

/// The descriptions of the methods, as they were read last.
#[derive(Default)]
struct Descriptions {
    at: Option<Instant>,
    by_method: Arc<HashMap<String, Description>>,
}

/// A method that a function in SQL answers.
pub(super) struct SqlMethod {
    pub(super) name: String,
    entry: Entry,
    pub(super) way: Way,
    pub(super) counts: MethodCounts,
}

/// A row of the table, but for the method.
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    handler: String,
    mode: String,
    timeout: Option<i32>,
}

/// The table could not be read: nobody knows if there is a handler.
pub(super) struct Unread;

impl SqlMethods {
    pub(super) fn new(app: Arc<Host>) -> Self {
        let statement = format!(
            "SELECT h.entity || '.' || h.method_name, h.handler, h.mode, h.timeout FROM {}.mq_handler h",
            app.source.service.schema()
        );
        let descriptions = format!(
            "SELECT h.entity || '.' || h.method_name,
                    left(coalesce(h.description, obj_description(to_regprocedure(h.handler), 'pg_proc')), {MAX_TEXT}),
                    h.body_schema::text, h.result_schema::text
               FROM {}.mq_handler h",
            app.source.service.schema()
        );
        Self {
            app,
            statement,
            descriptions,
            described: tokio::sync::Mutex::default(),
            known: Mutex::default(),
            looking: tokio::sync::Mutex::default(),
        }
    }

    /// The method of this name, for a message that has come before now.
    pub(super) async fn find(&self, name: &str, deadline: Instant) -> Result<Option<Arc<SqlMethod>>, Unread> {
        if self.app.stage.is_some() {
            return Ok(None);
        }
        let asked = Instant::now();
        let is_fresh = |known: &Known| {
            let has = known.methods.contains_key(name);
            known.at.is_some_and(|at| if has { at + FRESH > asked } else { at >= asked })
        };
        let known = self.look(deadline, is_fresh).await;
        match known.methods.get(name) {
            Some(method) => Ok(Some(method.clone())),
            None if is_fresh(&known) => Ok(None),
            None => Err(Unread),
        }
    }

    /// All methods, by their names.
    pub(super) async fn all(&self, deadline: Instant) -> Arc<HashMap<String, Arc<SqlMethod>>> {
        let asked = Instant::now();
        self.look(deadline, |known| known.at.is_some_and(|at| at + FRESH > asked)).await.methods
    }

    /// All methods as they were read last, by their names.
    pub(super) fn known(&self) -> Arc<HashMap<String, Arc<SqlMethod>>> {
        self.last().methods
    }

    /// The descriptions of the methods by their names, read a second ago at most. If they cannot be
    /// read in time, they are as they were read last. A schema of an earlier release has none.
    pub(super) async fn described(&self, deadline: Instant) -> Arc<HashMap<String, Description>> {
        let mut described = self.described.lock().await;
        let now = Instant::now();
        if described.at.is_none_or(|at| at + FRESH <= now) {
            match timeout_at(deadline, self.descriptions()).await {
                Ok(Ok(by_method)) => {
                    *described = Descriptions { at: Some(now), by_method: Arc::new(by_method) };
                }
                Ok(Err(error)) => {
                    tracing::debug!(
                        "the descriptions of handlers in SQL cannot be read: {}",
                        describe(&error)
                    );
                }
                Err(_) => {}
            }
        }
        described.by_method.clone()
    }

    async fn descriptions(&self) -> Result<HashMap<String, Description>, QueryError> {
        let row = |row: &tokio_postgres::Row| {
            let schemas: [Option<&str>; 2] = [row.try_get(2)?, row.try_get(3)?];
            // A schema that is nested too deep to be read is not told.
            let [body, result] =
                schemas.map(|text| text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default());
            let schemas = Some(Schemas::known(body, result));
            Ok((row.try_get(0)?, Description { text: row.try_get(1)?, schemas }))
        };
        self.statements().await?.query_text(&self.descriptions, &[]).await?.iter().map(row).collect()
    }

    fn last(&self) -> Known {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The table as it was read last, if this is fresh enough, or else as it is. If it cannot be
    /// read, what is returned is not fresh.
    async fn look(&self, deadline: Instant, is_fresh: impl Fn(&Known) -> bool) -> Known {
        let known = self.last();
        if is_fresh(&known) {
            return known;
        }
        let Ok(_looking) = timeout_at(deadline, self.looking.lock()).await else { return known };
        let known = self.last();
        if is_fresh(&known) {
            return known;
        }
        let at = Instant::now();
        let rows = match timeout_at(deadline, self.read()).await {
            Ok(Ok(rows)) => rows,
            // A schema of an earlier release: there are none, until it is upgraded.
            Ok(Err(error)) if is_missing(&error) => Vec::new(),
            Ok(Err(error)) => {
                tracing::warn!("the handlers in SQL cannot be read: {}", describe(&error));
                return known;
            }
            Err(_) => return known,
        };
        let methods = rows.into_iter().filter_map(|(name, entry)| {
            let method = match known.methods.get(&name).filter(|method| method.entry == entry) {
                // Its counts go on.
                Some(method) => method.clone(),
                None => Arc::new(self.method(&name, entry)?),
            };
            Some((name, method))
        });
        let known = Known { at: Some(at), methods: Arc::new(methods.collect()) };
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = known.clone();
        known
    }

    async fn read(&self) -> Result<Vec<(String, Entry)>, QueryError> {
        let rows = self.statements().await?.query_text(&self.statement, &[]).await?;
        let row = |row: &tokio_postgres::Row| {
            let entry = Entry { handler: row.try_get(1)?, mode: row.try_get(2)?, timeout: row.try_get(3)? };
            Ok::<_, QueryError>((row.try_get(0)?, entry))
        };
        rows.iter().map(row).collect()
    }

    /// A connection, for statements that no trace shows.
    async fn statements(&self) -> Result<Statements, QueryError> {
        let trace = TraceParent::root(random::bytes(), false);
        Statements::take(&self.app, Priority::default(), trace).await
    }

    /// The method of a row. None for a row that `tpro.handle` has not written.
    fn method(&self, name: &str, entry: Entry) -> Option<SqlMethod> {
        let function = entry.handler.strip_suffix(ARGUMENTS).map(SqlFunction::new);
        let way = match (function, entry.mode.as_str()) {
            (Some(function), "transactional") => function.transactional(),
            (Some(function), "stateless") => function.stateless(),
            _ => {
                let schema = self.app.source.service.schema();
                tracing::error!(
                    "the row of {name} in {schema}.mq_handler cannot be used: call tpro.handle for it"
                );
                return None;
            }
        };
        let seconds = entry.timeout.and_then(|seconds| u64::try_from(seconds).ok());
        let limits = Limits { time: seconds.map(Duration::from_secs), ..Limits::default() };
        tracing::info!("{name} is answered by the function {} ({})", entry.handler, entry.mode);
        Some(SqlMethod {
            name: name.to_owned(),
            way,
            counts: MethodCounts::new(&self.app.counts, name, limits),
            entry,
        })
    }
}

/// True if the service has no table of handlers yet, or may not read it yet.
fn is_missing(error: &QueryError) -> bool {
    error
        .code()
        .is_some_and(|code| [SqlState::UNDEFINED_TABLE, SqlState::INSUFFICIENT_PRIVILEGE].contains(code))
}
