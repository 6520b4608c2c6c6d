//! What is written together.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use tokio::sync::oneshot;
use tokio_postgres::{Client, Error, Row, error::SqlState};
use tpro_runtime::{
    backoff::Backoff,
    db::{is_lost, is_passing},
};
use tpro_wire::Uid;
use uuid::Uuid;

use super::{
    columns::{AcceptColumns, FinishColumns},
    command::{Accepted, Command, Finish, Finished, is_suspect},
    question::First,
    sql::Prepared,
    taking::Taking,
};
use crate::handler::{
    cause::describe,
    journal::{Columns, Journal},
    outcome::Outcome,
};
use crate::host::Host;

/// The pauses before something is tried again that the server failed in a way that passes.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Commands that are written together. It is empty when all are answered.
#[derive(Default)]
pub(super) struct Batch {
    accepts: Vec<Taking>,
    finishes: Vec<(Finish, oneshot::Sender<Finished>)>,
    records: Vec<Journal>,
}

/// The session is not usable any more; what is left in the batch is to be tried in another one.
pub(super) struct Lost(pub(super) Error);

impl Batch {
    pub(super) fn add(&mut self, command: Command) {
        match command {
            Command::Accept(accept, reply) => {
                self.accepts.push(Taking { accept, run: 1, unsure: false, reply })
            }
            Command::Finish(finish, reply) => self.finishes.push((finish, reply)),
            Command::Record(journal) => self.records.extend(journal),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.accepts.len() + self.finishes.len() + self.records.len()
    }

    /// Writes everything and answers everybody.
    pub(super) async fn write(&mut self, app: &Host, client: &Client, sql: &Prepared) -> Result<(), Lost> {
        // Whoever has given up waiting to be accepted must not be: the run would be counted, and not happen.
        self.accepts.retain(|taking| !taking.reply.is_closed());
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        while self.len() > 0 {
            match self.commit(app, client, sql).await {
                Ok(written) => self.answer(app, client, sql, written).await?,
                Err(error) if client.is_closed() || is_lost(&error) => {
                    self.accepts.iter_mut().for_each(|taking| taking.unsure = true);
                    return Err(Lost(error));
                }
                Err(error) if is_passing(&error) => {
                    // A full disk, a deadlock, a statement that somebody cancelled: nothing is wrong with what is written,
                    // and what is done must not be said to have failed.
                    tracing::warn!(
                        commands = self.len(),
                        "the inbox cannot be written: {}; trying again",
                        describe(&error)
                    );
                    tokio::time::sleep(backoff.next_pause()).await;
                    self.accepts.retain(|taking| !taking.reply.is_closed());
                }
                Err(error) if self.len() == 1 => self.refuse(&error),
                Err(_) => self.write_singly(app, client, sql).await?,
            }
        }
        Ok(())
    }

    /// One transaction, sent at one go: outcomes first, then the calls that led to them, then accepts. All copies write
    /// in this order, and each statement in the order of uids, so that none waits for another in a circle.
    async fn commit(&self, app: &Host, client: &Client, sql: &Prepared) -> Result<Written, Error> {
        let finishes = FinishColumns::of(&self.finishes);
        let calls = Columns::of(self.calls());
        let accepts = AcceptColumns::of(&self.accepts);
        // An empty part sends nothing.
        let store = async {
            if finishes.uid.is_empty() {
                return Ok(Vec::new());
            }
            client.query(&sql.finish, &[&finishes.uid, &finishes.run, &finishes.answer]).await
        };
        let record = async {
            if calls.is_empty() {
                return Ok(0);
            }
            client.execute(&sql.record, &calls.params()).await
        };
        let take = async {
            if accepts.uid.is_empty() {
                return Ok(Vec::new());
            }
            let a = &accepts;
            client
                .query(
                    &sql.accept,
                    &[
                        &a.uid,
                        &a.run,
                        &a.source,
                        &a.target,
                        &a.attempt,
                        &a.budget_ms,
                        &a.proof,
                        &app.copy_key,
                    ],
                )
                .await
        };
        // Polled in this order, and so sent in it. If one fails, those after it fail too, and COMMIT rolls back.
        let (begun, stored, recorded, taken, committed) = futures_util::join!(
            client.batch_execute("BEGIN"),
            store,
            record,
            take,
            client.batch_execute("COMMIT")
        );
        begun?;
        let (stored, _, taken) = (stored?, recorded?, taken?);
        committed?;
        Ok(Written { stored: uids(&stored), taken: uids(&taken) })
    }

    /// Answers those whose rows were written, and looks up what there was for the others. Accepts that are for another
    /// run stay.
    async fn answer(
        &mut self,
        app: &Host,
        client: &Client,
        sql: &Prepared,
        written: Written,
    ) -> Result<(), Lost> {
        self.records.clear();
        for (finish, reply) in std::mem::take(&mut self.finishes) {
            if written.stored.contains(&finish.uid.uuid()) {
                let _ = reply.send(Finished::Stored);
            } else {
                self.finishes.push((finish, reply));
            }
        }
        for taking in std::mem::take(&mut self.accepts) {
            if written.taken.contains(&taking.accept.question.uid.uuid()) {
                let _ = taking.reply.send(Accepted::Run(taking.run));
            } else {
                self.accepts.push(taking);
            }
        }
        // What is left was there before. If a look-up is lost, it is written once more and found there once more.
        let uids: Vec<_> = self.finishes.iter().map(|(finish, _)| finish.uid.uuid()).collect();
        let outcomes = outcomes(client, sql, uids).await.map_err(Lost)?;
        answer_beaten(outcomes, std::mem::take(&mut self.finishes));
        let uids: Vec<_> = self.accepts.iter().map(|taking| taking.accept.question.uid.uuid()).collect();
        let known = known(app, client, sql, uids).await.map_err(Lost)?;
        self.accepts = answer_repeats(app, &known, std::mem::take(&mut self.accepts));
        Ok(())
    }

    /// One after the other, to find the one that cannot be written.
    async fn write_singly(&mut self, app: &Host, client: &Client, sql: &Prepared) -> Result<(), Lost> {
        let whole = std::mem::take(self);
        let accepts =
            whole.accepts.into_iter().map(|taking| Self { accepts: vec![taking], ..Self::default() });
        let finishes =
            whole.finishes.into_iter().map(|finish| Self { finishes: vec![finish], ..Self::default() });
        let records =
            whole.records.into_iter().map(|journal| Self { records: vec![journal], ..Self::default() });
        let mut singles = finishes.chain(records).chain(accepts);
        while let Some(mut single) = singles.next() {
            if let Err(lost) = Box::pin(single.write(app, client, sql)).await {
                // What was not written goes back.
                self.join(single);
                singles.for_each(|single| self.join(single));
                return Err(lost);
            }
        }
        Ok(())
    }

    fn join(&mut self, other: Self) {
        self.accepts.extend(other.accepts);
        self.finishes.extend(other.finishes);
        self.records.extend(other.records);
    }

    /// Deals with the one command that cannot be written. It stays in the batch where another try makes sense.
    fn refuse(&mut self, error: &Error) {
        let waited = error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE);
        for taking in self.accepts.drain(..) {
            if waited {
                // Somebody holds the row and has not committed: that is being at work.
                let _ = taking.reply.send(Accepted::Working);
            } else {
                tracing::error!(message.id = %taking.accept.question.uid, "the inbox does not take a message: {}", describe(error));
            }
        }
        for (mut finish, reply) in std::mem::take(&mut self.finishes) {
            if waited {
                // A lock is let go some time.
                self.finishes.push((finish, reply));
            } else if finish.journal.is_empty() {
                tracing::error!(message.id = %finish.uid, "an outcome cannot be stored: {}", describe(error));
                let _ = reply.send(Finished::Unstorable);
            } else {
                // The outcome counts more than the record of its calls.
                warn_unrecorded(&finish.journal, error);
                finish.journal.clear();
                self.finishes.push((finish, reply));
            }
        }
        warn_unrecorded(&self.records, error);
        self.records.clear();
    }

    fn calls(&self) -> impl Iterator<Item = (Option<Uid>, &Journal)> {
        let of_outcomes = self
            .finishes
            .iter()
            .flat_map(|(finish, _)| finish.journal.iter().map(|journal| (Some(finish.uid), journal)));
        of_outcomes.chain(self.records.iter().map(|journal| (None, journal)))
    }
}

/// The uids whose rows were written.
struct Written {
    stored: HashSet<Uuid>,
    taken: HashSet<Uuid>,
}

/// The outcomes that are stored.
async fn outcomes(client: &Client, sql: &Prepared, uids: Vec<Uuid>) -> Result<HashMap<Uuid, String>, Error> {
    if uids.is_empty() {
        return Ok(HashMap::new());
    }
    Ok(client.query(&sql.outcome, &[&uids]).await?.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// The losers answer with the winner's outcome.
fn answer_beaten(mut outcomes: HashMap<Uuid, String>, beaten: Vec<(Finish, oneshot::Sender<Finished>)>) {
    for (Finish { uid, .. }, reply) in beaten {
        if let Some(outcome) = outcomes.remove(&uid.uuid()).and_then(|answer| stored_outcome(uid, &answer)) {
            let _ = reply.send(Finished::Beaten(outcome));
        }
    }
}

/// What is known of messages that were taken before.
async fn known(
    app: &Host,
    client: &Client,
    sql: &Prepared,
    uids: Vec<Uuid>,
) -> Result<HashMap<Uuid, Row>, Error> {
    if uids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = client.query(&sql.known, &[&uids, &app.source.service.as_str(), &app.copy_key]).await?;
    Ok(rows.into_iter().map(|row| (row.get(0), row)).collect())
}

/// Says what is known of repeats; those that are to run again come back with the number of their next run.
fn answer_repeats(app: &Host, known: &HashMap<Uuid, Row>, repeats: Vec<Taking>) -> Vec<Taking> {
    let most = i32::try_from(app.config.limits.runs).unwrap_or(i32::MAX);
    let mut again = Vec::new();
    for mut taking in repeats {
        let question = &taking.accept.question;
        let Some(row) = known.get(&question.uid.uuid()) else { continue };
        let (answer, run, at_work, ours): (Option<&str>, Option<i32>, Option<bool>, Option<bool>) =
            (row.get(1), row.get(2), row.get(3), row.get(4));
        let last = run.unwrap_or(0);
        let is_repeat = First::of(row).is_none_or(|first| question.repeats(&first));
        let accepted = match answer {
            _ if !is_repeat => Accepted::Mismatch,
            Some(answer) => match stored_outcome(question.uid, answer) {
                Some(outcome) => Accepted::Done(outcome),
                None => continue,
            },
            // This very accept: its commit had succeeded. Nobody else of this copy takes the message at the same time.
            None if taking.unsure && ours == Some(true) && last == taking.run => Accepted::Run(last),
            None if at_work == Some(true) => Accepted::Working,
            None if last >= most => Accepted::Exhausted(last + 1),
            None if !taking.accept.alone && is_suspect(last + 1, most) => Accepted::Suspect,
            None => {
                (taking.run, taking.unsure) = (last + 1, false);
                again.push(taking);
                continue;
            }
        };
        let _ = taking.reply.send(accepted);
    }
    again
}

fn stored_outcome(uid: Uid, answer: &str) -> Option<Outcome> {
    Outcome::from_stored(answer)
        .inspect_err(|error| {
            tracing::error!(message.id = %uid, "a stored outcome cannot be read: {}", describe(error));
        })
        .ok()
}

fn uids(rows: &[Row]) -> HashSet<Uuid> {
    rows.iter().map(|row| row.get(0)).collect()
}

fn warn_unrecorded(calls: &[Journal], error: &Error) {
    for call in calls {
        tracing::error!(
            message.id = %call.uid,
            tpro.target = %call.target,
            "a call cannot be put on record: {}",
            describe(error)
        );
    }
}
