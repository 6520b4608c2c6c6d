//! The end of a leader that is told to stop: what the next one needs to go on.

use std::time::Duration;

use super::{Fall, Leader};
use crate::driver::{outbox::OutboxError, recovery};

/// How long the last move of the cursor may take, should the session not answer.
const LAST_MOVE: Duration = Duration::from_secs(3);
/// The same with nothing in hand: then it only spares the next leader a look at what was settled in the last second.
const IDLE_MOVE: Duration = Duration::from_millis(500);

impl Leader {
    /// True if no reply is awaited and no outcome is to be written. Messages that nobody takes are not waited for.
    pub(super) fn is_through(&self) -> bool {
        self.lanes.flying() == 0
            && self.settler.is_idle()
            && self.to_handle.is_empty()
            && self.handling.is_empty()
    }

    /// Leaves the cursor where the next leader finds everything, and the rows not read as nobody's yet.
    pub(super) async fn hand_over(mut self) -> Result<(), Fall> {
        // Nobody looks at their answers any more, and an answer that is waited for and not taken would hold up those behind
        // it on the session. What they read or wrote is in the tables, and is pending in the cursor as far as it matters.
        self.jobs.clear();
        let between = self.reader.is_between() && self.recovery.is_none();
        if between {
            let limit = if self.unsettled.len() == 0 { IDLE_MOVE } else { LAST_MOVE };
            match tokio::time::timeout(limit, self.last_move()).await {
                Ok(moved) => moved?,
                // The next leader begins at the cursor of some seconds ago.
                Err(_) => return Err(Fall::Silent),
            }
        }
        Ok(())
    }

    async fn last_move(&mut self) -> Result<(), OutboxError> {
        let until = self.reader.seen().clone();
        let (found, drawn) =
            recovery::look_back(&self.outbox, self.floor.seen(), &until, self.floor.last_below()).await?;
        for (id, _) in found {
            self.unsettled.add(id);
        }
        self.floor.looked_back(until, drawn);
        if let Some(cursor) = self.cursor(true) {
            self.outbox.move_cursor(&cursor).await?;
            let pending = cursor.pending.len();
            tracing::info!(pending, "handed over: the cursor says where to go on");
        }
        Ok(())
    }
}
