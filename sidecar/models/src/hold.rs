//! Ordering keys that are held: when a message has failed, those behind it wait until an operator
//! says what becomes of it.
//!
//! The leader goes by the product's own `Chains` with their `Holds`. The model supplies the tables
//! of replies and of holds, statements whose answers are late, notifications, operators, and a
//! leader before whose transaction is committed late. All messages have one key and ask for a hold.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use stateright::{Model, Property};
use tpro_dispatcher::core::{
    Waiting,
    chains::Chains,
    holds::{Asked, Hold as Row},
};
use tpro_wire::Priority;

/// The hold that is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// The hold is written with the reply. The leader reads the table before its first message, and
    /// asks again after each reply.
    AsBuilt,
    /// The leader does not ask whether the message that it has settled holds its key.
    WithoutAsking,
    /// The leader does not ask whether a message that others have settled holds its key.
    OthersHoldNothing,
    /// The hold is written after the reply, by a transaction of its own.
    AfterTheReply,
    /// A notification that comes while a statement is under way says nothing.
    DeafWhileAsking,
    /// A copy of a message takes the place of its row.
    Moved,
}

/// The model: so many messages, and what may happen to them.
#[derive(Clone, Debug)]
pub struct Hold {
    /// Messages that are there at first.
    pub messages: u8,
    /// Changes of the leader.
    pub leaders: u8,
    /// Calls of `tpro.release`.
    pub releases: u8,
    /// Calls of `tpro.retry`.
    pub retries: u8,
    /// The hold.
    pub variant: Variant,
}

/// A statement that reads holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reading {
    asked: Asked,
    /// The rows, once it has run.
    rows: Option<Vec<u8>>,
}

/// A state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct State {
    /// Messages that are committed.
    messages: u8,
    /// The table of replies: true for `ok`.
    replies: BTreeMap<u8, bool>,
    /// The table of holds: messages, and for each the one behind which all wait.
    table: BTreeMap<u8, u8>,
    /// Messages whose hold somebody has ended, or a copy has taken over.
    ended: BTreeSet<u8>,
    chains: Chains,
    /// Messages that the leader has in hand.
    known: BTreeSet<u8>,
    /// Those of them that were given out.
    sent: BTreeSet<u8>,
    /// A hold that is still to be written, where it comes after the reply.
    unwritten: Option<u8>,
    /// The leader before writes the reply of this message.
    late: Option<(u8, bool)>,
    reading: Option<Reading>,
    /// A notification is on its way to the leader.
    notified: bool,
    /// A message was given out that had to wait.
    broken: bool,
    leaders_left: u8,
    releases_left: u8,
    retries_left: u8,
}

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// The leader reads a message.
    Read(u8),
    /// The chain gives out what it may.
    GiveOut,
    /// The leader writes the reply of a message: true for `ok`.
    Settle(u8, bool),
    /// The hold is written that should have come with the reply.
    WriteHold,
    /// The leader finds that somebody else has settled a message.
    Gone(u8),
    /// The leader asks for holds.
    Ask,
    /// Its statement runs.
    Run,
    /// The answer comes.
    Answer,
    /// The notification comes.
    Notice,
    /// An operator lets the key go.
    Release,
    /// An operator repeats a message that holds the key.
    Retry(u8),
    /// Another leader begins. The one before may have a reply on its way.
    TakeOver(Option<(u8, bool)>),
    /// That reply is committed.
    Late,
}

impl State {
    /// Writes a reply, the first one of a message, and the hold with it.
    fn write(&mut self, variant: Variant, id: u8, ok: bool) {
        if self.replies.contains_key(&id) {
            return;
        }
        self.replies.insert(id, ok);
        match ok {
            true if self.table.contains_key(&id) => self.end(),
            true => {}
            false if variant == Variant::AfterTheReply => self.unwritten = Some(id),
            false => drop(self.table.entry(id).or_insert(id)),
        }
    }

    /// The key is held no more.
    fn end(&mut self) {
        self.ended.extend(std::mem::take(&mut self.table).into_keys());
    }

    fn read(&mut self, id: u8) {
        self.known.insert(id);
        self.chains.read(&lane(), KEY, Priority::default(), Waiting::new(id.into(), false));
    }

    fn forget(&mut self, id: u8) {
        self.known.remove(&id);
        self.sent.remove(&id);
    }

    /// Messages that are committed and not in hand, and have no reply.
    fn unread(&self) -> impl Iterator<Item = u8> {
        (1..=self.messages).filter(|id| !self.replies.contains_key(id) && !self.known.contains(id))
    }

    /// All that is visible is in hand: a chain may give out, and the table may be looked through.
    fn has_read_all(&self) -> bool {
        self.unread().next().is_none()
    }
}

const KEY: &str = "key";

fn lane() -> Arc<str> {
    Arc::from("tpro.co")
}

impl Model for Hold {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            messages: self.messages,
            leaders_left: self.leaders,
            releases_left: self.releases,
            retries_left: self.retries,
            ..State::default()
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.leader_actions(state, actions);
        if state.releases_left > 0 && !state.table.is_empty() {
            actions.push(Action::Release);
        }
        if state.retries_left > 0 {
            let failed = state.table.keys().filter(|id| state.replies.contains_key(id));
            actions.extend(failed.copied().map(Action::Retry));
        }
        if state.leaders_left > 0 {
            actions.push(Action::TakeOver(None));
            let sent = state.sent.iter().filter(|id| !state.replies.contains_key(id));
            actions.extend(sent.flat_map(|id| [true, false].map(|ok| Action::TakeOver(Some((*id, ok))))));
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Read(id) => state.read(id),
            Action::GiveOut => {
                for given in state.chains.give_out() {
                    let id = u8::try_from(given.row.id()).ok()?;
                    let is_behind = state.table.values().any(|first| *first < id);
                    state.broken |= is_behind && !state.table.contains_key(&id);
                    state.sent.insert(id);
                }
            }
            Action::Settle(id, ok) => {
                state.write(self.variant, id, ok);
                match self.variant {
                    Variant::WithoutAsking => state.chains.settled(id.into()),
                    _ => state.chains.settled_in_doubt(id.into()),
                }
                state.forget(id);
            }
            Action::WriteHold => {
                let id = state.unwritten.take()?;
                state.table.insert(id, id);
            }
            Action::Gone(id) => {
                match self.variant {
                    Variant::OthersHoldNothing => state.chains.settled(id.into()),
                    _ => state.chains.settled_in_doubt(id.into()),
                }
                state.chains.forget_waiting(|other| other != i64::from(id));
                state.forget(id);
            }
            Action::Ask => {
                let asked = state.chains.ask(state.has_read_all())?;
                state.reading = Some(Reading { asked, rows: None });
            }
            Action::Run => {
                let reading = state.reading.as_mut()?;
                let is_asked = |id: &&u8| match &reading.asked {
                    Asked::Of(ids) => ids.contains(&i64::from(**id)),
                    Asked::Behind(behind) => i64::from(**id) > *behind,
                };
                reading.rows = Some(state.table.keys().filter(is_asked).copied().collect());
            }
            Action::Answer => {
                let Reading { asked, rows } = state.reading.take()?;
                let row = |id: u8| Row { id: id.into(), lane: lane(), key: KEY.into() };
                let rows: Vec<Row> = rows?.into_iter().map(row).collect();
                state.chains.asked(&asked, &rows);
            }
            Action::Notice => {
                state.notified = false;
                if self.variant != Variant::DeafWhileAsking || state.reading.is_none() {
                    state.chains.rung();
                }
            }
            Action::Release => {
                state.releases_left -= 1;
                state.end();
                state.notified = true;
            }
            Action::Retry(id) => {
                state.retries_left -= 1;
                state.messages += 1;
                let first = *state.table.get(&id)?;
                if self.variant == Variant::Moved {
                    state.table.remove(&id);
                    state.ended.insert(id);
                }
                state.table.insert(state.messages, first);
                state.notified = true;
            }
            Action::TakeOver(late) => {
                state.leaders_left -= 1;
                // One whose statement is not on its way writes nothing any more.
                state.unwritten = None;
                state.late = late.or(state.late);
                (state.chains, state.reading, state.notified) = (Chains::default(), None, false);
                (state.known, state.sent) = (BTreeSet::new(), BTreeSet::new());
            }
            Action::Late => {
                let (id, ok) = state.late.take()?;
                state.write(self.variant, id, ok);
            }
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(IN_HOLD, |_, state: &State| !state.broken),
            Property::always(KEPT, |_, state: &State| {
                let failed = state.replies.iter().filter(|(_, ok)| !**ok);
                failed.map(|(id, _)| id).all(|id| {
                    state.table.contains_key(id) || state.ended.contains(id) || state.unwritten == Some(*id)
                })
            }),
            Property::always(NOT_STUCK, |model: &Hold, state: &State| {
                let mut actions = Vec::new();
                model.leader_actions(state, &mut actions);
                let open = (1..=state.messages).any(|id| !state.replies.contains_key(&id));
                let is_held = state.table.keys().any(|id| state.replies.contains_key(id));
                !actions.is_empty() || !open || is_held
            }),
        ]
    }
}

/// The properties, by their names.
pub const IN_HOLD: &str = "nothing is given out behind one that holds the key, but for its copy";
/// See [`IN_HOLD`].
pub const KEPT: &str = "a message that has failed holds its key until somebody ends that";
/// See [`IN_HOLD`].
pub const NOT_STUCK: &str = "what is not held goes on";

impl Hold {
    /// All but the operators and the end of a leader.
    fn leader_actions(&self, state: &State, actions: &mut Vec<Action>) {
        actions.extend(state.unread().map(Action::Read));
        if state.has_read_all() && !state.chains.clone().give_out().is_empty() {
            actions.push(Action::GiveOut);
        }
        for id in &state.known {
            match state.replies.contains_key(id) {
                true => actions.push(Action::Gone(*id)),
                false if state.sent.contains(id) => {
                    actions.extend([Action::Settle(*id, true), Action::Settle(*id, false)]);
                }
                false => {}
            }
        }
        actions.extend(state.unwritten.map(|_| Action::WriteHold));
        match &state.reading {
            None if state.chains.clone().ask(state.has_read_all()).is_some() => actions.push(Action::Ask),
            None => {}
            Some(Reading { rows: None, .. }) => actions.push(Action::Run),
            Some(Reading { rows: Some(_), .. }) => actions.push(Action::Answer),
        }
        actions.extend(state.notified.then_some(Action::Notice));
        actions.extend(state.late.map(|_| Action::Late));
    }
}
