//! The transaction of a handler: the framework begins and ends it, the handler only works in it.

use std::time::Duration;

use tokio_postgres::{Row, types::ToSql};
use tpro_wire::{Priority, TraceParent};

use super::{QueryError, Statements};
use crate::host::Host;

/// The longest wait of a handler's inbox row for an older delivery of its message that is still
/// open.
pub(crate) const INBOX_PATIENCE: Duration = Duration::from_millis(50);

/// A failed transaction fails the first of the two.
const COMMIT: &str = "SELECT 1; COMMIT";

/// Begins the framework's part. Numbers of ours only: there is nothing to quote.
fn begin(limit: Duration, patience: Duration) -> String {
    let (limit, patience) = (ms(limit), ms(patience));
    format!(
        "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; \
         SET LOCAL idle_in_transaction_session_timeout = {limit}; SET LOCAL statement_timeout = {limit}; \
         SET LOCAL lock_timeout = {patience}; SET LOCAL enable_seqscan = off"
    )
}

/// Leaves the framework's part for the handler's. A traceparent is hex digits and dashes, a
/// service's name has no quote in it.
fn enter(app: &Host, parent: TraceParent) -> String {
    format!(
        "SET LOCAL lock_timeout = 0; SET LOCAL enable_seqscan TO DEFAULT; SET LOCAL tpro.traceparent = '{parent}'; \
         SET LOCAL tpro.sender = '{}'; SAVEPOINT handler",
        app.source.service
    )
}

fn ms(time: Duration) -> u128 {
    time.as_millis().clamp(1, 86_400_000)
}

impl Statements {
    /// Begins a transaction that may last this long. If this process freezes, the server ends it
    /// after that time, so that the message can be done elsewhere. Until [`Statements::enter`], a
    /// lock is waited for no longer than `patience`, and no plan may scan a table: plans are kept
    /// while partitions fill.
    pub(crate) async fn begin(
        app: &Host,
        priority: Priority,
        parent: TraceParent,
        limit: Duration,
        patience: Duration,
    ) -> Result<Self, QueryError> {
        let statements = Self::take(app, priority, parent).await?;
        statements.set_open(true);
        statements.quiet(statements.connection()?.batch_execute(&begin(limit, patience))).await?;
        Ok(statements)
    }

    /// Does what [`Statements::begin`] and [`Statements::enter`] do, with a statement of the
    /// framework between them, in one round trip. Also returns the rows of that statement.
    pub(crate) async fn begin_with(
        app: &Host,
        priority: Priority,
        parent: TraceParent,
        (limit, patience): (Duration, Duration),
        text: &str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<(Self, Result<Vec<Row>, QueryError>), QueryError> {
        let statements = Self::take(app, priority, parent).await?;
        let connection = statements.connection()?;
        // Before the rest, which must be sent in its order without a wait between.
        let between = statements.quiet(connection.prepare_cached(text)).await?;
        statements.set_open(true);
        let (begin, enter) = (begin(limit, patience), enter(app, parent));
        let (begun, rows, entered) = futures_util::join!(
            statements.quiet(connection.batch_execute(&begin)),
            statements.quiet(connection.query(&between, values)),
            statements.quiet(connection.batch_execute(&enter))
        );
        begun?;
        // Where the statement has failed, nothing after it could succeed.
        let rows = match rows {
            Ok(rows) => entered.map(|()| Ok(rows))?,
            Err(error) => Err(error),
        };
        Ok((statements, rows))
    }

    /// Goes back from the handler's part, in which nothing was done, to the framework's.
    pub(crate) async fn step_back(&self, patience: Duration) -> Result<(), QueryError> {
        let patience = ms(patience);
        let sql = format!(
            "ROLLBACK TO SAVEPOINT handler; RELEASE SAVEPOINT handler; \
             SET LOCAL lock_timeout = {patience}; SET LOCAL enable_seqscan = off"
        );
        self.quiet(self.connection()?.batch_execute(&sql)).await
    }

    /// Begins the part of the handler at once, as there is none of the framework before it. In a
    /// test without a database there is nothing to begin.
    pub(crate) async fn begin_entered(
        app: &Host,
        priority: Priority,
        parent: TraceParent,
        limit: Duration,
        patience: Duration,
    ) -> Result<Self, QueryError> {
        if app.stage.as_ref().is_some_and(|stage| !stage.has_database) {
            return Ok(Self::without_database(app, parent));
        }
        let statements = Self::begin(app, priority, parent, limit, patience).await?;
        statements.enter(app, parent).await?;
        Ok(statements)
    }

    /// Leaves the framework's part of the transaction and enters the handler's. A publish in its
    /// SQL is sent on behalf of this service and continues the trace. The handler's part can be
    /// undone alone.
    pub(crate) async fn enter(&self, app: &Host, parent: TraceParent) -> Result<(), QueryError> {
        self.quiet(self.connection()?.batch_execute(&enter(app, parent))).await
    }

    /// Undoes the handler's part. Settings made since the savepoint go with it.
    pub(crate) async fn undo_handler(&self) -> Result<(), QueryError> {
        self.quiet(self.connection()?.batch_execute("ROLLBACK TO SAVEPOINT handler")).await
    }

    /// Commits. In a failed transaction the server answers `COMMIT` with a `ROLLBACK` that is no
    /// error; the statement before it fails there, so that an `Ok` means committed.
    pub(crate) async fn commit(&self) -> Result<(), QueryError> {
        self.close();
        let result = self.quiet(self.connection()?.batch_execute(COMMIT)).await;
        if result.is_ok() {
            self.set_open(false);
        }
        result
    }

    /// Runs a last statement and commits, in one round trip. If the statement fails, nothing is
    /// committed.
    pub(crate) async fn commit_after(
        &self,
        text: &str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<(), QueryError> {
        let connection = self.connection()?;
        let last = self.quiet(connection.prepare_cached(text)).await?;
        self.close();
        // In a failed transaction the last statement fails, too, and so `COMMIT` needs none of its
        // own before it.
        let (done, ended) = futures_util::join!(
            self.quiet(connection.execute(&last, values)),
            self.quiet(connection.batch_execute("COMMIT"))
        );
        if ended.is_ok() {
            self.set_open(false);
        }
        done?;
        ended
    }

    /// Rolls back; if that fails the connection is not used again.
    pub(crate) async fn roll_back(&self) {
        self.close();
        let Ok(connection) = self.connection() else { return };
        if self.quiet(connection.batch_execute("ROLLBACK")).await.is_ok() {
            self.set_open(false);
        }
    }
}
