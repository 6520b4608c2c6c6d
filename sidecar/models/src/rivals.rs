//! Rivals: a server and its physical clone, or the standby that was promoted from it, have one
//! identity. One of them leads.
//!
//! Each server has a copy with the product's own rules: the [`Standing`] of its claim, the
//! [`Refusals`] that it meets at the gate, and the [`Rivalry`] behind it. The model supplies NATS,
//! where an answer may not come in time and where a forger says an overheard question again, and
//! the servers, which stop, come back and are started late.
//!
//! [`Standing`]: tpro_dispatcher::election::standing::Standing
//! [`Refusals`]: tpro_dispatcher::election::refusal::Refusals
//! [`Rivalry`]: tpro_dispatcher::election::refusal::Rivalry

mod state;

use stateright::{Model, Property};
use tpro_dispatcher::election::{
    refusal::{Refusals, Rivalry},
    standing::{Heard, Led, Stance, Standing},
};

pub use self::state::{Copy, Phase, State};
use self::state::{now, server};
use crate::reach::Reached;

static REACHED: Reached<Variant, State> = Reached::new();

/// The rules that are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Variant {
    /// As built.
    AsBuilt,
    /// A copy that begins to lead asks once, and a leader does not ask again.
    AsksOnce,
    /// A question makes a leader give way as an answer does.
    QuestionsDepose,
    /// The gate asks each time as if it was the first.
    ForgetsRefusals,
}

/// The model: the two servers, and how much may go wrong.
#[derive(Clone, Debug)]
pub struct Rivals {
    /// The second server is a standby that was promoted, and not a clone.
    pub promoted: bool,
    /// Answers that do not come in time, and leaders that stand still.
    pub faults: u8,
    /// Stops of the first server, which comes back each time.
    pub restarts: u8,
    /// Whiles that may pass: after each, a refusal stays.
    pub whiles: u8,
    /// The rules.
    pub variant: Variant,
}

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// A copy asks at the gate, and passes if nobody objects.
    Gate {
        /// The copy.
        who: usize,
        /// The answer, if there is one, comes in time.
        heard: bool,
    },
    /// A copy that has the lock of its server claims the source.
    Claim {
        /// The copy.
        who: usize,
        /// The answer, if there is one, comes in time.
        heard: bool,
    },
    /// A leader asks again.
    AskAgain {
        /// The copy.
        who: usize,
        /// The answer, if there is one, comes in time.
        heard: bool,
    },
    /// A forger says a question of the other server again.
    Replay(usize),
    /// A copy stands still.
    Freeze(usize),
    /// It goes on.
    Thaw(usize),
    /// The first server stops.
    StopServer,
    /// It comes back, and its copy begins as a new process.
    StartServer,
    /// A while passes.
    Wait,
}

impl Rivals {
    /// A copy asks on behalf of `standing`. The other copy hears it, and answers, if it leads and
    /// does not stand still.
    fn ask(&self, state: &mut State, who: usize, heard: bool, standing: &mut Standing) -> Result<(), Led> {
        state.faults -= u8::from(!heard);
        let other = 1 - who;
        let Phase::Leads(mut theirs) = state.copies[other].phase else { return Ok(()) };
        if state.copies[other].frozen || !heard || theirs.is_own(standing.server()) {
            return Ok(());
        }
        let answer = theirs.answers().then(|| Heard::Answer(*theirs.server()));
        let gives_way = self.heed(&mut theirs, &Heard::Question(*standing.server())).is_err();
        state.copies[other].phase = Phase::Leads(theirs);
        if gives_way {
            state.gave_way_to_nobody |= !state.leads(who);
            state.fall(other, true);
        }
        answer.map_or(Ok(()), |answer| standing.heed(&answer))
    }

    fn heed(&self, standing: &mut Standing, heard: &Heard) -> Result<(), Led> {
        match heard {
            Heard::Question(theirs) if self.variant == Variant::QuestionsDepose => {
                standing.heed(&Heard::Answer(*theirs))
            }
            heard => standing.heed(heard),
        }
    }

    fn step(&self, state: &mut State, action: Action) -> Option<()> {
        match action {
            Action::Gate { who, heard } => {
                let server = server(state, who);
                if self.variant == Variant::ForgetsRefusals {
                    state.copies[who].refusals = Refusals::default();
                }
                if state.copies[who].refusals.staying(&server, now(state)).is_some() {
                    return None;
                }
                let mut standing = Standing::new(server, Stance::Asks, now(state));
                match self.ask(state, who, heard, &mut standing) {
                    Ok(()) => state.passes(who),
                    Err(_) => state.is_refused(who, server),
                }
            }
            Action::Claim { who, heard } => {
                state.copies[who].begun = state.passed;
                let mut standing = Standing::new(server(state, who), Stance::Leads, now(state));
                match self.ask(state, who, heard, &mut standing) {
                    Ok(()) => {
                        standing.holds();
                        state.copies[who].phase = Phase::Leads(standing);
                    }
                    Err(_) => state.fall(who, true),
                }
            }
            Action::AskAgain { who, heard } => {
                let Phase::Leads(mut standing) = state.copies[who].phase else { return None };
                // It is due some time. After it all is as it was after the question before, at
                // another time.
                let due = standing.due();
                standing.ask(due).then_some(())?;
                if self.ask(state, who, heard, &mut standing).is_err() {
                    state.fall(who, true);
                }
            }
            Action::Replay(who) => {
                let question = Heard::Question(server(state, 1 - who));
                let Phase::Leads(mut standing) = state.copies[who].phase else { return None };
                state.replays -= 1;
                if self.heed(&mut standing, &question).is_err() {
                    state.fall(who, true);
                    state.gave_way_to_nobody |= !state.leads(1 - who);
                }
            }
            Action::Freeze(who) => {
                state.faults -= 1;
                state.copies[who].frozen = true;
            }
            Action::Thaw(who) => state.copies[who].frozen = false,
            Action::StopServer => {
                state.restarts -= 1;
                state.copies[0].phase = Phase::Down;
                state.copies[0].frozen = false;
            }
            Action::StartServer => {
                state.copies[0].started = state.copies[1].started.max(state.copies[0].started) + 1;
                state.copies[0].refused_in = None;
                (state.copies[0].refusals, state.copies[0].rivalry) =
                    (Refusals::default(), Rivalry::default());
                state.copies[0].phase = Phase::Gate;
            }
            Action::Wait => {
                state.whiles -= 1;
                state.passed += 1;
            }
        }
        Some(())
    }

    /// One leads, once nothing breaks any more and a while may pass.
    fn one_leads(&self, state: &State) -> bool {
        let calm = State { faults: 0, restarts: 0, replays: 0, ..state.clone() };
        let awake = |state: &State| state.copies.iter().all(|copy| !copy.frozen);
        REACHED.can_reach(self, self.variant, calm, |_, _| true, |state| state.leaders() == 1 && awake(state))
    }
}

impl Model for Rivals {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::begin(self)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for (who, copy) in state.copies.iter().enumerate() {
            if copy.frozen {
                actions.push(Action::Thaw(who));
                continue;
            }
            if copy.phase == Phase::Down {
                actions.push(Action::StartServer);
                continue;
            }
            if state.faults > 0 {
                actions.push(Action::Freeze(who));
            }
            // An answer that nobody gives cannot be late.
            let may_be_late = state.faults > 0 && state.leads(1 - who);
            for heard in [true, false].into_iter().filter(|heard| *heard || may_be_late) {
                match copy.phase {
                    Phase::Gate => actions.push(Action::Gate { who, heard }),
                    Phase::Follows => actions.push(Action::Claim { who, heard }),
                    Phase::Leads(_) if self.variant != Variant::AsksOnce => {
                        actions.push(Action::AskAgain { who, heard });
                    }
                    Phase::Leads(_) | Phase::Down => {}
                }
            }
            if state.replays > 0 && state.leads(who) {
                actions.push(Action::Replay(who));
            }
        }
        if state.restarts > 0 && state.copies[0].phase != Phase::Down {
            actions.push(Action::StopServer);
        }
        if state.whiles > 0 {
            actions.push(Action::Wait);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        self.step(&mut state, action)?;
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("without a fault one leads at most", |model: &Rivals, state: &State| {
                // A promoted server begins beside the one that it was promoted from, which gives
                // way.
                model.promoted || state.leaders() <= 1 || state.faults < model.faults
            }),
            Property::always("one leads once nothing breaks any more", |model: &Rivals, state: &State| {
                model.one_leads(state)
            }),
            Property::always("a leader gives way to one that leads", |_, state: &State| {
                !state.gave_way_to_nobody
            }),
            Property::always("who was refused for a while does not lead", |_, state: &State| {
                let refused_long = |copy: &Copy| copy.refused_in.is_some_and(|passed| passed < state.passed);
                state.copies.iter().all(|copy| !refused_long(copy) || !matches!(copy.phase, Phase::Leads(_)))
            }),
            Property::sometimes("two lead for a moment", |_, state: &State| state.leaders() == 2),
            Property::sometimes("the second server leads alone", |_, state: &State| {
                !state.leads(0) && state.leads(1)
            }),
            Property::sometimes("a copy is sent back behind the gate", |_, state: &State| state.went_back),
        ]
    }
}
