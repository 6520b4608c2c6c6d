//! The tries of one delivery, for handlers that meet a passing error of the database.
//!
//! A passing error is no outcome. The handler runs again in this copy, within the budget of the
//! message, and nothing is said on the wire: the requester goes on waiting, in any release, and a
//! repeat of it joins. So it works for messages that nobody would send again (events, strangers),
//! and a try costs the message none of the runs that tell a poison message, since the copy has
//! accepted it once.

use tokio::time::{Duration, Instant, sleep};
use tpro_runtime::backoff::Backoff;

use super::{serving::Serving, work::Work};

/// Pauses between tries.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// The tries of one delivery so far.
pub(super) struct Tries {
    backoff: Backoff,
    /// True if an error of the database was met.
    met: bool,
}

/// The next step.
pub(super) enum AfterTry {
    /// Another try.
    Try,
    /// The message's time is over.
    Late,
    /// The process stops; another copy does it.
    Stopped,
}

impl Tries {
    pub(super) fn new() -> Self {
        Self { backoff: Backoff::new(FIRST_PAUSE, LONGEST_PAUSE), met: false }
    }

    /// True if an error of the database was met, also in a try long ago.
    pub(super) fn met(&self) -> bool {
        self.met
    }

    /// Waits before the next try. `error` is the error that was met; none if the server has asked
    /// for another try.
    pub(super) async fn next(
        &mut self,
        serving: &Serving,
        work: &mut Work<'_>,
        error: Option<String>,
    ) -> AfterTry {
        work.span.event("again", Vec::new());
        work.counts.again();
        let stop = &serving.app.stop;
        // A message that is asked again elsewhere does not wait for our database while we stop.
        let mut leaves = false;
        if let Some(error) = error {
            leaves = work.back.subject().is_some();
            if !std::mem::replace(&mut self.met, true) {
                // Once for each message: a restart meets all that are at work, again and again.
                tracing::warn!(
                    message.id = %work.origin.uid,
                    trace.id = %work.span.context().trace_id_hex(),
                    tpro.target = %work.origin.target,
                    "the database failed a handler, which runs again within its budget: {error}"
                );
            }
        }
        let pause = self.backoff.next_pause();
        if serving.stop.is_cancelled() {
            return AfterTry::Stopped;
        }
        if Instant::now() + pause >= work.origin.deadline {
            return AfterTry::Late;
        }
        tokio::select! {
            () = sleep(pause) => AfterTry::Try,
            () = serving.stop.cancelled() => AfterTry::Stopped,
            () = stop.soft.cancelled(), if leaves => AfterTry::Stopped,
        }
    }
}
