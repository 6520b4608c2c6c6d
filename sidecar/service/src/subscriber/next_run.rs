//! The next run of a message whose handler has ended with a fault.
//!
//! A handler may want to be asked again later. That run has no outcome: the requester is told when
//! to send the message again, and decides whether its budget suffices. Nobody sends an event again,
//! so it waits in this copy. A method may also have retries after an internal error; these are made
//! in this copy, too.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::{
    later::Later,
    serving::Serving,
    tries::{AfterTry, Tries},
    work::Work,
};
use crate::handler::{
    Fault,
    cause::{describe, describe_fault},
};

/// The rows of the run that has ended.
#[derive(Clone, Copy)]
pub(super) enum Rows {
    /// None: there is no inbox, or all was rolled back.
    None,
    /// The run that was accepted.
    Accepted,
    /// The run that was counted before it began.
    Counted,
}

/// The next run of a message.
pub(super) enum NextRun {
    /// Here and now.
    Now,
    /// None: the fault is the outcome.
    None(Fault),
    /// Later, when the requester has sent the message again. It is told.
    Later(Later),
    /// None, since the time of the message is over.
    Late,
    /// Elsewhere, since the process stops.
    Stopped,
}

/// True if a fault may lead to a next run, so that the handler's transaction is to be rolled back
/// first.
pub(super) fn may_follow(work: &Work<'_>, fault: &Fault) -> bool {
    fault.later().is_some() || (fault.cause().is_some() && work.retries.is_some())
}

/// Decides about the next run after a fault, and waits for it if it is to be here. The handler's
/// transaction is rolled back.
pub(super) async fn after_fault(
    serving: &Serving,
    work: &mut Work<'_>,
    tries: &mut Tries,
    fault: Fault,
    rows: Rows,
) -> NextRun {
    if let Some(after) = fault.later() {
        if work.back.subject().is_some() {
            return put_off(serving, work, tries, Later { after, error: fault.into_error() }, rows).await;
        }
        let next = wait(serving, work, fault, after).await;
        if matches!(next, NextRun::Now) {
            note(work, after);
        }
        return next;
    }
    let pause = if fault.cause().is_some() { work.next_retry() } else { None };
    let Some(pause) = pause else { return NextRun::None(fault) };
    let error = describe_fault(&fault);
    let next = wait(serving, work, fault, pause).await;
    if matches!(next, NextRun::Now) {
        work.counts.again();
        work.span.event("again", Vec::new());
        tracing::warn!(
            message.id = %work.origin.uid,
            trace.id = %work.span.context().trace_id_hex(),
            tpro.target = %work.origin.target,
            "the handler failed and runs again, as its method says: {error}"
        );
    }
    next
}

/// The inbox takes the run for over before the requester is told, so that every copy may run the
/// message then.
async fn put_off(
    serving: &Serving,
    work: &mut Work<'_>,
    tries: &mut Tries,
    later: Later,
    rows: Rows,
) -> NextRun {
    match written(serving, work, tries, rows).await {
        Some(ended) => ended,
        None => {
            note(work, later.after);
            NextRun::Later(later)
        }
    }
}

/// Writes that the run was put off, where the inbox has rows. Returns the end of it all if the time
/// does not suffice.
async fn written(serving: &Serving, work: &mut Work<'_>, tries: &mut Tries, rows: Rows) -> Option<NextRun> {
    let is_counted = match rows {
        Rows::None => return None,
        rows => matches!(rows, Rows::Counted),
    };
    loop {
        let written = serving.own.put_off(&serving.app, work.priority(), work.origin.uid, is_counted);
        let error = match timeout_at(work.origin.deadline, written).await {
            Ok(Ok(())) => return None,
            Ok(Err(error)) => error,
            Err(_) => return Some(NextRun::Late),
        };
        if !error.is_passing() {
            // Only this copy runs it again then, until the time of the run is over.
            tracing::error!(
                message.id = %work.origin.uid,
                "the inbox does not note that a run was put off: {}",
                describe(&error)
            );
            return None;
        }
        match tries.next(serving, work, Some(describe(&error))).await {
            AfterTry::Try => {}
            AfterTry::Late => return Some(NextRun::Late),
            AfterTry::Stopped => return Some(NextRun::Stopped),
        }
    }
}

/// Waits in this copy. If the time of the message does not suffice, the fault is the outcome.
async fn wait(serving: &Serving, work: &Work<'_>, fault: Fault, pause: Duration) -> NextRun {
    if Instant::now() + pause >= work.origin.deadline {
        return NextRun::None(fault);
    }
    match serving.stop.run_until_cancelled(sleep(pause)).await {
        Some(()) => NextRun::Now,
        None => NextRun::Stopped,
    }
}

/// A run was put off.
fn note(work: &mut Work<'_>, after: Duration) {
    work.counts.later.inc();
    let ms = i64::try_from(after.as_millis()).unwrap_or(i64::MAX);
    work.span.set("tpro.retry_after_ms", ms);
}
