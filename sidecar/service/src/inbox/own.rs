//! The inbox within a handler's own transaction.

use std::time::Duration;

use tokio_postgres::types::ToSql;
use tpro_runtime::db::is_held;
use tpro_wire::{Priority, TraceParent, Uid};
use uuid::Uuid;

use super::{
    command::{Accept, Accepted},
    known,
    run_limit::RunLimit,
    sql::Texts,
    verdict::{Bid, Step, Taken},
};
use crate::handler::{
    QueryError, Statements,
    journal::{Columns, Journal},
    outcome::Outcome,
    transaction::INBOX_PATIENCE,
};
use crate::host::Host;

/// The end of an INSERT that takes a run, which has written a row or has not.
fn end_of(written: Result<bool, QueryError>) -> Result<Taken, QueryError> {
    match written {
        Ok(true) => Ok(Taken::Ours),
        Ok(false) => Ok(Taken::Before),
        Err(error) if error.code().is_some_and(is_held) => Ok(Taken::Open),
        Err(error) => Err(error),
    }
}

/// The columns of one accept, each an array of one.
struct AcceptRow<'a> {
    uid: Vec<Uuid>,
    run: Vec<i32>,
    source: Vec<Option<&'a str>>,
    target: Vec<&'a str>,
    attempt: Vec<i32>,
    budget_ms: Vec<i64>,
    proof: Vec<String>,
}

impl<'a> AcceptRow<'a> {
    fn new(accept: &'a Accept, run: i32) -> Self {
        let question = &accept.question;
        Self {
            uid: vec![question.uid.uuid()],
            run: vec![run],
            source: vec![question.source.as_deref()],
            target: vec![&*question.target],
            attempt: vec![accept.attempt],
            budget_ms: vec![accept.budget_ms],
            proof: vec![question.proof()],
        }
    }

    fn values<'b>(&'b self, app: &'b Host) -> [&'b (dyn ToSql + Sync); 8] {
        let Self { uid, run, source, target, attempt, budget_ms, proof } = self;
        [uid, run, source, target, attempt, budget_ms, proof, &app.copy_key]
    }
}

/// The statements, as texts: each connection of the pool prepares them once.
pub(crate) struct Own(Texts);

impl Own {
    pub(crate) fn new(app: &Host) -> Self {
        Self(Texts::of(&app.source.service.schema()))
    }

    /// Begins the handler's transaction, takes the message in it and enters the handler's part, in
    /// one round trip. A message that was taken before is judged as [`Own::accept`] does.
    pub(crate) async fn begin(
        &self,
        app: &Host,
        priority: Priority,
        parent: TraceParent,
        limit: Duration,
        accept: &Accept,
    ) -> Result<(Statements, Accepted), QueryError> {
        let bid = Bid::new(true);
        let row = AcceptRow::new(accept, bid.run());
        let times = (limit, INBOX_PATIENCE);
        let values = row.values(app);
        let (tx, taken) =
            Statements::begin_with(app, priority, parent, times, &self.0.accept, &values).await?;
        let taken = end_of(taken.map(|rows| !rows.is_empty()))?;
        let accepted = match bid.taken(taken) {
            Step::End(verdict) => Accepted::of(verdict, known::unreadable),
            Step::Take | Step::Look => {
                tx.step_back(INBOX_PATIENCE).await?;
                let accepted = self.accept(app, &tx, accept).await?;
                if matches!(accepted, Accepted::Run(_)) {
                    tx.enter(app, parent).await?;
                }
                accepted
            }
        };
        Ok((tx, accepted))
    }

    /// Takes a message within this transaction. After [`Refusal::Working`] the transaction may have
    /// failed, and must be rolled back.
    ///
    /// [`Refusal::Working`]: super::verdict::Refusal::Working
    pub(crate) async fn accept(
        &self,
        app: &Host,
        tx: &Statements,
        accept: &Accept,
    ) -> Result<Accepted, QueryError> {
        let question = &accept.question;
        let limit = RunLimit::new(app.config.limits.runs);
        // Suspects of this kind are told by the runs that are counted before they begin.
        let mut bid = Bid::new(true);
        loop {
            let taken = end_of(self.take(app, tx, accept, bid.run()).await)?;
            if let Step::End(verdict) = bid.taken(taken) {
                return Ok(Accepted::of(verdict, known::unreadable));
            }
            let connection = tx.connection()?;
            let row = tx
                .quiet(async {
                    let statement = connection.prepare_cached(&self.0.known).await?;
                    let uid = vec![question.uid.uuid()];
                    connection
                        .query_one(&statement, &[&uid, &app.source.service.as_str(), &app.copy_key])
                        .await
                })
                .await?;
            // Without an outcome, an earlier release has taken the message, in the default way.
            if let Step::End(verdict) = bid.judge(&known::facts(&row, question), limit) {
                return Ok(known::accepted(verdict, &row, question.uid));
            }
        }
    }

    /// The number of repeats that were counted so far.
    pub(crate) async fn counted(&self, app: &Host, priority: Priority, uid: Uid) -> Result<i32, QueryError> {
        let connection = app.pool.get(priority).await?;
        let statement = connection.prepare_cached(&self.0.counted).await?;
        Ok(connection.query_one(&statement, &[&uid.uuid()]).await?.get(0))
    }

    /// Counts a run before it begins, in a transaction of its own: the number of repeats, if
    /// that could be told.
    pub(crate) async fn count_repeat(
        &self,
        app: &Host,
        priority: Priority,
        accept: &Accept,
    ) -> Result<Option<i32>, QueryError> {
        let question = &accept.question;
        let connection = app.pool.get(priority).await?;
        let statement = connection.prepare_cached(&self.0.count_repeat).await?;
        let row = connection
            .query_opt(
                &statement,
                &[
                    &question.uid.uuid(),
                    &app.copy_key,
                    &question.source,
                    &question.target,
                    &accept.attempt,
                    &accept.budget_ms,
                    &question.proof(),
                ],
            )
            .await?;
        Ok(row.map(|row| row.get(0)))
    }

    /// The last run of this copy has ended and was put off. `counted`: it is a run of a
    /// transactional handler that was counted before it began.
    pub(crate) async fn put_off(
        &self,
        app: &Host,
        priority: Priority,
        uid: Uid,
        counted: bool,
    ) -> Result<(), QueryError> {
        let connection = app.pool.get(priority).await?;
        let statement = connection.prepare_cached(&self.0.put_off).await?;
        let sign = if counted { -1 } else { 1 };
        connection.execute(&statement, &[&uid.uuid(), &app.copy_key, &sign]).await?;
        Ok(())
    }

    async fn take(&self, app: &Host, tx: &Statements, accept: &Accept, run: i32) -> Result<bool, QueryError> {
        let connection = tx.connection()?;
        let taken = tx
            .quiet(async {
                let statement = connection.prepare_cached(&self.0.accept).await?;
                connection.query(&statement, &AcceptRow::new(accept, run).values(app)).await
            })
            .await?;
        Ok(!taken.is_empty())
    }

    /// Stores the outcome within the transaction that has taken the message, and commits.
    pub(crate) async fn finish(
        &self,
        tx: &Statements,
        uid: Uid,
        run: i32,
        outcome: &Outcome,
    ) -> Result<(), QueryError> {
        let (uid, run, answer) = (vec![uid.uuid()], vec![run], vec![outcome.to_stored()]);
        tx.commit_after(&self.0.finish, &[&uid, &run, &answer]).await
    }

    /// Stores the outcome within this transaction, and the calls that led to it. `false`: another
    /// run was first, or a failover has lost that this copy accepted the message.
    pub(crate) async fn finish_accepted(
        &self,
        app: &Host,
        tx: &Statements,
        uid: Uid,
        run: i32,
        outcome: &Outcome,
        journal: &[Journal],
    ) -> Result<bool, QueryError> {
        let (uid, run, answer) = (vec![uid.uuid()], vec![run], vec![outcome.to_stored()]);
        if !self.store(tx, &self.0.finish_accepted, &[&uid, &run, &answer, &app.copy_key]).await? {
            return Ok(false);
        }
        self.record(tx, journal).await?;
        Ok(true)
    }

    async fn store(
        &self,
        tx: &Statements,
        text: &str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<bool, QueryError> {
        let connection = tx.connection()?;
        let stored = tx
            .quiet(async {
                let statement = connection.prepare_cached(text).await?;
                connection.query(&statement, values).await
            })
            .await?;
        Ok(!stored.is_empty())
    }

    /// Puts calls on record within this transaction.
    pub(crate) async fn record(&self, tx: &Statements, journal: &[Journal]) -> Result<(), QueryError> {
        let calls = Columns::of(journal.iter().map(|call| (None, call)));
        if calls.is_empty() {
            return Ok(());
        }
        let connection = tx.connection()?;
        tx.quiet(async {
            let statement = connection.prepare_cached(&self.0.record).await?;
            connection.execute(&statement, &calls.params()).await
        })
        .await?;
        Ok(())
    }

    /// The outcome that was first.
    pub(crate) async fn outcome(
        &self,
        app: &Host,
        priority: Priority,
        uid: Uid,
    ) -> Result<Option<Outcome>, QueryError> {
        let connection = app.pool.get(priority).await?;
        let statement = connection.prepare_cached(&self.0.outcome).await?;
        let row = connection.query_opt(&statement, &[&vec![uid.uuid()]]).await?;
        Ok(row.map(|row| known::stored(uid, row.get(1))))
    }
}
