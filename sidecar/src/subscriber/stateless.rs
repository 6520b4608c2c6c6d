//! The way without an inbox: a message runs as often as it comes.

use tpro_wire::ReplyState;

use super::serving::{Serving, Work};
use crate::handler::{
    Ctx, Fault, Statements,
    method::Erased,
    run::{Ended, run},
};

/// Serves a message: also one for a handler of the default way, if its sender gave it no uid to tell a repeat by.
pub(super) async fn serve(serving: &Serving, mut work: Work<'_>, handler: &Erased<Ctx, String>) {
    let scope = work.scope(serving);
    let running = async { handler(Ctx::new(scope.clone()), work.params).await };
    let ended = run(running, work.origin.deadline, &serving.stop).await;
    let outcome = match ended {
        Ended::Done(mut result) => {
            if let Some(tx) = scope.take_tx() {
                result = Box::pin(end(&tx, result)).await;
            }
            serving.outcome(&mut work, result)
        }
        Ended::Late => serving.late(&mut work),
        Ended::Stopped => {
            serving.stopped(&mut work);
            return serving.headers.state(&serving.app, &work.back, ReplyState::Overloaded).await;
        }
    };
    let journal = scope.take_journal();
    if !journal.is_empty() {
        Box::pin(serving.inbox.record(journal)).await;
    }
    serving.headers.answer(&serving.app, &work.back, &outcome).await;
    work.observe();
}

/// Ends the handler's transaction as the handler has ended.
async fn end(tx: &Statements, result: Result<String, Fault>) -> Result<String, Fault> {
    match result {
        Ok(result) => {
            tx.commit().await?;
            Ok(result)
        }
        Err(fault) => {
            tx.roll_back().await;
            Err(fault)
        }
    }
}
