//! Commands that are written together.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use tokio::{sync::oneshot, time::Instant};
use tokio_postgres::{Client, Error, Row};
use tpro_runtime::{
    backoff::Backoff,
    db::{is_held, is_lost, is_passing},
};
use tpro_wire::Uid;
use uuid::Uuid;

use super::{
    columns::{AcceptColumns, FinishColumns},
    command::{Accepted, Command, Finish, Finished},
    known,
    run_limit::RunLimit,
    sql::Prepared,
    taking::Taking,
    verdict::{Taken, Verdict},
};
use crate::handler::{
    cause::describe,
    journal::{Columns, Journal},
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
            Command::Accept(accept, reply) => self.accepts.push(Taking::new(accept, reply)),
            Command::Finish(finish, reply) => self.finishes.push((finish, reply)),
            Command::Record(journal) => self.records.extend(journal),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.accepts.len() + self.finishes.len() + self.records.len()
    }

    /// Writes everything and answers everybody.
    pub(super) async fn write(&mut self, app: &Host, client: &Client, sql: &Prepared) -> Result<(), Lost> {
        // A message that nobody waits for any more must not be taken: the run would be counted, and
        // not happen.
        self.accepts.retain(|taking| !taking.is_given_up());
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        while self.len() > 0 {
            match self.commit(app, client, sql).await {
                Ok(written) => self.answer(app, client, sql, written).await?,
                Err(error) if client.is_closed() || is_lost(&error) => {
                    self.accepts.iter_mut().for_each(|taking| taking.bid.lost());
                    return Err(Lost(error));
                }
                Err(error) if is_passing(&error) => {
                    // A full disk, a deadlock, a statement that somebody cancelled: nothing is
                    // wrong with what is written, and what is done must not be said to have failed.
                    tracing::warn!(
                        commands = self.len(),
                        "the inbox cannot be written: {}; trying again",
                        describe(&error)
                    );
                    tokio::time::sleep(backoff.next_pause()).await;
                    self.accepts.retain(|taking| !taking.is_given_up());
                }
                Err(error) if self.len() == 1 => self.refuse(&error),
                Err(_) => self.write_singly(app, client, sql).await?,
            }
        }
        Ok(())
    }

    /// One transaction, sent at one go: outcomes first, then the calls that led to them, then
    /// accepts. All copies write in this order, and each statement in the order of uids, so that
    /// none waits for another in a circle.
    async fn commit(&self, app: &Host, client: &Client, sql: &Prepared) -> Result<Written, Error> {
        let finishes = FinishColumns::of(&self.finishes);
        let calls = Columns::of(self.calls());
        let accepts = AcceptColumns::of(&self.accepts);
        // An empty part sends nothing.
        let store = async {
            if finishes.uid.is_empty() {
                return Ok(Vec::new());
            }
            let f = &finishes;
            match self.came_since(sql.since) {
                true => client.query(&sql.finish, &[&f.uid, &f.run, &f.answer]).await,
                false => {
                    let copy = &app.copy_key;
                    client.query(&sql.finish_accepted, &[&f.uid, &f.run, &f.answer, copy]).await
                }
            }
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
        // A single statement is a transaction without them, and saves the server two answers.
        let parts = [!finishes.uid.is_empty(), !calls.is_empty(), !accepts.uid.is_empty()];
        let is_single = parts.into_iter().filter(|part| *part).count() == 1;
        let unless_single = async |sql| if is_single { Ok(()) } else { client.batch_execute(sql).await };
        // Polled in this order, and so sent in it. If one fails, those after it fail too, and
        // COMMIT rolls back.
        let (begun, stored, recorded, taken, committed) =
            futures_util::join!(unless_single("BEGIN"), store, record, take, unless_single("COMMIT"));
        begun?;
        let (stored, _, taken) = (stored?, recorded?, taken?);
        committed?;
        Ok(Written { stored: uids(&stored), taken: uids(&taken) })
    }

    /// True if all messages with an outcome came since the session was opened. Then they were
    /// accepted in it, and nothing has to be asked.
    fn came_since(&self, opened: Instant) -> bool {
        self.finishes.iter().all(|(finish, _)| finish.received >= opened)
    }

    /// Answers those whose rows were written, and looks up what there was for the others. Accepts
    /// that are for another run stay.
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
            let is_ours = written.taken.contains(&taking.accept.question.uid.uuid());
            let step = taking.bid.taken(if is_ours { Taken::Ours } else { Taken::Before });
            self.accepts.extend(taking.step(step, without_outcome));
        }
        // All that is left was there before. If a look-up is lost, it is written once more and
        // found there once more.
        let uids: Vec<_> = self.finishes.iter().map(|(finish, _)| finish.uid.uuid()).collect();
        let outcomes = outcomes(client, sql, uids).await.map_err(Lost)?;
        answer_beaten(outcomes, std::mem::take(&mut self.finishes));
        let uids: Vec<_> = self.accepts.iter().map(|taking| taking.accept.question.uid.uuid()).collect();
        let known = known(app, client, sql, uids).await.map_err(Lost)?;
        let limit = RunLimit::new(app.config.limits.runs);
        self.accepts = answer_repeats(limit, &known, std::mem::take(&mut self.accepts));
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
                // All that was not written goes back.
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

    /// Deals with the one command that cannot be written. It stays in the batch where another try
    /// makes sense.
    fn refuse(&mut self, error: &Error) {
        let waited = error.code().is_some_and(is_held);
        for taking in self.accepts.drain(..) {
            if waited {
                let step = taking.bid.taken(Taken::Open);
                taking.step(step, without_outcome);
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

/// The losers answer with the winner's outcome. No outcome is there if a failover has lost the row
/// of an accepted message. Then nobody is answered, and the requester sends the message again.
fn answer_beaten(mut outcomes: HashMap<Uuid, String>, beaten: Vec<(Finish, oneshot::Sender<Finished>)>) {
    for (Finish { uid, .. }, reply) in beaten {
        if let Some(answer) = outcomes.remove(&uid.uuid()) {
            let _ = reply.send(Finished::Beaten(known::stored(uid, &answer)));
        }
    }
}

/// The rows of messages that were taken before.
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

/// Answers repeats by what is known of them. Those that are to be taken for their next run come
/// back.
fn answer_repeats(limit: RunLimit, known: &HashMap<Uuid, Row>, repeats: Vec<Taking>) -> Vec<Taking> {
    let judge = |mut taking: Taking| {
        let question = taking.accept.question.clone();
        let row = known.get(&question.uid.uuid())?;
        let step = taking.bid.judge(&known::facts(row, &question), limit);
        taking.step(step, |verdict| known::accepted(verdict, row, question.uid))
    };
    repeats.into_iter().filter_map(judge).collect()
}

/// A verdict after the INSERT, which is about no outcome.
fn without_outcome(verdict: Verdict) -> Accepted {
    Accepted::of(verdict, known::unreadable)
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
