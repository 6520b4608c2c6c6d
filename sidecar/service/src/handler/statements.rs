//! Statements on one connection, each with a span of its own.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering},
    },
    time::Duration,
};

use deadpool_postgres::ClientWrapper;
use tokio_postgres::{Row, types::ToSql};
use tokio_util::task::TaskTracker;
use tpro_runtime::{
    db::{self, Pooled, Servers},
    failpoint,
    telemetry::{Span, SpanKind, Spans},
};
use tpro_wire::{Priority, TraceParent};

use super::QueryError;
use crate::host::Host;

/// Statements on one connection, each with a CLIENT span.
///
/// A statement is a constant: its text goes into the span as it is, so values are parameters
/// (`$1`), never part of it. If it begins with a comment (`/* hour */ SELECT ...`), the comment
/// names it: the span is called `SELECT hour`, and `pg_stat_activity` shows it too. Statements are
/// prepared once per connection.
///
/// ```
/// # use tpro_service as tpro_sidecar;
/// use tpro_sidecar::{AnyBody, Ctx, Fault, QueryError, Statements};
///
/// async fn free_seats(db: &Statements, least: i64) -> Result<i64, QueryError> {
///     let sql = "/* free seats */ SELECT count(*) FROM seats WHERE number >= $1";
///     Ok(db.query_one(sql, &[&least]).await?.get(0))
/// }
///
/// async fn seats(ctx: Ctx, _: AnyBody) -> Result<i64, Fault> {
///     Ok(free_seats(&ctx.db().await?, 10).await?)
/// }
/// ```
pub struct Statements {
    /// None in a test without a database; else only `drop` takes it.
    client: Option<Pooled>,
    spans: Spans,
    parent: TraceParent,
    database: String,
    /// The pid of the server's process; 0 until a recorded span asks for it.
    pid: AtomicI32,
    /// Statements whose end nobody has seen. Not zero at the end means that a future was dropped in
    /// the middle.
    running: AtomicUsize,
    /// True while a transaction is open.
    open: AtomicBool,
    /// True when no statement may run any more.
    ended: AtomicBool,
    /// True if the server asked to run the transaction again (40001, 40P01).
    again: AtomicBool,
    /// The servers, to one of which the order to cancel a statement goes.
    servers: Arc<Servers>,
    /// The tasks that the end of the process waits for.
    tasks: TaskTracker,
}

impl Statements {
    /// Takes a connection from the pool, where the way is shorter for a higher priority; spans
    /// become children of `parent`.
    pub(crate) async fn take(
        app: &Host,
        priority: Priority,
        parent: TraceParent,
    ) -> Result<Self, QueryError> {
        if app.stage.as_ref().is_some_and(|stage| !stage.has_database) {
            return Err(QueryError::NoDatabase);
        }
        Ok(Self::on(Some(app.pool.get(priority).await?), app, parent))
    }

    /// A transaction of a test that has no database: every statement is refused.
    pub(crate) fn without_database(app: &Host, parent: TraceParent) -> Self {
        Self::on(None, app, parent)
    }

    fn on(client: Option<Pooled>, app: &Host, parent: TraceParent) -> Self {
        Self {
            client,
            spans: app.spans.clone(),
            parent,
            database: app.config.database.get_dbname().unwrap_or_default().to_owned(),
            pid: AtomicI32::new(0),
            running: AtomicUsize::new(0),
            open: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            again: AtomicBool::new(false),
            servers: app.servers.clone(),
            tasks: app.stop.tasks.clone(),
        }
    }

    /// All rows of a statement.
    pub async fn query(
        &self,
        sql: &'static str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, QueryError> {
        let client = self.client()?;
        let work = async { client.query(&client.prepare_cached(sql).await?, params).await };
        self.traced(sql, work).await
    }

    /// The one row of a statement; none or several are an error.
    pub async fn query_one(
        &self,
        sql: &'static str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Row, QueryError> {
        let client = self.client()?;
        let work = async { client.query_one(&client.prepare_cached(sql).await?, params).await };
        self.traced(sql, work).await
    }

    /// The row of a statement, if there is one; several are an error.
    pub async fn query_opt(
        &self,
        sql: &'static str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Option<Row>, QueryError> {
        let client = self.client()?;
        let work = async { client.query_opt(&client.prepare_cached(sql).await?, params).await };
        self.traced(sql, work).await
    }

    /// Runs a statement, and returns the number of rows that it has changed.
    pub async fn execute(
        &self,
        sql: &'static str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<u64, QueryError> {
        let client = self.client()?;
        let work = async { client.execute(&client.prepare_cached(sql).await?, params).await };
        self.traced(sql, work).await
    }

    /// All rows of a statement that was made at run time. Its text goes into the span, too, so it
    /// is made of names only.
    pub(crate) async fn query_text(
        &self,
        sql: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, QueryError> {
        let client = self.client()?;
        let work = async { client.query(&client.prepare_cached(sql).await?, params).await };
        self.traced(sql, work).await
    }

    /// The connection itself, for what these do not cover (COPY, statements made at run time). It
    /// makes no spans.
    pub fn raw(&self) -> Result<&ClientWrapper, QueryError> {
        self.client().map(|client| &**client)
    }

    /// Runs a statement of the framework: without a span, but noticed when its future is dropped in
    /// the middle.
    pub(crate) async fn quiet<T>(
        &self,
        work: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, QueryError> {
        self.running.fetch_add(1, Ordering::Relaxed);
        let result = work.await;
        self.running.fetch_sub(1, Ordering::Relaxed);
        if result.as_ref().is_err_and(|error| error.code().is_some_and(db::is_again)) {
            self.again.store(true, Ordering::Relaxed);
        }
        Ok(result?)
    }

    /// The connection, for statements of the framework also after the handler's end.
    pub(crate) fn connection(&self) -> Result<&Pooled, QueryError> {
        self.client.as_ref().ok_or(QueryError::NoDatabase)
    }

    /// From now on a handler's statements are refused: the transaction is about to end.
    pub(crate) fn close(&self) {
        self.ended.store(true, Ordering::Release);
    }

    /// Notes that a transaction is open, or no longer.
    pub(crate) fn set_open(&self, open: bool) {
        self.open.store(open, Ordering::Relaxed);
    }

    /// True if the server asked to run the transaction again.
    pub(crate) fn wants_again(&self) -> bool {
        self.again.load(Ordering::Relaxed)
    }

    fn client(&self) -> Result<&Pooled, QueryError> {
        if self.ended.load(Ordering::Acquire) { Err(QueryError::Ended) } else { self.connection() }
    }

    async fn traced<T>(
        &self,
        sql: &str,
        work: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, QueryError> {
        if !self.parent.sampled() {
            return self.quiet(work).await;
        }
        let mut span = self.spans.start(summary(sql), SpanKind::Client, Some(&self.parent));
        if !span.is_recording() {
            return self.quiet(work).await;
        }
        span.set("db.system.name", "postgresql");
        span.set("db.namespace", self.database.clone());
        span.set("db.query.text", sql.to_owned());
        // The question for the pid travels with the statement, so that it costs no round trip.
        let (result, ()) = futures_util::join!(self.quiet(work), self.learn_pid());
        span.set("tpro.backend_pid", i64::from(self.pid.load(Ordering::Relaxed)));
        if let Err(error) = &result {
            fail(&mut span, error);
        }
        result
    }

    async fn learn_pid(&self) {
        if self.pid.load(Ordering::Relaxed) != 0 {
            return;
        }
        let Ok(client) = self.client() else { return };
        let asked = self.quiet(client.query_typed_one("SELECT pg_backend_pid()", &[]));
        if let Ok(pid) = asked.await.and_then(|row| Ok(row.try_get::<_, i32>(0)?)) {
            self.pid.store(pid, Ordering::Relaxed);
        }
    }
}

impl Drop for Statements {
    fn drop(&mut self) {
        let Some(client) = self.client.take() else { return };
        let dirty = self.running.load(Ordering::Relaxed) > 0 || self.open.load(Ordering::Relaxed);
        if dirty {
            // A statement still runs, or a transaction is open whose handler was stopped: not fit
            // for the next one.
            discard(client, self.servers.clone(), &self.tasks);
        }
    }
}

/// Takes a connection out of the pool: cancels its statement, then closes it.
///
/// Closing alone is not enough: the server notices a closed connection only when it next writes to
/// it. So the end of the process waits for this, too (not for long when it is forced), or the locks
/// of its last handlers would stay after it.
fn discard(client: Pooled, servers: Arc<Servers>, tasks: &TaskTracker) {
    const LIMIT: Duration = Duration::from_secs(2);
    let cancel = client.cancel_token();
    let client = client.leave();
    // Without a runtime the process is ending, and the connection with it.
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        let cancel = async move {
            if let Some(ms) = failpoint::number("statements.cancel_ms") {
                tokio::time::sleep(Duration::from_millis(ms.unsigned_abs())).await;
            }
            let _ = tokio::time::timeout(LIMIT, servers.cancel(&cancel)).await;
            drop(client);
        };
        tasks.spawn_on(cancel, &runtime);
    }
}

fn fail(span: &mut Span, error: &QueryError) {
    match error.code() {
        Some(code) => {
            span.set("db.response.status_code", code.code().to_owned());
            span.set("error.type", code.code().to_owned());
            span.fail(format!("SQLSTATE {}", code.code()));
        }
        None => span.fail("no answer from the database"),
    }
}

/// The name of a statement's span: its verb and its name, `SELECT hour` for `/* hour */ SELECT
/// ...`.
fn summary(sql: &str) -> String {
    let (name, rest) = match sql.trim_start().strip_prefix("/*").and_then(|rest| rest.split_once("*/")) {
        Some((name, rest)) => (name.trim(), rest),
        None => ("", sql),
    };
    let verb = rest.split_whitespace().next().unwrap_or("SQL").to_ascii_uppercase();
    if name.is_empty() { verb } else { format!("{verb} {name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_named_by_its_comment() {
        assert_eq!(summary("/* hour */ SELECT extract(hour FROM now())"), "SELECT hour");
        assert_eq!(summary("  insert into t values ($1)"), "INSERT");
        assert_eq!(summary("/* broken"), "/*");
        assert_eq!(summary(""), "SQL");
    }
}
