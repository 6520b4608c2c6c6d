//! The default way: accepts and outcomes are written in batches.

use tokio::time::timeout_at;
use tpro_runtime::failpoint;
use tpro_wire::{ReplyState, error::code};

use super::{
    later::Later,
    next_run::{NextRun, Rows, after_fault},
    request::Back,
    serving::Serving,
    tries::{AfterTry, Tries},
    work::Work,
};
use crate::{
    handler::{
        Ctx, Fault,
        cause::{describe, describe_fault},
        outcome::Outcome,
        run::{Ended, run},
        scope::Scope,
        way::Erased,
    },
    inbox::{
        command::{Accept, Accepted, Finish, Finished},
        verdict::Refusal,
    },
};

/// The result of a run.
enum Came {
    /// An outcome that is stored, here or by another run.
    Stored(Outcome),
    /// An outcome that is not to be stored.
    Late(Outcome),
    /// Nothing: the handler wants to be asked again later.
    PutOff(Later),
    /// Nothing that can be answered.
    Nothing,
    /// The process stops.
    Stopped,
}

/// Serves a message.
pub(super) async fn serve(serving: &Serving, work: Work<'_>, handler: &Erased<Ctx, String>) {
    let Some((mut work, boarded)) = serving.board(work).await else { return };
    failpoint::pass("inbox.before_accept");
    let mut alone = None;
    let mut accepted = timeout_at(work.origin.deadline, serving.inbox.accept(work.accept())).await;
    if matches!(accepted, Ok(Ok(Accepted::Refused(Refusal::Suspect)))) {
        // Until the end of this.
        alone = serving.alone(work.origin.deadline).await;
        if alone.is_some() {
            let accept = Accept { alone: true, ..work.accept() };
            accepted = timeout_at(work.origin.deadline, serving.inbox.accept(accept)).await;
        }
    }
    let run = match accepted {
        Ok(Ok(Accepted::Run(run))) => run,
        Ok(Ok(Accepted::Done { outcome, .. })) => {
            serving.count_not_run("repeat");
            work.is_repeat(&outcome);
            return serving.answer_all(&work.back, &boarded.leave(), &outcome).await;
        }
        Ok(Ok(Accepted::Refused(refusal))) => {
            return serving.refuse(refusal, work, &boarded.leave()).await;
        }
        Ok(Ok(Accepted::Exhausted { run, begun })) => {
            let outcome = serving.exhausted(&mut work, begun);
            if let Came::Stored(outcome) = finish(serving, &work, run, outcome, None).await {
                serving.answer_all(&work.back, &boarded.leave(), &outcome).await;
            }
            return;
        }
        // Its time is over, or the process stops: the requester asks again, if it still wants to
        // know.
        Err(_) | Ok(Err(_)) => return work.span.discard(),
    };
    boarded.is_taken();
    work.span.set("tpro.run", i64::from(run));
    failpoint::pass("inbox.after_accept");
    let (knows, back) = (work.knows_states(), work.back.clone());
    let handling = handle(serving, &mut work, handler, run);
    let came = serving.saying_so(knows, &back, Some(&boarded), handling).await;
    failpoint::pass("inbox.after_outcome");
    let joined: Vec<Back> = boarded.leave();
    match came {
        Came::Stored(outcome) | Came::Late(outcome) => {
            serving.answer_all(&work.back, &joined, &outcome).await
        }
        Came::PutOff(later) => serving.later_all(&work, &joined, &later).await,
        Came::Stopped => serving.state_all(&work.back, &joined, ReplyState::Overloaded).await,
        Came::Nothing => {}
    }
    drop(alone);
    work.observe();
}

/// Runs the handler, again where its database asks for it or has failed it, and stores its outcome.
async fn handle(serving: &Serving, work: &mut Work<'_>, handler: &Erased<Ctx, String>, number: i32) -> Came {
    let mut tries = Tries::new();
    loop {
        let scope = serving.scope(work);
        let running = work.handle(handler, || Ctx::new(scope.clone()), serving.app.reply_max());
        let ended = run(running, work.origin.deadline, &serving.stop).await;
        let tx = scope.take_tx();
        let result = match ended {
            Ended::Done(result) => result,
            // The message may run again, here or elsewhere, and makes the same calls again under
            // the same uids: they go on record with the outcome of the run that has one.
            Ended::Late => return Came::Late(serving.late(work, tries.met())),
            Ended::Stopped => return stopped(serving, work),
        };
        let (lost, passing) = match &result {
            Ok(_) => (false, None),
            Err(fault) => (fault.is_lost(), fault.is_passing().then(|| describe_fault(fault))),
        };
        let asked =
            tx.as_ref().is_some_and(|tx| tx.wants_again()) || result.as_ref().is_err_and(Fault::wants_again);
        if let Some(tx) = &tx {
            tx.close();
            // With a lost connection there is nothing left to roll back.
            if (asked || result.is_err()) && !lost {
                tx.roll_back().await;
            }
        }
        if asked || passing.is_some() {
            // The calls of this try are made again, under the same uids: they go on record once.
            drop(tx);
            match tries.next(serving, work, passing.filter(|_| !asked)).await {
                AfterTry::Try => continue,
                AfterTry::Late => return Came::Late(serving.late(work, tries.met())),
                AfterTry::Stopped => return stopped(serving, work),
            }
        }
        let (tx, result) = match result {
            Err(fault) => {
                // It is rolled back.
                drop(tx);
                match after_fault(serving, work, &mut tries, fault, Rows::Accepted).await {
                    NextRun::Now => continue,
                    NextRun::None(fault) => (None, Err(fault)),
                    NextRun::Later(later) => return Came::PutOff(later),
                    NextRun::Late => return Came::Late(serving.late(work, tries.met())),
                    NextRun::Stopped => return stopped(serving, work),
                }
            }
            Ok(result) => (tx, Ok(result)),
        };
        let ok = result.is_ok();
        let outcome = serving.outcome(work, result);
        let Some(tx) = tx.filter(|_| ok) else {
            return finish(serving, work, number, outcome, Some(&scope)).await;
        };
        // Effects and outcome commit together, so that the effects of only one run can happen.
        let committed = async {
            let journal = scope.take_journal();
            failpoint::pass("inbox.before_outcome");
            if !serving
                .own
                .finish_accepted(&serving.app, &tx, work.origin.uid, number, &outcome, &journal)
                .await?
            {
                return Ok(false);
            }
            tx.commit().await.map(|()| true)
        };
        let error = match committed.await {
            Ok(true) => return Came::Stored(outcome),
            Ok(false) => {
                tx.roll_back().await;
                serving.app.counts.beaten.inc();
                return stored(serving, work, &mut tries).await.unwrap_or(Came::Nothing);
            }
            Err(error) => error,
        };
        let (asked, lost) = (tx.wants_again(), error.is_lost());
        if !lost {
            tx.roll_back().await;
        }
        drop(tx);
        if !asked && !error.is_passing() {
            let outcome = serving.outcome(work, Err(error.into()));
            return finish(serving, work, number, outcome, None).await;
        }
        match tries.next(serving, work, (!asked).then(|| describe(&error))).await {
            AfterTry::Try => {}
            AfterTry::Late => return Came::Late(serving.late(work, tries.met())),
            AfterTry::Stopped => return stopped(serving, work),
        }
        // It may have committed all the same.
        if lost && let Some(came) = stored(serving, work, &mut tries).await {
            return came;
        }
    }
}

fn stopped(serving: &Serving, work: &mut Work<'_>) -> Came {
    serving.stopped(work);
    Came::Stopped
}

/// The stored outcome, of any run, once the database tells it. None if there is none.
async fn stored(serving: &Serving, work: &mut Work<'_>, tries: &mut Tries) -> Option<Came> {
    loop {
        let asked = serving.own.outcome(&serving.app, work.priority(), work.origin.uid);
        let error = match timeout_at(work.origin.deadline, asked).await {
            Ok(Ok(outcome)) => return outcome.map(Came::Stored),
            Ok(Err(error)) => describe(&error),
            Err(_) => return Some(Came::Late(serving.late(work, tries.met()))),
        };
        match tries.next(serving, work, Some(error)).await {
            AfterTry::Try => {}
            AfterTry::Late => return Some(Came::Late(serving.late(work, tries.met()))),
            AfterTry::Stopped => return Some(stopped(serving, work)),
        }
    }
}

/// Stores an outcome, and with it the calls that led to it.
async fn finish(
    serving: &Serving,
    work: &Work<'_>,
    run: i32,
    outcome: Outcome,
    scope: Option<&Scope>,
) -> Came {
    failpoint::pass("inbox.before_outcome");
    let journal = scope.map(Scope::take_journal).unwrap_or_default();
    let (uid, received) = (work.origin.uid, work.received);
    let finish = Finish { uid, received, run, answer: outcome.to_stored(), journal };
    match serving.inbox.finish(finish).await {
        Ok(Finished::Stored) => Came::Stored(outcome),
        Ok(Finished::Beaten(winner)) => {
            serving.app.counts.beaten.inc();
            Came::Stored(winner)
        }
        Ok(Finished::Unstorable) => {
            let outcome = Outcome::error(code::INTERNAL, "the result cannot be stored as jsonb");
            let finish = Finish { uid, received, run, answer: outcome.to_stored(), journal: Vec::new() };
            match serving.inbox.finish(finish).await {
                Ok(Finished::Beaten(winner)) => Came::Stored(winner),
                Ok(_) => Came::Stored(outcome),
                Err(_) => Came::Nothing,
            }
        }
        Err(_) => Came::Nothing,
    }
}
