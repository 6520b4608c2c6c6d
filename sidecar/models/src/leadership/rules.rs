//! What a copy may do, what a reply handler's transaction comes to, and what can be counted on.

use super::{Action, Leadership, Outcome, Process, Stage, State, Task, Uid, Variant};
use crate::reach::can_reach;

impl Leadership {
    pub(super) fn may_settle(&self, answered: Uid, in_flight: Uid) -> bool {
        self.variant == Variant::IdentityById || in_flight == answered
    }

    /// What is to be inserted on a pool connection, and what comes after.
    pub(super) fn insert(&self, state: &mut State, who: usize) -> Option<()> {
        let mut task = state.copies[who].task?;
        let led = state.has_lock(who, task.term);
        let is_the_row = task.uid == state.row || self.variant == Variant::PoolWithoutUid;
        if state.conflicts(self.variant) || !is_the_row {
            state.copies[who].task = None;
            return Some(());
        }
        let unchecked =
            matches!(self.variant, Variant::WritesOutsideItsSession | Variant::DeposedSettlesTimeout);
        task.stage = match (task.outcome, task.stage) {
            (Outcome::Timeout, Stage::Held) if !unchecked => Stage::Inserted { led },
            _ => Stage::Sure { led },
        };
        state.copies[who].task = Some(task);
        Some(())
    }

    pub(super) fn check(&self, state: &mut State, who: usize) -> Option<()> {
        let task = state.copies[who].task?;
        let stage = match task.stage {
            Stage::Inserted { led } => Stage::Sure { led },
            _ => Stage::Checked,
        };
        let leads = match self.variant {
            Variant::ChecksTheCopy => state.lock.is_some_and(|(holder, _)| holder == who),
            _ => state.has_lock(who, task.term),
        };
        state.copies[who].task = leads.then_some(Task { stage, ..task });
        Some(())
    }

    pub(super) fn copy_actions(&self, state: &State, who: usize, actions: &mut Vec<Action>) {
        let copy = &state.copies[who];
        if let Some(term) = copy.leads {
            if copy.in_flight.is_some() {
                // Timers and the connection to NATS do not know of the lock.
                if state.sends > 0 && self.variant != Variant::SendsOnce {
                    actions.push(Action::SendAgain(who));
                }
                if copy.task.is_none() {
                    actions.push(Action::GiveUp(who));
                    actions.extend((0..state.on_the_way.len()).map(|at| Action::Arrive(who, at)));
                }
            }
            if !state.has_lock(who, term) {
                actions.push(Action::Notice(who));
            } else if copy.in_flight.is_none()
                && state.replies.is_empty()
                && state.sends > 0
                && copy.task.is_none_or(|task| task.term != term)
            {
                actions.push(Action::Send(who));
            }
        } else if state.lock.is_none() {
            actions.push(Action::Lead(who));
        }
        let Some(task) = copy.task else { return };
        let check_first = self.variant == Variant::CheckThenInsert && task.outcome == Outcome::Timeout;
        match task.stage {
            Stage::Held => {
                if !state.waits(self.variant) {
                    if state.has_lock(who, task.term) {
                        actions.push(Action::Settle(who));
                    }
                    if !check_first {
                        actions.push(Action::Insert(who));
                    }
                }
                if check_first {
                    actions.push(Action::Check(who));
                }
            }
            Stage::Checked if state.waits(self.variant) => {}
            Stage::Checked => actions.push(Action::Insert(who)),
            Stage::Inserted { .. } => actions.push(Action::Check(who)),
            Stage::Sure { .. } => actions.push(Action::Commit(who)),
        }
    }

    /// Whether somebody can be counted on to do it, once nothing breaks any more.
    fn is_honest(state: &State, action: &Action) -> bool {
        match action {
            Action::LoseRequest(_)
            | Action::LoseReply(_)
            // It settles the row as well, and would hide that nothing else can.
            | Action::GiveUp(_)
            | Action::Crash(_)
            | Action::Freeze(_)
            | Action::Failover { .. }
            | Action::Forge => false,
            // A frozen copy may stay so, as long as there is another.
            Action::Thaw(_) => state.copies.iter().all(|copy| copy.process == Process::Frozen),
            _ => true,
        }
    }

    pub(super) fn can_settle(&self, state: &State) -> bool {
        if !state.replies.is_empty() {
            return true;
        }
        let calm = State { faults: 0, losses: 0, failovers: 0, forgeries: 0, sends: 2, ..state.clone() };
        can_reach(self, calm, Self::is_honest, |state| !state.replies.is_empty())
    }
}
