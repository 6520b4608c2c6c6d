//! The transaction of a handler: the framework begins and ends it, the handler only works in it.

use std::time::Duration;

use tpro_wire::TraceParent;

use super::{QueryError, Statements};
use crate::host::Host;

/// The longest wait of a handler's inbox row for an older delivery of its message that is still
/// open.
pub(crate) const INBOX_PATIENCE: Duration = Duration::from_millis(50);

impl Statements {
    /// Begins a transaction that may last this long. If this process freezes, the server ends it
    /// after that time, so that the message can be done elsewhere. Until [`Statements::enter`], a
    /// lock is waited for no longer than `patience`, and no plan may scan a table: plans are kept
    /// while partitions fill.
    pub(crate) async fn begin(
        app: &Host,
        parent: TraceParent,
        limit: Duration,
        patience: Duration,
    ) -> Result<Self, QueryError> {
        let statements = Self::take(app, parent).await?;
        let [ms, patience] = [limit, patience].map(|time| time.as_millis().clamp(1, 86_400_000));
        // Numbers of ours only: there is nothing to quote. One round trip.
        let sql = format!(
            "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; \
             SET LOCAL idle_in_transaction_session_timeout = {ms}; SET LOCAL statement_timeout = {ms}; \
             SET LOCAL lock_timeout = {patience}; SET LOCAL enable_seqscan = off"
        );
        statements.set_open(true);
        statements.quiet(statements.connection()?.batch_execute(&sql)).await?;
        Ok(statements)
    }

    /// Begins the part of the handler at once, as there is none of the framework before it. In a
    /// test without a database there is nothing to begin.
    pub(crate) async fn begin_entered(
        app: &Host,
        parent: TraceParent,
        limit: Duration,
        patience: Duration,
    ) -> Result<Self, QueryError> {
        if app.stage.as_ref().is_some_and(|stage| !stage.has_database) {
            return Ok(Self::without_database(app, parent));
        }
        let statements = Self::begin(app, parent, limit, patience).await?;
        statements.enter(app, parent).await?;
        Ok(statements)
    }

    /// Leaves the framework's part of the transaction and enters the handler's. A publish in its
    /// SQL is sent on behalf of this service and continues the trace. The handler's part can be
    /// undone alone.
    pub(crate) async fn enter(&self, app: &Host, parent: TraceParent) -> Result<(), QueryError> {
        // A traceparent is hex digits and dashes, a service's name has no quote in it.
        let sql = format!(
            "SET LOCAL lock_timeout = 0; SET LOCAL enable_seqscan TO DEFAULT; SET LOCAL tpro.traceparent = '{parent}'; \
             SET LOCAL tpro.sender = '{}'; SAVEPOINT handler",
            app.source.service
        );
        self.quiet(self.connection()?.batch_execute(&sql)).await
    }

    /// Undoes the handler's part. Settings made since the savepoint go with it.
    pub(crate) async fn undo_handler(&self) -> Result<(), QueryError> {
        self.quiet(self.connection()?.batch_execute("ROLLBACK TO SAVEPOINT handler")).await
    }

    /// Commits. In a failed transaction the server answers `COMMIT` with a `ROLLBACK` that is no
    /// error; the statement before it fails there, so that an `Ok` means committed.
    pub(crate) async fn commit(&self) -> Result<(), QueryError> {
        self.close();
        let result = self.quiet(self.connection()?.batch_execute("SELECT 1; COMMIT")).await;
        if result.is_ok() {
            self.set_open(false);
        }
        result
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
