//! The inbox: one recorded outcome for a message, and one effect where that is promised.
//!
//! One message whose attempts are delivered in any order, to two copies that may crash, freeze and lose sessions at
//! every line. What a copy really does, nobody else can know: a repeat is judged by what the database shows, which is
//! whether the owner of the last run holds its instance lock, and whether that run's deadline is over. A copy that is
//! frozen holds its lock; one that is at work may have lost it; one that is dead may seem to hold it for a while.

mod state;

use stateright::{Model, Property};

pub use self::state::{Copy, Doing, Owner, State};
use crate::reach::can_reach;

/// Runs of one message at most; then it is answered with an error.
const RUNS: u8 = 3;

/// How the handler was registered, or the simpler form that is to be refuted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// Inbox row, effect and outcome in one transaction.
    Transactional,
    /// Accepts and outcomes written apart from the handler's effects.
    Default,
    /// No inbox.
    Stateless,
    /// Default, but whatever was accepted counts as a duplicate.
    AcceptedMeansDuplicate,
    /// Default, but the table of outcomes has no primary key.
    WithoutOutcomeKey,
    /// Default, but an owner that is present counts as at work for ever.
    WithoutDeadline,
    /// Transactional, but the inbox row has a transaction of its own, after the handler's.
    InboxOutsideTransaction,
    /// Transactional, but the inbox has no primary key.
    WithoutInboxKey,
    /// Transactional, but the server does not end the transaction of a copy that is frozen.
    WithoutIdleTimeout,
}

/// The model: attempts and faults.
#[derive(Clone, Debug)]
pub struct Inbox {
    /// How often the message is sent.
    pub attempts: u8,
    /// How many crashes, freezes and losses of a session may happen.
    pub faults: u8,
    /// What is checked.
    pub variant: Variant,
}

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// A copy takes an attempt; if it is at work on the message, that joins.
    Take(usize, usize),
    /// It writes that it has accepted the message.
    Accept(usize),
    /// It looks at what is known and decides.
    Look(usize),
    /// The handler has its effect.
    Effect(usize),
    /// The outcome is written.
    Record(usize),
    /// The answer is sent.
    Answer(usize),
    /// The handler's time is over, and the copy stops it.
    Stop(usize),
    /// It learns that its transaction was ended.
    LearnUndone(usize),
    /// The last run's deadline passes.
    Expire,
    /// The copy dies, and another process starts in its place.
    Crash(usize),
    /// The server learns that the dead process is gone.
    EndGhost,
    /// SIGSTOP.
    Freeze(usize),
    /// SIGCONT.
    Thaw(usize),
    /// The server ends the open transaction of a copy that says nothing.
    EndIdle(usize),
    /// The copy loses the session that holds its presence, and goes on.
    LosePresence(usize),
    /// It has a session again.
    Appear(usize),
}

impl Inbox {
    /// The handler's effects commit with the inbox.
    fn one_transaction(&self) -> bool {
        matches!(
            self.variant,
            Variant::Transactional | Variant::WithoutInboxKey | Variant::WithoutIdleTimeout
        )
    }

    fn one_effect(&self) -> bool {
        self.one_transaction() || self.variant == Variant::InboxOutsideTransaction
    }

    fn accept(&self, state: &mut State, who: usize) -> Option<()> {
        let Doing::Accepting { run } = state.copies[who].doing else { return None };
        let doing = match self.variant {
            Variant::Stateless | Variant::WithoutInboxKey => Doing::Running { run },
            // The key makes it wait for the open transaction, and lock_timeout ends that.
            Variant::Transactional | Variant::WithoutIdleTimeout if state.has_open_transaction(1 - who) => {
                state.leave_unanswered(who);
                return Some(());
            }
            Variant::Transactional | Variant::WithoutIdleTimeout | Variant::InboxOutsideTransaction => {
                if state.outcomes.is_empty() {
                    Doing::Running { run }
                } else {
                    Doing::Looking
                }
            }
            _ if run <= state.runs => Doing::Looking,
            _ => {
                (state.runs, state.owner, state.late) = (run, Owner::Copy(who), false);
                Doing::Running { run }
            }
        };
        state.copies[who].doing = doing;
        Some(())
    }

    fn look(&self, state: &mut State, who: usize) {
        let doing = match state.outcomes.first() {
            Some(answer) => Doing::Answering { answer: *answer },
            None if self.variant == Variant::AcceptedMeansDuplicate
                || state.seems_at_work(who, self.variant) =>
            {
                return state.leave_unanswered(who);
            }
            // It is not run again, and its outcome is an error.
            None if state.runs >= RUNS => Doing::Finishing { run: state.runs + 1 },
            None => Doing::Accepting { run: state.runs + 1 },
        };
        state.copies[who].doing = doing;
    }

    /// Whether somebody can be counted on to do it, once nothing breaks any more.
    fn is_honest(state: &State, action: &Action) -> bool {
        match action {
            Action::Crash(_) | Action::Freeze(_) | Action::LosePresence(_) | Action::Stop(_) => false,
            // A frozen copy may stay so, as long as there is another.
            Action::Thaw(_) => state.copies.iter().all(|copy| copy.frozen),
            _ => true,
        }
    }

    /// Whether the requester, who sends again, can get an answer.
    fn can_answer(&self, state: &State) -> bool {
        const FRESH: u8 = 100;
        let calm = State { faults: 0, on_the_way: vec![FRESH, FRESH + 1], ..state.clone() };
        can_reach(self, calm, Self::is_honest, |state| {
            state.answers.iter().any(|(attempt, _)| *attempt >= FRESH)
        })
    }
}

impl Model for Inbox {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let copy = Copy { frozen: false, present: true, doing: Doing::Nothing, attempts: Vec::new() };
        vec![State {
            copies: [copy.clone(), copy],
            on_the_way: (1..=self.attempts).collect(),
            faults: self.faults,
            runs: 0,
            owner: Owner::Nobody,
            late: false,
            outcomes: Vec::new(),
            effects: 0,
            answers: Vec::new(),
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for (who, copy) in state.copies.iter().enumerate() {
            let owns = state.owner == Owner::Copy(who);
            if state.faults > 0 && (owns || copy.doing != Doing::Nothing) {
                actions.push(Action::Crash(who));
                if copy.present {
                    actions.push(Action::LosePresence(who));
                }
                if !copy.frozen {
                    actions.push(Action::Freeze(who));
                }
            }
            if copy.frozen {
                actions.push(Action::Thaw(who));
                let ends = self.one_transaction() && self.variant != Variant::WithoutIdleTimeout;
                if ends && state.has_open_transaction(who) {
                    actions.push(Action::EndIdle(who));
                }
                continue;
            }
            if !copy.present {
                actions.push(Action::Appear(who));
            }
            match copy.doing {
                Doing::Nothing => {}
                Doing::Accepting { .. } => actions.push(Action::Accept(who)),
                Doing::Looking => actions.push(Action::Look(who)),
                Doing::Running { .. } => {
                    actions.push(Action::Effect(who));
                    if !owns || state.late {
                        actions.push(Action::Stop(who));
                    }
                }
                Doing::Finishing { .. } => actions.push(Action::Record(who)),
                Doing::Undone => actions.push(Action::LearnUndone(who)),
                Doing::Answering { .. } => actions.push(Action::Answer(who)),
            }
            if !matches!(copy.doing, Doing::Answering { .. }) {
                actions.extend((0..state.on_the_way.len()).map(|at| Action::Take(who, at)));
            }
        }
        if state.owner == Owner::Ghost {
            actions.push(Action::EndGhost);
        }
        if state.owner != Owner::Nobody && !state.late && state.outcomes.is_empty() {
            actions.push(Action::Expire);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Take(who, at) => {
                let attempt = state.on_the_way.remove(at);
                state.copies[who].attempts.push(attempt);
                state.copies[who].attempts.sort_unstable();
                if state.copies[who].doing == Doing::Nothing {
                    state.copies[who].doing = Doing::Accepting { run: 1 };
                }
            }
            Action::Accept(who) => self.accept(&mut state, who)?,
            Action::Look(who) => self.look(&mut state, who),
            Action::Effect(who) => {
                let Doing::Running { run } = state.copies[who].doing else { return None };
                // In the transaction it counts when that commits; otherwise it has happened.
                if !self.one_transaction() {
                    state.effects = (state.effects + 1).min(2);
                }
                state.copies[who].doing = match self.variant {
                    Variant::Stateless => Doing::Answering { answer: run },
                    _ => Doing::Finishing { run },
                };
            }
            Action::Record(who) => {
                let Doing::Finishing { run } = state.copies[who].doing else { return None };
                if self.one_transaction() {
                    state.effects = (state.effects + 1).min(2);
                }
                let has_key = !matches!(self.variant, Variant::WithoutOutcomeKey | Variant::WithoutInboxKey);
                let answer = state.record(run, has_key);
                state.copies[who].doing = Doing::Answering { answer };
            }
            Action::Answer(who) => {
                let Doing::Answering { answer } = state.copies[who].doing else { return None };
                let answered = std::mem::take(&mut state.copies[who].attempts);
                state.answers.extend(answered.into_iter().map(|attempt| (attempt, answer)));
                state.answers.sort_unstable();
                state.copies[who].doing = Doing::Nothing;
            }
            Action::Stop(who) | Action::LearnUndone(who) => state.leave_unanswered(who),
            Action::Expire => state.late = true,
            Action::Crash(who) => {
                state.faults -= 1;
                if state.owner == Owner::Copy(who) {
                    state.owner = if state.copies[who].present { Owner::Ghost } else { Owner::Dead };
                }
                // A new process has a new key, and a lock of its own.
                state.leave_unanswered(who);
                (state.copies[who].present, state.copies[who].frozen) = (true, false);
            }
            Action::EndGhost => state.owner = Owner::Dead,
            Action::Freeze(who) => {
                state.faults -= 1;
                state.copies[who].frozen = true;
            }
            Action::Thaw(who) => state.copies[who].frozen = false,
            Action::EndIdle(who) => state.copies[who].doing = Doing::Undone,
            Action::LosePresence(who) => {
                state.faults -= 1;
                state.copies[who].present = false;
            }
            Action::Appear(who) => state.copies[who].present = true,
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always("a message has one recorded outcome", |_, state: &State| {
                state.outcomes.len() <= 1
            }),
            Property::always("every answer is the recorded outcome", |model: &Inbox, state: &State| {
                model.variant == Variant::Stateless
                    || state.answers.iter().all(|(_, answer)| state.outcomes.first() == Some(answer))
            }),
            Property::always("a transactional handler has one effect", |model: &Inbox, state: &State| {
                !model.one_effect() || state.effects <= 1
            }),
            Property::always(
                "one more delivery is answered once nothing breaks any more",
                |model: &Inbox, state: &State| model.can_answer(state),
            ),
            Property::sometimes("a later attempt is answered before an earlier one", |_, state: &State| {
                state.on_the_way.contains(&1) && state.answers.iter().any(|(attempt, _)| *attempt == 2)
            }),
        ];
        if self.variant == Variant::Default {
            properties.push(Property::sometimes(
                "an earlier run ends after a later one's outcome",
                |_, state: &State| {
                    let earlier = |doing| matches!(doing, Doing::Finishing { run } if Some(&run) < state.outcomes.first());
                    state.copies.iter().any(|copy| earlier(copy.doing))
                },
            ));
        }
        properties
    }
}
