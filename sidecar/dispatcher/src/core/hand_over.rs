//! The end of a leader that is told to stop: the next one finds what it needs to go on.

use std::time::Duration;

use super::{Action, Core, Done, End, Input, LAST_REPLIES, State, Statement};

/// The longest time for the last move of the cursor, should the session not answer.
const LAST_MOVE: Duration = Duration::from_secs(3);
/// The limit with nothing in hand: then the move only spares the next leader a look at what was
/// settled in the last second.
const IDLE_MOVE: Duration = Duration::from_millis(500);

impl Core {
    /// It is told to stop.
    pub(super) fn on_stop(&mut self) {
        if self.state == State::Leading {
            self.state = State::Stopping { until: self.now + LAST_REPLIES };
        }
    }

    /// True if no reply is awaited, and no outcome is to be written or published. Messages that
    /// nobody takes are not waited for.
    pub(super) fn is_through(&self) -> bool {
        self.lanes.flying() == 0 && self.settling.is_idle() && self.forwarding.is_idle()
    }

    /// Leaves the cursor where the next leader finds everything, and the rows not read as nobody's
    /// yet.
    pub(super) fn hand_over(&mut self) {
        // Nobody looks at their answers any more, and an answer that is waited for and not taken
        // would hold up those behind it on the session. What they read or wrote is in the tables,
        // and is pending in the cursor as far as it matters.
        self.actions.retain(|action| matches!(action, Action::Show(_)));
        self.pulse.abandon();
        if !self.may_move() {
            return self.end(End::Stopped);
        }
        self.actions.push_back(Action::Abandon);
        let limit = if self.schedule.unsettled().is_empty() { IDLE_MOVE } else { LAST_MOVE };
        self.state = State::HandingOver { until: self.now + limit };
        self.look_back(true);
    }

    /// Something has happened while it hands over. Only the statements of that matter.
    pub(super) fn on_last_input(&mut self, input: Input<'_>) {
        let Input::Done(done) = input else { return };
        self.pulse.answers(self.now);
        match done {
            Done::LookedBack { until, found, owed, drawn, .. } => {
                for id in found.into_iter().map(|row| row.id).chain(owed) {
                    self.schedule.read(id);
                }
                self.reading.looked_back(until, Some(drawn), self.now);
                match self.cursor(true) {
                    Some(cursor) => self.run(Statement::MoveCursor(cursor)),
                    None => self.end(End::Stopped),
                }
            }
            Done::Moved => {
                let pending = self.schedule.unsettled().len();
                tracing::info!(pending, "handed over: the cursor says where to go on");
                self.end(End::Stopped);
            }
            _ => {}
        }
    }
}
