//! The way without an inbox: a message runs as often as it comes.

use tpro_wire::ReplyState;

use super::{
    later::Later,
    next_run::{NextRun, Rows, after_fault, may_follow},
    serving::Serving,
    tries::{AfterTry, Tries},
    work::Work,
};
use crate::handler::{
    Ctx, Fault, Statements,
    cause::describe_fault,
    journal::Journal,
    outcome::Outcome,
    run::{Ended, run},
    way::Erased,
};

/// The result of a run.
enum Came {
    /// The end, and the calls that led to it.
    Done(Outcome, Vec<Journal>),
    /// The handler wants to be asked again later.
    PutOff(Later),
    /// The process stops.
    Stopped,
}

/// Serves a message: also one for a handler of the default way, if its sender gave it no uid to
/// tell a repeat by.
pub(super) async fn serve(serving: &Serving, mut work: Work<'_>, handler: &Erased<Ctx, String>) {
    let (knows, back) = (work.knows_states(), work.back.clone());
    let tries = tries(serving, &mut work, handler);
    let (outcome, journal) = match serving.saying_so(knows, &back, None, tries).await {
        Came::Done(outcome, journal) => (outcome, journal),
        Came::PutOff(later) => {
            Box::pin(serving.later_all(&work, &[], &later)).await;
            return work.observe();
        }
        Came::Stopped => {
            serving.stopped(&mut work);
            return serving.headers.state(&serving.app, &work.back, ReplyState::Overloaded).await;
        }
    };
    if !journal.is_empty() {
        Box::pin(serving.inbox.record(journal)).await;
    }
    serving.headers.answer(&serving.app, &work.back, &outcome).await;
    work.observe();
}

/// Runs the handler, again where its database asks for it or has failed it.
async fn tries(serving: &Serving, work: &mut Work<'_>, handler: &Erased<Ctx, String>) -> Came {
    // Made when one is needed, since most runs need none.
    let mut tries = None;
    loop {
        let scope = serving.scope(work);
        let running = work.handle(handler, || Ctx::new(scope.clone()), serving.app.reply_max());
        let next = match run(running, work.origin.deadline, &serving.stop).await {
            Ended::Done(mut result) => {
                let mut again = false;
                if let Some(tx) = scope.take_tx() {
                    (result, again) = Box::pin(end(&tx, result)).await;
                }
                let error = result.as_ref().err().filter(|fault| fault.is_passing()).map(describe_fault);
                if error.is_none() && !again {
                    let fault = match result {
                        Err(fault) if may_follow(work, &fault) => fault,
                        result => return Came::Done(serving.outcome(work, result), scope.take_journal()),
                    };
                    let tries = tries.get_or_insert_with(|| Box::new(Tries::new()));
                    match Box::pin(after_fault(serving, work, tries, fault, Rows::None)).await {
                        NextRun::Now => AfterTry::Try,
                        NextRun::None(fault) => {
                            return Came::Done(serving.outcome(work, Err(fault)), scope.take_journal());
                        }
                        NextRun::Later(later) => return Came::PutOff(later),
                        NextRun::Late => AfterTry::Late,
                        NextRun::Stopped => AfterTry::Stopped,
                    }
                } else {
                    let tries = tries.get_or_insert_with(|| Box::new(Tries::new()));
                    Box::pin(tries.next(serving, work, error.filter(|_| !again))).await
                }
            }
            Ended::Late => AfterTry::Late,
            Ended::Stopped => AfterTry::Stopped,
        };
        match next {
            // The calls of this try are made again, under the same uids: they go on record once.
            AfterTry::Try => {}
            AfterTry::Late => {
                let met = tries.as_deref().is_some_and(Tries::met);
                return Came::Done(serving.late(work, met), scope.take_journal());
            }
            AfterTry::Stopped => return Came::Stopped,
        }
    }
}

/// Ends the handler's transaction as the handler has ended, and says whether the server asks to run
/// it again.
async fn end(tx: &Statements, result: Result<String, Fault>) -> (Result<String, Fault>, bool) {
    let result = match result {
        Ok(result) => tx.commit().await.map(|()| result).map_err(Fault::from),
        // With a lost connection there is nothing left to roll back.
        Err(fault) if fault.is_lost() => Err(fault),
        Err(fault) => {
            tx.roll_back().await;
            Err(fault)
        }
    };
    let again = tx.wants_again() && result.is_err();
    (result, again)
}
