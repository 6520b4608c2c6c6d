//! The inbox: one recorded outcome for a message, and one effect where that is promised.
//!
//! One message that is delivered several times, in any order, to two copies that may crash at every line.

use stateright::{Model, Property};

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
    /// Transactional, but the inbox row has a transaction of its own, after the handler's.
    InboxOutsideTransaction,
}

/// The model: deliveries and crashes.
#[derive(Clone, Debug)]
pub struct Inbox {
    /// How often the message may be delivered.
    pub deliveries: u8,
    /// How many crashes (or losses of a copy's presence) may happen.
    pub faults: u8,
    /// What is checked.
    pub variant: Variant,
}

/// What a copy does with the delivery it took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Copy {
    /// Nothing.
    Idle,
    /// Took a delivery, looked at nothing yet.
    Taken,
    /// Accepted as this run; the handler runs. Transactional: the transaction is open.
    Running {
        /// The run's number.
        run: u8,
    },
    /// The handler has had its effect (transactional: not committed), its outcome is not written.
    Effected {
        /// The run's number.
        run: u8,
    },
    /// The outcome is committed, the answer not sent.
    Answering {
        /// What will be answered: the run whose outcome won.
        answer: u8,
    },
}

/// One state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    copies: [Copy; 2],
    /// Whether the copy's presence lock is held.
    present: [bool; 2],
    deliveries: u8,
    faults: u8,
    /// The last run that was accepted, and by whom; nobody, when that process is dead.
    accepted: Option<(u8, Option<usize>)>,
    /// The recorded outcome, by the run that made it.
    outcome: Option<u8>,
    effects: u8,
    /// What was answered.
    answers: Vec<u8>,
    /// Requests that got "working on it", or nothing as their copy died: the requester sends again.
    unanswered: u8,
}

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// A copy takes a delivery.
    Take(usize),
    /// It looks into the inbox and decides.
    Decide(usize),
    /// The handler has its effect.
    Effect(usize),
    /// The outcome is written.
    Record(usize),
    /// The answer is sent.
    Answer(usize),
    /// The copy dies, and another process starts in its place.
    Crash(usize),
    /// The copy loses the session that holds its presence, and goes on.
    LosePresence(usize),
}

impl Inbox {
    fn transactional(&self) -> bool {
        matches!(self.variant, Variant::Transactional | Variant::InboxOutsideTransaction)
    }

    fn open_elsewhere(&self, state: &State, who: usize) -> bool {
        matches!(state.copies[1 - who], Copy::Running { .. } | Copy::Effected { .. })
    }

    fn decide(&self, state: &mut State, who: usize) {
        if let Some(answer) = state.outcome {
            state.copies[who] = Copy::Answering { answer };
            return;
        }
        let run = match self.variant {
            Variant::Stateless | Variant::InboxOutsideTransaction => 1,
            Variant::Transactional => {
                if self.open_elsewhere(state, who) {
                    // The unique index makes it wait for the open transaction, and lock_timeout ends that.
                    return self.refuse(state, who);
                }
                1
            }
            Variant::Default | Variant::AcceptedMeansDuplicate => match state.accepted {
                None => 1,
                Some(_) if self.variant == Variant::AcceptedMeansDuplicate => return self.refuse(state, who),
                Some((_, Some(owner)))
                    if owner != who && state.present[owner] && self.open_elsewhere(state, who) =>
                {
                    return self.refuse(state, who);
                }
                Some((run, _)) => run + 1,
            },
        };
        if matches!(self.variant, Variant::Default | Variant::AcceptedMeansDuplicate) {
            state.accepted = Some((run, Some(who)));
        }
        state.copies[who] = Copy::Running { run };
    }

    fn refuse(&self, state: &mut State, who: usize) {
        state.unanswered += 1;
        state.copies[who] = Copy::Idle;
    }

    fn record(&self, state: &mut State, who: usize, run: u8) {
        if self.variant == Variant::Transactional {
            state.effects += 1;
        }
        // ON CONFLICT DO NOTHING: the first outcome wins, the loser answers with the winner's.
        let answer = if self.variant == Variant::Stateless { run } else { *state.outcome.get_or_insert(run) };
        state.copies[who] = Copy::Answering { answer };
    }
}

impl Model for Inbox {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            copies: [Copy::Idle; 2],
            present: [true; 2],
            deliveries: self.deliveries,
            faults: self.faults,
            accepted: None,
            outcome: None,
            effects: 0,
            answers: Vec::new(),
            unanswered: 0,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for (who, copy) in state.copies.iter().enumerate() {
            match copy {
                Copy::Idle if state.deliveries > 0 => actions.push(Action::Take(who)),
                Copy::Idle => {}
                Copy::Taken => actions.push(Action::Decide(who)),
                Copy::Running { .. } => actions.push(Action::Effect(who)),
                Copy::Effected { .. } => actions.push(Action::Record(who)),
                Copy::Answering { .. } => actions.push(Action::Answer(who)),
            }
            if state.faults > 0 {
                if *copy != Copy::Idle {
                    actions.push(Action::Crash(who));
                }
                if state.present[who] {
                    actions.push(Action::LosePresence(who));
                }
            }
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Take(who) => {
                state.deliveries -= 1;
                state.copies[who] = Copy::Taken;
            }
            Action::Decide(who) => self.decide(&mut state, who),
            Action::Effect(who) => {
                let Copy::Running { run } = state.copies[who] else { return None };
                // In the transaction it counts when that commits; otherwise it has happened.
                if self.variant != Variant::Transactional {
                    state.effects += 1;
                }
                state.copies[who] = Copy::Effected { run };
            }
            Action::Record(who) => {
                let Copy::Effected { run } = state.copies[who] else { return None };
                self.record(&mut state, who, run);
            }
            Action::Answer(who) => {
                let Copy::Answering { answer } = state.copies[who] else { return None };
                state.answers.push(answer);
                state.answers.sort_unstable();
                state.copies[who] = Copy::Idle;
            }
            Action::Crash(who) => {
                state.faults -= 1;
                state.unanswered += 1;
                state.copies[who] = Copy::Idle;
                // A new process has a new key: what the dead one accepted has no living owner.
                if let Some((run, owner)) = state.accepted
                    && owner == Some(who)
                {
                    state.accepted = Some((run, None));
                }
                state.present[who] = true;
            }
            Action::LosePresence(who) => {
                state.faults -= 1;
                state.present[who] = false;
            }
        }
        Some(state)
    }

    fn within_boundary(&self, state: &State) -> bool {
        state.accepted.is_none_or(|(run, _)| run <= 5)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("every answer is the recorded outcome", |model: &Inbox, state: &State| {
                model.variant == Variant::Stateless
                    || state.answers.iter().all(|answer| state.outcome == Some(*answer))
            }),
            Property::always("a transactional handler has one effect", |model: &Inbox, state: &State| {
                !model.transactional() || state.effects <= 1
            }),
            Property::always(
                "one more delivery after the faults is answered",
                |model: &Inbox, state: &State| {
                    let quiet = state.deliveries == 0 && state.copies == [Copy::Idle; 2];
                    if !quiet || !state.answers.is_empty() {
                        return true;
                    }
                    let mut after = State { deliveries: 1, faults: 0, ..state.clone() };
                    for step in [
                        Action::Take(0),
                        Action::Decide(0),
                        Action::Effect(0),
                        Action::Record(0),
                        Action::Answer(0),
                    ] {
                        match model.next_state(&after, step) {
                            Some(next) => after = next,
                            // A stored outcome is answered without a run.
                            None => continue,
                        }
                    }
                    !after.answers.is_empty()
                },
            ),
            Property::sometimes("a message is answered", |_, state: &State| !state.answers.is_empty()),
        ]
    }
}
