//! The inbox: one recorded outcome for a message, and one effect where that is promised.
//!
//! One message whose attempts are delivered in any order, to two copies that may crash, freeze and
//! lose sessions at every line, and a forger who has learned the uid. The copies decide by the code
//! of the product: [`Bid`], [`meet`] and the counts of a run limit. The model supplies PostgreSQL
//! (keys, open transactions, locks, deadlines) and NATS.
//!
//! A copy cannot know the doings of another: a repeat is judged by what the database shows, which
//! is whether the owner of the last run holds its lock, and whether that run's deadline has passed.
//! A copy that is frozen holds its lock; one that is at work may have lost it; one that is dead may
//! seem to hold it for a while.
//!
//! [`Bid`]: tpro_service::inbox::verdict::Bid
//! [`meet`]: tpro_service::inbox::verdict::meet

mod action;
mod asker;
mod decide;
mod state;
mod variant;

use stateright::{Model, Property};

use self::state::Turn;
pub use self::{
    action::Action,
    asker::Asker,
    state::{Copy, Delivery, Doing, Made, Owner, State},
    variant::Variant,
};
use crate::reach::Reached;

static REACHED: Reached<Variant, State> = Reached::new();

/// Runs of one message at most; then it is answered with an error.
const RUNS: u8 = 2;

/// The model: deliveries and faults.
#[derive(Clone, Debug)]
pub struct Inbox {
    /// Attempts of the sender.
    pub attempts: u8,
    /// Deliveries of the forger.
    pub forgeries: u8,
    /// Crashes, freezes and losses of a session that may happen.
    pub faults: u8,
    /// The protocol.
    pub variant: Variant,
}

impl Inbox {
    /// The handler's effects commit with the inbox.
    fn one_transaction(&self) -> bool {
        matches!(
            self.variant,
            Variant::Transactional
                | Variant::WithoutInboxKey
                | Variant::WithoutIdleTimeout
                | Variant::Uncounted
        )
    }

    fn one_effect(&self) -> bool {
        self.one_transaction() || self.variant == Variant::InboxOutsideTransaction
    }

    /// Somebody can be counted on to do it, once nothing breaks any more.
    fn is_honest(state: &State, action: &Action) -> bool {
        match action {
            Action::Crash(_)
            | Action::Freeze(_)
            | Action::LosePresence(_)
            | Action::LoseInsert { .. }
            | Action::Stop(_) => false,
            // A frozen copy may stay so, as long as there is another.
            Action::Thaw(_) => state.copies.iter().all(|copy| copy.frozen),
            _ => true,
        }
    }

    /// The requester, who sends again, can get an answer.
    fn can_answer(&self, state: &State) -> bool {
        const FRESH: u8 = 100;
        let fresh = [FRESH, FRESH + 1].map(|number| Delivery { asker: Asker::Sender, number });
        // Without what nothing more depends on.
        let (effects, begun, answers) = (0, 0, Vec::new());
        let calm = State { faults: 0, on_the_way: fresh.into(), effects, begun, answers, ..state.clone() };
        REACHED.can_reach(self, self.variant, calm, Self::is_honest, |state| {
            state.answers.iter().any(|(delivery, _)| delivery.number >= FRESH)
        })
    }

    fn copy_actions(&self, state: &State, who: usize, actions: &mut Vec<Action>) {
        let (copy, owns) = (&state.copies[who], state.owner == Owner::Copy(who));
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
            return;
        }
        if !copy.present {
            actions.push(Action::Appear(who));
        }
        match copy.doing {
            Doing::Nothing => {}
            Doing::Taking { .. } => {
                actions.push(Action::Insert(who));
                if state.faults > 0 && !self.one_effect() {
                    actions.extend([true, false].map(|committed| Action::LoseInsert { who, committed }));
                }
            }
            Doing::Looking { .. } => actions.push(Action::Look(who)),
            Doing::Counting => actions.push(Action::Count(who)),
            Doing::Running { .. } => {
                actions.push(Action::Effect(who));
                if self.variant == Variant::PutsOff && state.put_off == 0 {
                    actions.push(Action::PutOff(who));
                }
                if !owns || state.late {
                    actions.push(Action::Stop(who));
                }
            }
            Doing::Finishing { .. } => actions.push(Action::Record(who)),
            Doing::Undone => actions.push(Action::LearnUndone(who)),
            Doing::Answering { .. } => actions.push(Action::Answer(who)),
        }
        // Runs of a stateless handler know nothing of each other.
        let takes = match self.variant {
            Variant::Stateless => copy.doing == Doing::Nothing,
            _ => !matches!(copy.doing, Doing::Answering { .. }),
        };
        if takes {
            actions.extend((0..state.on_the_way.len()).map(|at| Action::Take(who, at)));
        }
    }
}

impl Model for Inbox {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let copy = Copy { frozen: false, present: true, doing: Doing::Nothing, waiting: Vec::new() };
        let of = |asker, deliveries: u8| (1..=deliveries).map(move |number| Delivery { asker, number });
        vec![State {
            copies: [copy.clone(), copy],
            on_the_way: of(Asker::Sender, self.attempts).chain(of(Asker::Forger, self.forgeries)).collect(),
            faults: self.faults,
            runs: 0,
            put_off: 0,
            owner: Owner::Nobody,
            late: false,
            first: None,
            counted: 0,
            begun: 0,
            outcomes: Vec::new(),
            effects: 0,
            answers: Vec::new(),
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for who in 0..state.copies.len() {
            self.copy_actions(state, who, actions);
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
            Action::Take(who, at) => self.take(&mut state, who, at),
            Action::Insert(who) => self.insert(&mut state, who)?,
            Action::LoseInsert { who, committed } => self.lose_insert(&mut state, who, committed)?,
            Action::Look(who) => self.look(&mut state, who)?,
            Action::Count(who) => self.count(&mut state, who),
            Action::Effect(who) => {
                let Doing::Running { run } = state.copies[who].doing else { return None };
                // In the transaction it counts when that commits; otherwise it has happened.
                if !self.one_transaction() {
                    state.effects = (state.effects + 1).min(2);
                }
                state.copies[who].doing = match self.variant {
                    Variant::Stateless => Doing::Answering { answer: Made { run, asker: state.asker(who)? } },
                    _ => Doing::Finishing { run, has_effect: true },
                };
            }
            Action::PutOff(who) => {
                let Doing::Running { run } = state.copies[who].doing else { return None };
                state.put_off(who, run);
            }
            Action::Record(who) => self.record(&mut state, who)?,
            Action::Answer(who) => {
                let Doing::Answering { answer } = state.copies[who].doing else { return None };
                state.answer(who, Some(answer));
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
                let recorded =
                    |answer: &Option<Made>| answer.is_none_or(|made| state.outcomes.first() == Some(&made));
                model.variant == Variant::Stateless
                    || state.answers.iter().all(|(_, answer)| recorded(answer))
            }),
            Property::always("an outcome is told to the one who asked", |_, state: &State| {
                let theirs = |(to, answer): &(Delivery, Option<Made>)| {
                    answer.is_none_or(|made| made.asker == to.asker)
                };
                state.answers.iter().all(theirs)
            }),
            Property::always("a transactional handler has one effect", |model: &Inbox, state: &State| {
                !model.one_effect() || state.effects <= 1
            }),
            Property::always("a handler begins so many runs at most", |_, state: &State| state.begun <= RUNS),
            Property::always(
                "one more delivery is answered once nothing breaks any more",
                |model: &Inbox, state: &State| model.can_answer(state),
            ),
            Property::sometimes("a later attempt is answered before an earlier one", |_, state: &State| {
                let waits = |number| state.on_the_way.contains(&Delivery { asker: Asker::Sender, number });
                waits(1) && state.answers.iter().any(|(delivery, _)| delivery.number == 2)
            }),
        ];
        if self.variant == Variant::Default {
            properties.push(Property::sometimes(
                "an earlier run ends after a later one's outcome",
                |_, state: &State| {
                    let winner = state.outcomes.first().map(|made| made.run);
                    let earlier = |doing| matches!(doing, Doing::Finishing { run, .. } if Some(run) < winner);
                    state.copies.iter().any(|copy| earlier(copy.doing))
                },
            ));
        }
        if self.variant != Variant::Stateless && self.attempts > RUNS {
            properties.push(Property::sometimes("a message is given up", |_, state: &State| {
                let gives_up = |doing| matches!(doing, Doing::Finishing { has_effect: false, .. });
                state.copies.iter().any(|copy| gives_up(copy.doing))
            }));
        }
        if self.forgeries > 0 && self.variant != Variant::Stateless {
            properties.extend([Asker::Sender, Asker::Forger].map(|asker| match asker {
                Asker::Sender => {
                    Property::sometimes("a sender is refused behind a forger", |_, state: &State| {
                        state.is_refused(Asker::Sender)
                    })
                }
                Asker::Forger => {
                    Property::sometimes("a forger is refused behind the sender", |_, state: &State| {
                        state.is_refused(Asker::Forger)
                    })
                }
            }));
        }
        properties
    }
}
