//! Leadership and settling: one reply per committed row, its own, and no write by a deposed leader.
//!
//! Two copies, one row at a time. The lock lives and dies with the session; a copy that lost its session may not know
//! yet. A failover may take back the committed row and hand out its id again under another uid.

use stateright::{Model, Property};

/// Which protocol is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// As built.
    AsBuilt,
    /// A reply settles whatever row has its id now.
    IdentityById,
    /// Replies are written on a connection that is not the leader's session.
    WritesOutsideItsSession,
    /// A deposed leader gives up by settling as timed out.
    DeposedSettlesTimeout,
}

/// The model: how many faults of each kind may happen.
#[derive(Clone, Debug)]
pub struct Leadership {
    /// Crashes, freezes and deposings together.
    pub faults: u8,
    /// What is checked.
    pub variant: Variant,
}

/// The identity of a row: which of the rows that ever had this id.
pub type Uid = u8;

/// A copy of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Copy {
    /// Tries to lead.
    Following,
    /// Believes that it leads.
    Leading {
        /// What was sent and not answered.
        in_flight: Option<Uid>,
        /// The reply it holds and has not written.
        reply: Option<Uid>,
    },
    /// Stopped by the operating system; goes on where it was.
    Frozen {
        /// What was sent and not answered.
        in_flight: Option<Uid>,
        /// The reply it holds and has not written.
        reply: Option<Uid>,
    },
    /// Killed; a new one may start in its place.
    Dead,
}

/// One state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    copies: [Copy; 2],
    /// Whose session holds the lock.
    lock: Option<usize>,
    /// The row that the database has committed now.
    row: Uid,
    /// The reply the database has: which uid was answered, and whether by a session without the lock.
    reply: Option<Uid>,
    deposed_wrote: bool,
    /// Replies on their way, by the uid they answer; a forged one answers a uid that never was.
    on_the_way: Vec<Uid>,
    faults: u8,
    failovers: u8,
    forgeries: u8,
    sends: u8,
}

/// A uid that no row ever had.
const FORGED: Uid = 99;

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// A follower gets the lock.
    Lead(usize),
    /// The leader reads the unsettled row and sends it.
    Send(usize),
    /// A reply arrives at the leader.
    Arrive(usize, usize),
    /// The leader writes the reply.
    Settle(usize),
    /// SIGKILL.
    Crash(usize),
    /// A new process in place of a dead one.
    Restart(usize),
    /// SIGSTOP.
    Freeze(usize),
    /// SIGCONT.
    Thaw(usize),
    /// A follower terminates the frozen leader's session.
    Depose(usize),
    /// The database fails over and loses the row; a publisher gets the same id for a new one.
    Failover,
    /// A stranger sends a reply.
    Forge,
}

impl Leadership {
    fn may_settle(&self, answered: Uid, in_flight: Option<Uid>) -> bool {
        self.variant == Variant::IdentityById || in_flight == Some(answered)
    }
}

impl Model for Leadership {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            copies: [Copy::Following; 2],
            lock: None,
            row: 1,
            reply: None,
            deposed_wrote: false,
            on_the_way: Vec::new(),
            faults: self.faults,
            failovers: 1,
            forgeries: 1,
            sends: 4,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for (who, copy) in state.copies.iter().enumerate() {
            match *copy {
                Copy::Following if state.lock.is_none() => actions.push(Action::Lead(who)),
                Copy::Following => {}
                Copy::Leading { in_flight, reply } => {
                    if in_flight.is_none()
                        && state.reply.is_none()
                        && state.lock == Some(who)
                        && state.sends > 0
                    {
                        actions.push(Action::Send(who));
                    }
                    if reply.is_none() && in_flight.is_some() {
                        actions.extend((0..state.on_the_way.len()).map(|at| Action::Arrive(who, at)));
                    }
                    if reply.is_some() {
                        actions.push(Action::Settle(who));
                    }
                }
                Copy::Frozen { .. } => {
                    actions.push(Action::Thaw(who));
                    if state.lock == Some(who) {
                        actions.push(Action::Depose(who));
                    }
                }
                Copy::Dead => actions.push(Action::Restart(who)),
            }
            if state.faults > 0 {
                if *copy != Copy::Dead {
                    actions.push(Action::Crash(who));
                }
                if matches!(copy, Copy::Leading { .. }) {
                    actions.push(Action::Freeze(who));
                }
            }
        }
        if state.failovers > 0 {
            actions.push(Action::Failover);
        }
        if state.forgeries > 0 {
            actions.push(Action::Forge);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Lead(who) => {
                state.lock = Some(who);
                state.copies[who] = Copy::Leading { in_flight: None, reply: None };
            }
            Action::Send(who) => {
                state.sends -= 1;
                state.on_the_way.push(state.row);
                state.on_the_way.sort_unstable();
                state.copies[who] = Copy::Leading { in_flight: Some(state.row), reply: None };
            }
            Action::Arrive(who, at) => {
                let Copy::Leading { in_flight, .. } = state.copies[who] else { return None };
                let answered = state.on_the_way.remove(at);
                if self.may_settle(answered, in_flight) {
                    state.copies[who] = Copy::Leading { in_flight, reply: Some(answered) };
                }
            }
            Action::Settle(who) => {
                let Copy::Leading { reply, .. } = state.copies[who] else { return None };
                let session_lives = state.lock == Some(who);
                if session_lives || self.variant == Variant::WritesOutsideItsSession {
                    // ON CONFLICT DO NOTHING: the first reply wins.
                    if state.reply.is_none() {
                        state.reply = reply;
                        state.deposed_wrote |= !session_lives;
                    }
                    state.copies[who] = Copy::Leading { in_flight: None, reply: None };
                    if !session_lives {
                        state.copies[who] = Copy::Following;
                    }
                } else {
                    if self.variant == Variant::DeposedSettlesTimeout && state.reply.is_none() {
                        state.reply = Some(state.row);
                        state.deposed_wrote = true;
                    }
                    state.copies[who] = Copy::Following;
                }
            }
            Action::Crash(who) => {
                state.faults -= 1;
                state.copies[who] = Copy::Dead;
                state.lock = state.lock.filter(|holder| *holder != who);
            }
            Action::Restart(who) => state.copies[who] = Copy::Following,
            Action::Freeze(who) => {
                let Copy::Leading { in_flight, reply } = state.copies[who] else { return None };
                state.faults -= 1;
                state.copies[who] = Copy::Frozen { in_flight, reply };
            }
            Action::Thaw(who) => {
                let Copy::Frozen { in_flight, reply } = state.copies[who] else { return None };
                state.copies[who] = if state.lock == Some(who) || reply.is_some() {
                    Copy::Leading { in_flight, reply }
                } else {
                    Copy::Following
                };
            }
            Action::Depose(who) => state.lock = state.lock.filter(|holder| *holder != who),
            Action::Failover => {
                // All sessions die with the server; a copy that leads finds out when it writes.
                state.failovers -= 1;
                state.lock = None;
                state.row += 1;
                state.reply = None;
                for copy in &mut state.copies {
                    if let Copy::Leading { reply: None, .. } = copy {
                        *copy = Copy::Following;
                    }
                }
            }
            Action::Forge => {
                state.forgeries -= 1;
                state.on_the_way.push(FORGED);
            }
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("a reply answers its own row", |_, state: &State| {
                state.reply.is_none_or(|answered| answered == state.row)
            }),
            Property::always("a deposed leader writes nothing", |_, state: &State| !state.deposed_wrote),
            Property::sometimes("a row is settled after a takeover", |model: &Leadership, state: &State| {
                state.faults < model.faults && state.reply.is_some()
            }),
            Property::always(
                "while nothing is settled, something can still happen",
                |model: &Leadership, state| {
                    let mut actions = Vec::new();
                    model.actions(state, &mut actions);
                    state.reply.is_some() || state.sends == 0 || !actions.is_empty()
                },
            ),
        ]
    }
}
