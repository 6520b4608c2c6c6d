//! The inbox within a handler's own transaction.

use tokio_postgres::error::SqlState;
use tpro_wire::Uid;

use super::{command::Accept, question::First, sql::Texts};
use crate::handler::{
    QueryError, Statements,
    cause::describe,
    journal::{Columns, Journal},
    outcome::Outcome,
};
use crate::host::Host;

/// The statements, as texts: each connection of the pool prepares them once.
pub(crate) struct Own(Texts);

/// What there is of a message.
pub(crate) enum Entry {
    /// Nothing that counts: it is ours, with this number.
    Run(i32),
    /// It is done, by this copy or another.
    Done { outcome: Outcome, ours: bool },
    /// Another question was asked under its uid before.
    Mismatch,
    /// Another transaction, or another copy, is at work on it.
    Working,
    /// It ran as often as it may.
    Exhausted(i32),
}

impl Own {
    pub(crate) fn new(app: &Host) -> Self {
        Self(Texts::of(&app.source.service.schema()))
    }

    /// Takes a message within this transaction. After [`Entry::Working`] the transaction may have failed, and must be
    /// rolled back.
    pub(crate) async fn accept(
        &self,
        app: &Host,
        tx: &Statements,
        accept: &Accept,
    ) -> Result<Entry, QueryError> {
        let question = &accept.question;
        let mut run = 1;
        loop {
            match self.take(app, tx, accept, run).await {
                Ok(true) => return Ok(Entry::Run(run)),
                // An open transaction has the row: lock_timeout.
                Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => {
                    return Ok(Entry::Working);
                }
                Err(error) => return Err(error),
                Ok(false) => {}
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
            if First::of(&row).is_some_and(|first| !question.repeats(&first)) {
                return Ok(Entry::Mismatch);
            }
            let (answer, last, at_work): (Option<&str>, Option<i32>, Option<bool>) =
                (row.get(1), row.get(2), row.get(3));
            match answer {
                Some(answer) => {
                    let ours = row.get::<_, Option<bool>>(4) == Some(true);
                    return Ok(Entry::Done { outcome: stored(question.uid, answer), ours });
                }
                None if at_work == Some(true) => return Ok(Entry::Working),
                // Accepted, and not in a transaction of this kind: by an earlier release, in the default way.
                None => run = last.unwrap_or(0) + 1,
            }
            if usize::try_from(run).unwrap_or(0) > app.config.limits.runs as usize {
                return Ok(Entry::Exhausted(run));
            }
        }
    }

    /// How many repeats were begun and counted so far.
    pub(crate) async fn begun(&self, app: &Host, uid: Uid) -> Result<i32, QueryError> {
        let connection = app.pool.get().await?;
        let statement = connection.prepare_cached(&self.0.begun).await?;
        Ok(connection.query_one(&statement, &[&uid.uuid()]).await?.get(0))
    }

    /// Counts a run before it begins, in a transaction of its own: how many repeats were begun, if that could be told.
    pub(crate) async fn count_repeat(&self, app: &Host, accept: &Accept) -> Result<Option<i32>, QueryError> {
        let question = &accept.question;
        let connection = app.pool.get().await?;
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

    async fn take(&self, app: &Host, tx: &Statements, accept: &Accept, run: i32) -> Result<bool, QueryError> {
        let connection = tx.connection()?;
        let taken = tx
            .quiet(async {
                let statement = connection.prepare_cached(&self.0.accept).await?;
                let question = &accept.question;
                let (uid, run, proof) = (vec![question.uid.uuid()], vec![run], vec![question.proof()]);
                let (source, target) = (vec![question.source.as_deref()], vec![&*question.target]);
                let (attempt, budget) = (vec![accept.attempt], vec![accept.budget_ms]);
                connection
                    .query(
                        &statement,
                        &[&uid, &run, &source, &target, &attempt, &budget, &proof, &app.copy_key],
                    )
                    .await
            })
            .await?;
        Ok(!taken.is_empty())
    }

    /// Stores the outcome within this transaction, and the calls that led to it. `false`: another run was first.
    pub(crate) async fn finish(
        &self,
        tx: &Statements,
        uid: Uid,
        run: i32,
        outcome: &Outcome,
        journal: &[Journal],
    ) -> Result<bool, QueryError> {
        let connection = tx.connection()?;
        let stored = tx
            .quiet(async {
                let statement = connection.prepare_cached(&self.0.finish).await?;
                let (uid, run, answer) = (vec![uid.uuid()], vec![run], vec![outcome.to_stored()]);
                connection.query(&statement, &[&uid, &run, &answer]).await
            })
            .await?;
        if stored.is_empty() {
            return Ok(false);
        }
        self.record(tx, journal).await?;
        Ok(true)
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
    pub(crate) async fn outcome(&self, app: &Host, uid: Uid) -> Result<Option<Outcome>, QueryError> {
        let connection = app.pool.get().await?;
        let statement = connection.prepare_cached(&self.0.outcome).await?;
        let row = connection.query_opt(&statement, &[&vec![uid.uuid()]]).await?;
        Ok(row.map(|row| stored(uid, row.get(1))))
    }
}

fn stored(uid: Uid, answer: &str) -> Outcome {
    Outcome::from_stored(answer).unwrap_or_else(|error| {
        tracing::error!(message.id = %uid, "a stored outcome cannot be read: {}", describe(&error));
        Outcome::error(tpro_wire::error::code::INTERNAL, "internal error")
    })
}
