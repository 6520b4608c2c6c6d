//! The order by key: a message that was there before another is settled before that one is sent.
//!
//! The leader goes by the product's own [`Reader`], `Floor` and `Chains`. The model supplies
//! PostgreSQL: transactions, snapshots, ids, pages of one row, replies and the durable cursor. All
//! messages have one target service and one key.
//!
//! A message is before another if it was committed when the INSERT of that one began. Then it has
//! the lesser id, and is visible wherever the other is. Its transaction may have the greater
//! number: a page has the other one first. And a leader that takes over may come upon the other one
//! first. The floor rises as soon as the product lets it, with partitions of one id.

mod state;

use stateright::{Model, Property};
use tpro_dispatcher::core::{reader::Reader, snapshot::Snapshot};

pub use self::state::State;
use self::state::{Ids, Leader, Writer};

/// The order that is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// The least id goes first, when all that is visible was read. The next one goes when the reply
    /// is committed. An id is drawn within its transaction.
    AsBuilt,
    /// A message is given out as soon as it was read.
    BeforeAllIsRead,
    /// The least transaction goes first.
    ByTransaction,
    /// The next one goes when the outcome is known.
    AtTheOutcome,
    /// A new leader gives out what the cursor names, before it has looked through the rest.
    BeforeAllIsLookedThrough,
    /// An id is drawn before its transaction has a number, and so the floor can pass it.
    IdBeforeTransaction,
    /// The floor rises without a move of the cursor, and can pass ids of open transactions that no
    /// snapshot names.
    IdsOfOpenTransactions,
}

/// The model: so many writers, one row each, and leaders one after the other.
#[derive(Clone, Debug)]
pub struct Order {
    /// Writers.
    pub writers: usize,
    /// Transactions of others that are open at first.
    pub strangers: u8,
    /// Looks back below the floor.
    pub looks: u8,
    /// Changes of the leader.
    pub leaders: u8,
    /// Replies that others write, as a cancel does.
    pub cancels: u8,
    /// The order.
    pub variant: Variant,
}

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// The INSERT of a writer draws an id before its transaction has a number.
    Draw(usize),
    /// The transaction of a writer gets its number.
    Begin(usize),
    /// A writer inserts.
    Insert(usize),
    /// A writer commits.
    Commit(usize),
    /// A writer rolls back.
    Abort(usize),
    /// The oldest transaction of others is over; the leader reads, and looks back.
    End(u8),
    /// The leader reads the next page.
    Read,
    /// The leader looks through the next page of what a leader before may have sent.
    LookThrough,
    /// The leader looks for what became visible below the floor, and raises it. The cursor moves,
    /// or not.
    LookBack(bool),
    /// The durable cursor moves.
    MoveCursor,
    /// The leader sends what the chains give out.
    Send,
    /// The outcome of a message is known.
    Answer(u8),
    /// The reply of a message is committed, and the leader knows it.
    Settle(u8),
    /// Somebody else settles a message.
    Cancel(u8),
    /// The leader finds that a message was settled by somebody else.
    Recall(u8),
    /// Another leader begins after one that is dead.
    TakeOver,
    /// A leader leaves the cursor where the next one goes on.
    HandOver,
}

impl Model for Order {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let start = Snapshot::new(1, 1, Vec::new());
        vec![State {
            writers: vec![Writer::Idle; self.writers],
            next_xid: 1 + self.strangers,
            next_id: 1,
            replied: Ids::default(),
            cursor: (start.clone(), Ids::default()),
            leader: Leader::new(Reader::new(start.clone()), None, start),
            strangers: (1..=self.strangers).fold(Ids::default(), Ids::with),
            looks_left: self.looks,
            leaders_left: self.leaders,
            cancels_left: self.cancels,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let draws = self.variant == Variant::IdBeforeTransaction;
        for (who, writer) in state.writers.iter().enumerate() {
            match writer {
                // All writers are alike: they begin one after the other.
                Writer::Idle if who > 0 && state.writers[who - 1] == Writer::Idle => {}
                Writer::Idle if draws => actions.extend([Action::Draw(who), Action::Begin(who)]),
                Writer::Idle | Writer::Drawn { .. } => actions.push(Action::Begin(who)),
                Writer::Begun { .. } => actions.extend([Action::Insert(who), Action::Abort(who)]),
                Writer::Inserted { .. } => actions.extend([Action::Commit(who), Action::Abort(who)]),
                Writer::Committed { .. } | Writer::Aborted => {}
            }
        }
        let leader = &state.leader;
        if leader.recovery.is_none() {
            actions.extend(state.strangers.iter().next().map(Action::End));
        }
        if !leader.reader.is_between() || *leader.reader.seen() != state.now() {
            actions.push(Action::Read);
        }
        if leader.recovery.is_some() {
            actions.push(Action::LookThrough);
        }
        if leader.has_read_all() && state.looks_left > 0 {
            actions.extend([Action::LookBack(true), Action::LookBack(false)]);
        }
        if state.leaders_left > 0 {
            actions.extend([Action::MoveCursor, Action::TakeOver]);
            if leader.has_read_all() {
                actions.push(Action::HandOver);
            }
        }
        if leader.may_send(self.variant) {
            actions.push(Action::Send);
        }
        actions.extend(leader.sent.without(leader.known).iter().map(Action::Answer));
        actions.extend(leader.known.iter().map(Action::Settle));
        if state.cancels_left > 0 {
            actions.extend(state.ids().without(state.replied).iter().map(Action::Cancel));
        }
        let gone = leader.unsettled.iter().filter(|id| state.replied.has(*id));
        actions.extend(gone.map(Action::Recall));
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Draw(who) => {
                state.writers[who] = Writer::Drawn { id: state.next_id, before: state.ids() };
                state.next_id += 1;
            }
            Action::Begin(who) => {
                let xid = state.next_xid;
                state.writers[who] = match state.writers[who] {
                    Writer::Drawn { id, before } => Writer::Inserted { xid, id, before },
                    _ => Writer::Begun { xid },
                };
                state.next_xid += 1;
            }
            Action::Insert(who) => {
                let Writer::Begun { xid } = state.writers[who] else { return None };
                state.writers[who] = Writer::Inserted { xid, id: state.next_id, before: state.ids() };
                state.next_id += 1;
            }
            Action::Commit(who) => {
                let Writer::Inserted { xid, id, before } = state.writers[who] else { return None };
                state.writers[who] = Writer::Committed { xid, id, before };
            }
            Action::Abort(who) => state.writers[who] = Writer::Aborted,
            Action::End(xid) => {
                state.strangers.remove(xid);
                state.read_window(self.variant);
                state.look_back(self.variant, false);
            }
            Action::Read => state.read(self.variant),
            Action::LookThrough => state.look_through(self.variant),
            Action::LookBack(moves) => {
                state.looks_left -= 1;
                state.look_back(self.variant, moves);
            }
            Action::MoveCursor => {
                state.cursor = (state.leader.floor.seen().clone(), state.leader.unsettled);
            }
            Action::Send => state.send(self.variant),
            Action::Answer(id) => {
                state.leader.known.add(id);
                if self.variant == Variant::AtTheOutcome {
                    state.leader.chains.settled(id.into());
                }
            }
            Action::Settle(id) => {
                state.replied.add(id);
                let row = state.row(id);
                state.leader.settled(self.variant, row);
            }
            Action::Cancel(id) => {
                state.cancels_left -= 1;
                state.replied.add(id);
            }
            Action::Recall(id) => {
                let row = state.row(id);
                state.leader.settled(self.variant, row);
            }
            Action::TakeOver => {
                state.leaders_left -= 1;
                let (seen, until) = (state.cursor.0.clone(), state.now());
                let recovery = Reader::of_window(seen.clone(), until.clone());
                state.begin(self.variant, Leader::new(Reader::new(until), Some(recovery), seen));
            }
            Action::HandOver => {
                state.leaders_left -= 1;
                state.look_back(self.variant, true);
                let seen = state.cursor.0.clone();
                state.begin(self.variant, Leader::new(Reader::new(seen.clone()), None, seen));
            }
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(
                "a message is sent after the reply of each one before it",
                |_, state: &State| {
                    let mut rows = state.committed().filter(|(_, id, _)| state.leader.sent.has(*id));
                    rows.all(|(.., before)| before.without(state.replied).is_empty())
                },
            ),
            Property::always("one is sent at a time", |model: &Order, state: &State| {
                let sent = state.leader.sent.without(state.replied);
                model.variant != Variant::AsBuilt || sent.iter().count() <= 1
            }),
            Property::always(
                "all that is committed is settled in the end",
                |model: &Order, state: &State| {
                    let (mut state, mut rounds) = (state.clone(), 0);
                    // Nothing breaks any more. Each round reads rows, or settles one at least.
                    while !state.ids().without(state.replied).is_empty() && rounds < 4 * model.writers + 4 {
                        state = model.honest(state);
                        rounds += 1;
                    }
                    state.ids().without(state.replied).is_empty()
                },
            ),
        ]
    }
}

impl Order {
    /// The leader does what it can, and nothing else happens.
    fn honest(&self, mut state: State) -> State {
        if state.leader.recovery.is_some() {
            state.look_through(self.variant);
        }
        state.read(self.variant);
        if state.leader.has_read_all() {
            state.look_back(self.variant, true);
        }
        if state.leader.may_send(self.variant) {
            state.send(self.variant);
        }
        let leader = &state.leader;
        let over = leader.sent.iter().chain(leader.unsettled.iter().filter(|id| state.replied.has(*id)));
        for id in over.collect::<Vec<_>>() {
            state.replied.add(id);
            let row = state.row(id);
            state.leader.settled(self.variant, row);
        }
        state
    }
}
