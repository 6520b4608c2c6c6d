//! The transactional way: inbox row, effects and outcome are one transaction.

use std::sync::Arc;

use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, timeout_at},
};
use tpro_runtime::failpoint;
use tpro_wire::ReplyState;

use super::{
    later::Later,
    next_run::{NextRun, Rows, after_fault, may_follow},
    request::Back,
    serving::Serving,
    tries::{AfterTry, Tries},
    work::Work,
};
use crate::{
    handler::{
        Fault, QueryError, Statements, Tx,
        cause::{describe, describe_fault},
        outcome::Outcome,
        run::{Ended, run},
        way::Erased,
    },
    inbox::{
        command::Accepted,
        flight::Boarded,
        run_limit::{may_begin, may_count, must_count},
        verdict::Refusal,
    },
};

/// The result of a try.
enum Came {
    /// An outcome that is committed, now or before, by this copy or another.
    Stored { outcome: Outcome, repeat: bool, ours: bool },
    /// An outcome that is not to be stored.
    Unstored(Outcome),
    /// Nothing: no handler runs here for it now.
    Refused(Refusal),
    /// Nothing: the handler wants to be asked again later.
    PutOff(Later),
    /// The process stops.
    Stopped,
}

/// Serves a message.
pub(super) async fn serve(serving: &Serving, work: Work<'_>, handler: &Erased<Tx, String>) {
    let Some((mut work, boarded)) = serving.board(work).await else { return };
    let (knows, back) = (work.knows_states(), work.back.clone());
    let tries = tries(serving, &mut work, handler, &boarded);
    let came = serving.saying_so(knows, &back, Some(&boarded), tries).await;
    let joined = boarded.leave();
    match came {
        Came::Stored { outcome, repeat, .. } => {
            if repeat {
                serving.count_not_run("repeat");
                work.is_repeat(&outcome);
            }
            failpoint::pass("inbox.after_outcome");
            serving.answer_all(&work.back, &joined, &outcome).await;
        }
        Came::Unstored(outcome) => serving.answer_all(&work.back, &joined, &outcome).await,
        Came::Refused(refusal) => return serving.refuse(refusal, work, &joined).await,
        Came::PutOff(later) => serving.later_all(&work, &joined, &later).await,
        Came::Stopped => {
            serving.stopped(&mut work);
            serving.state_all(&work.back, &joined, ReplyState::Overloaded).await;
        }
    }
    work.observe();
}

/// Tries until it is done or the time is over. A transaction that the server asks to run again is
/// run again. So is one that was undone with a lost connection; if it had committed after all, the
/// next try finds its outcome.
async fn tries(
    serving: &Serving,
    work: &mut Work<'_>,
    handler: &Erased<Tx, String>,
    boarded: &Boarded<Back>,
) -> Came {
    let mut tries = Tries::new();
    // The outcome to store if the handler's transaction cannot be committed.
    let mut instead = None;
    // True if the handler has run in a try before.
    let mut ran = false;
    let deadline = work.origin.deadline;
    // True if this run is counted, or need not be.
    let mut counted = !must_count(work.origin.headers.attempt);
    // Held until it is done, if it is suspect.
    let mut alone = None;
    loop {
        let ran_before = ran;
        let one_try = one_try(serving, work, handler, boarded, counted, instead.as_ref(), &mut ran);
        let error = match timeout_at(deadline, one_try).await {
            // An outcome that an earlier try of this delivery has committed, without our knowing,
            // is no repeat. An outcome of another copy, to which the message was sent meanwhile, is
            // one.
            Ok(Ok(Came::Stored { outcome, repeat, ours })) => {
                return Came::Stored { outcome, repeat: repeat && !(ran_before && ours), ours };
            }
            Ok(Ok(came)) => return came,
            // The pool gave nothing, or the database hangs.
            Err(_) => return Came::Unstored(serving.late(work, tries.met())),
            Ok(Err(error)) => error,
        };
        let passed = match error {
            Failed::Again => None,
            Failed::Uncounted => match count(serving, work, &mut alone).await {
                Ok(Counted::Go) => {
                    counted = true;
                    continue;
                }
                Ok(Counted::Exhausted(outcome)) => {
                    counted = true;
                    instead = Some(outcome);
                    continue;
                }
                Ok(Counted::Suspect) => return Came::Refused(Refusal::Suspect),
                Err(error) => Some(describe(&error)),
            },
            Failed::Passing(reason) => Some(reason),
            Failed::Fault(fault) => {
                // A first attempt is not counted.
                let rows = if must_count(work.origin.headers.attempt) { Rows::Counted } else { Rows::None };
                match after_fault(serving, work, &mut tries, fault, rows).await {
                    NextRun::Now => {}
                    NextRun::None(fault) => instead = Some(serving.outcome(work, Err(fault))),
                    NextRun::Later(later) => return Came::PutOff(later),
                    NextRun::Late => return Came::Unstored(serving.late(work, tries.met())),
                    NextRun::Stopped => return Came::Stopped,
                }
                continue;
            }
            Failed::Query(error) if instead.is_some() => {
                // Not even the error can be stored.
                return Came::Unstored(serving.outcome(work, Err(error.into())));
            }
            Failed::Query(error) => {
                instead = Some(serving.outcome(work, Err(error.into())));
                continue;
            }
        };
        match tries.next(serving, work, passed).await {
            AfterTry::Try => {}
            AfterTry::Late => return Came::Unstored(serving.late(work, tries.met())),
            AfterTry::Stopped => return Came::Stopped,
        }
    }
}

/// The reason why a try failed.
enum Failed {
    /// The server asks to run it again: 40001, 40P01.
    Again,
    /// It is ours to run, and has to be counted first.
    Uncounted,
    /// The database failed it in a way that passes, and all is undone.
    Passing(String),
    /// The handler has ended with this fault. It may run again, and all is undone.
    Fault(Fault),
    Query(QueryError),
}

impl From<QueryError> for Failed {
    fn from(error: QueryError) -> Self {
        if error.is_passing() { Self::Passing(describe(&error)) } else { Self::Query(error) }
    }
}

async fn one_try(
    serving: &Serving,
    work: &mut Work<'_>,
    handler: &Erased<Tx, String>,
    boarded: &Boarded<Back>,
    counted: bool,
    instead: Option<&Outcome>,
    ran: &mut bool,
) -> Result<Came, Failed> {
    let app = &serving.app;
    let left = work.origin.deadline.saturating_duration_since(Instant::now());
    failpoint::pass("inbox.before_accept");
    let (tx, accepted) =
        serving.own.begin(app, work.priority(), work.context(), left, &work.accept()).await?;
    let tx = Arc::new(tx);
    let number = match accepted {
        Accepted::Run(number) => number,
        Accepted::Refused(refusal) => {
            tx.roll_back().await;
            return Ok(Came::Refused(refusal));
        }
        Accepted::Done { outcome, ours } => {
            tx.roll_back().await;
            return Ok(Came::Stored { outcome, repeat: true, ours });
        }
        Accepted::Exhausted { run, begun } => {
            let outcome = serving.exhausted(work, begun);
            store(serving, work, &tx, run, &outcome).await?;
            return Ok(Came::Stored { outcome, repeat: false, ours: true });
        }
    };
    if !counted {
        // Without this transaction's connection in hand, or the pool could be taken up by those who
        // wait for a second one.
        tx.roll_back().await;
        return Err(Failed::Uncounted);
    }
    boarded.is_taken();
    failpoint::pass("inbox.after_accept");
    if let Some(outcome) = instead {
        store(serving, work, &tx, number, outcome).await?;
        return Ok(Came::Stored { outcome: outcome.clone(), repeat: false, ours: true });
    }
    *ran = true;
    let scope = serving.scope(work);
    let running = work.handle(handler, || Tx::new(scope.clone(), tx.clone()), app.reply_max());
    let result = match run(running, work.origin.deadline, &serving.stop).await {
        Ended::Done(result) => result,
        // The transaction is not ended but thrown away with its connection, on which a statement
        // may still run.
        Ended::Late => return Ok(Came::Unstored(serving.late(work, false))),
        Ended::Stopped => return Ok(Came::Stopped),
    };
    drop(scope.take_tx());
    tx.close();
    if tx.wants_again() || result.as_ref().is_err_and(Fault::wants_again) {
        tx.roll_back().await;
        return Err(Failed::Again);
    }
    let result = match result {
        Err(fault) if !fault.is_passing() && may_follow(work, &fault) => {
            tx.roll_back().await;
            return Err(Failed::Fault(fault));
        }
        result => result,
    };
    if let Err(fault) = &result {
        if fault.is_passing() {
            if !fault.is_lost() {
                tx.roll_back().await;
            }
            return Err(Failed::Passing(describe_fault(fault)));
        }
        tx.undo_handler().await?;
    }
    let outcome = serving.outcome(work, result);
    match store(serving, work, &tx, number, &outcome).await {
        Ok(()) => Ok(Came::Stored { outcome, repeat: false, ours: true }),
        Err(_) if tx.wants_again() => {
            tx.roll_back().await;
            Err(Failed::Again)
        }
        Err(error) if error.is_lost() => Err(error.into()),
        Err(error) => {
            // The handler has left the transaction failed, or its result cannot be stored, or a
            // deferred constraint says no.
            tx.roll_back().await;
            Err(error.into())
        }
    }
}

/// The result of counting.
enum Counted {
    /// It may run.
    Go,
    /// It began as often as it may. This outcome is stored in place of another run.
    Exhausted(Outcome),
    /// Another suspect runs, and this one is not counted.
    Suspect,
}

/// Counts this run. A message that began as often as it may ends the process each time, or is
/// never finished. A suspect is counted only when no other runs, so that it is not counted for the
/// deeds of another one.
async fn count(
    serving: &Serving,
    work: &mut Work<'_>,
    alone: &mut Option<OwnedSemaphorePermit>,
) -> Result<Counted, QueryError> {
    let (app, uid, limit) = (&serving.app, work.origin.uid, serving.run_limit());
    if alone.is_none() && !may_count(serving.own.counted(app, work.priority(), uid).await?, false, limit) {
        *alone = serving.alone(work.origin.deadline).await;
        if alone.is_none() {
            return Ok(Counted::Suspect);
        }
    }
    let counted = serving.own.count_repeat(app, work.priority(), &work.accept()).await?;
    Ok(match may_begin(counted, limit) {
        true => Counted::Go,
        false => Counted::Exhausted(serving.exhausted(work, counted.unwrap_or(0))),
    })
}

/// The outcome, then the commit.
async fn store(
    serving: &Serving,
    work: &Work<'_>,
    tx: &Statements,
    number: i32,
    outcome: &Outcome,
) -> Result<(), QueryError> {
    failpoint::pass("inbox.before_outcome");
    serving.own.finish(tx, work.origin.uid, number, outcome).await
}
