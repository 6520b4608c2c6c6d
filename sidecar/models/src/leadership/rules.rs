//! The steps of a copy, those of a reply handler's transaction, and those that can be counted on.

use tpro_service::handler::settling::{Ending, Settling};

use super::{Action, Leadership, Outcome, Process, State, Uid, Variant};
use crate::reach::Reached;

static REACHED: Reached<Variant, State> = Reached::new();

impl Leadership {
    pub(super) fn may_settle(&self, answered: Uid, in_flight: Uid) -> bool {
        self.variant == Variant::IdentityById || in_flight == answered
    }

    /// The INSERT on a connection of the pool.
    pub(super) fn insert(&self, state: &mut State, who: usize) -> Option<()> {
        let mut task = state.copies[who].task?;
        let is_the_row = task.uid == state.row || self.variant == Variant::PoolWithoutUid;
        task.settling = task.settling.inserted(is_the_row && !state.conflicts(self.variant));
        task.led = state.has_lock(who, task.term);
        state.copies[who].task = (task.settling != Settling::End(Ending::Settled)).then_some(task);
        Some(())
    }

    /// The look at the leader's lock.
    pub(super) fn check(&self, state: &mut State, who: usize) -> Option<()> {
        let mut task = state.copies[who].task?;
        let leads = match self.variant {
            Variant::ChecksTheCopy => state.lock.is_some_and(|(holder, _)| holder == who),
            _ => state.has_lock(who, task.term),
        };
        match task.settling {
            Settling::AskLeader => task.settling = task.settling.asked(leads),
            _ => task.checked = leads,
        }
        let goes_on = task.checked || task.settling == Settling::End(Ending::Commit);
        state.copies[who].task = goes_on.then_some(task);
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
        match task.settling {
            Settling::Insert { .. } if !task.checked => {
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
            Settling::Insert { .. } if state.waits(self.variant) => {}
            Settling::Insert { .. } => actions.push(Action::Insert(who)),
            Settling::AskLeader => actions.push(Action::Check(who)),
            Settling::End(_) => actions.push(Action::Commit(who)),
        }
    }

    /// True if somebody can be counted on to do it, once nothing breaks any more.
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
        // Without what nothing more depends on.
        let (leaders, reply_lost) = (0, false);
        let calm = State {
            leaders,
            reply_lost,
            faults: 0,
            losses: 0,
            failovers: 0,
            forgeries: 0,
            sends: 2,
            ..state.clone()
        };
        REACHED.can_reach(self, self.variant, calm, Self::is_honest, |state| !state.replies.is_empty())
    }
}
