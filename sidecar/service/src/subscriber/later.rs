//! Runs that end with the wish of their handler to be asked again later.
//!
//! Such a run has no outcome. The requester is told when to send the message again, and decides
//! whether its budget suffices. Nobody sends an event again: it waits in this copy.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};
use tpro_wire::RpcError;

use super::{
    serving::{Serving, Work},
    tries::{Next, Tries},
};
use crate::handler::{Fault, cause::describe};

/// The wish of a handler.
pub(super) struct Later {
    /// Not before this time is over.
    pub(super) after: Duration,
    /// The end of the message if its budget does not suffice.
    pub(super) error: RpcError,
}

/// The rows of a run that was put off.
#[derive(Clone, Copy)]
pub(super) enum Rows {
    /// None: there is no inbox, or all was rolled back.
    None,
    /// The run that was accepted.
    Accepted,
    /// The run that was counted before it began.
    Counted,
}

/// The next step of a message whose handler wants to be asked again later.
pub(super) enum Put {
    /// Its requester is told.
    Off(Later),
    /// It is an event, and this copy runs it again now.
    Try,
    /// It is an event, and its time does not suffice: the fault is its outcome.
    End(Fault),
    /// The time of the message is over.
    Late,
    /// The process stops.
    Stopped,
}

/// Puts a message off, after its transaction was rolled back: the inbox takes the run for over
/// before the requester is told, so that every copy may run the message then.
pub(super) async fn put_off(
    serving: &Serving,
    work: &mut Work<'_>,
    tries: &mut Tries,
    fault: Fault,
    rows: Rows,
) -> Put {
    let after = fault.later().unwrap_or_default();
    if work.back.subject().is_none() {
        return wait(serving, work, fault, after).await;
    }
    let app = &serving.app;
    while !matches!(rows, Rows::None) {
        let written = serving.own.put_off(app, work.origin.uid, matches!(rows, Rows::Counted));
        let error = match timeout_at(work.origin.deadline, written).await {
            Ok(Ok(())) => break,
            Ok(Err(error)) => error,
            Err(_) => return Put::Late,
        };
        if !error.is_passing() {
            // Only this copy runs it again then, until the time of the run is over.
            tracing::error!(
                message.id = %work.origin.uid,
                "the inbox does not note that a run was put off: {}",
                describe(&error)
            );
            break;
        }
        match tries.next(serving, work, Some(describe(&error))).await {
            Next::Try => {}
            Next::Late => return Put::Late,
            Next::Stopped => return Put::Stopped,
        }
    }
    note(work, after);
    Put::Off(Later { after, error: fault.into_error() })
}

/// Lets an event wait in this copy.
async fn wait(serving: &Serving, work: &mut Work<'_>, fault: Fault, after: Duration) -> Put {
    if Instant::now() + after >= work.origin.deadline {
        return Put::End(fault);
    }
    note(work, after);
    match serving.stop.run_until_cancelled(sleep(after)).await {
        Some(()) => Put::Try,
        None => Put::Stopped,
    }
}

fn note(work: &mut Work<'_>, after: Duration) {
    work.counts.later.inc();
    let ms = i64::try_from(after.as_millis()).unwrap_or(i64::MAX);
    work.span.set("tpro.retry_after_ms", ms);
}
