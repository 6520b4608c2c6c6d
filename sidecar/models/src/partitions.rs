//! Partitions: every id finds one, and no message goes with one before its time.
//!
//! Publishers draw ids, also far beyond the partitions made ahead, and write later. Replies lag
//! behind. A long read keeps a table from being changed. Maintainers make and drop partitions
//! meanwhile, and crash or give up at any point.
//!
//! These decisions are made in PL/pgSQL, where the tables can be locked, so **the model has its own
//! copy of them**: `make` mirrors `tpro.make_partitions`, and `retire` and `maintain` mirror
//! `tpro.partition_kept` and `tpro.drop_partition`. A change there is a change here. The product's
//! own code is [`Bounds`], by which a run finds the replies that have outlived their messages. The
//! model supplies locks, transactions and a sequence.
//!
//! A function of the product is one transaction. Here it is cut where others come between: a look
//! without locks, new tables or a lock of one partition, and the change, for which it has the table
//! alone. One run at a time (`tpro.maintain`) is not relied on: two maintainers run at once, with
//! other widths. Partitions by day, `tpro.mend_partitions` and what it mends are not in the model.

mod action;
mod ids;
mod maintain;
mod make;
mod retire;
mod state;
mod table;
mod variant;

use stateright::{Model, Property};
use tpro_maintenance::bounds::Bounds;

pub use self::{action::Action, state::State, variant::Variant};
use self::{
    make::{ENOUGH, Plan},
    state::{Message, OUTBOX, REPLIES, Reader, Step},
    table::{Part, Table},
};
use crate::reach::Reached;

static REACHED: Reached<(Variant, Work), State> = Reached::new();

/// Ids jump over so many.
const JUMP: i64 = 5;

/// The model: so many messages, and a maintainer for each width.
#[derive(Clone, Debug)]
pub struct Partitions {
    /// Messages that are published.
    pub messages: usize,
    /// A message that is there from the beginning, while the sequence is behind its id.
    pub leftover: Option<i64>,
    /// Maintainers, each with the width of its partitions.
    pub widths: Vec<i64>,
    /// Long reads of a table.
    pub reads: u8,
    /// Times that ids may jump.
    pub jumps: u8,
    /// After a jump the sequence may be set back to where it was.
    pub sets_back: bool,
    /// Partitions of both tables at the beginning, beside the overflow partition.
    pub parts: i64,
    /// The work of the maintainers.
    pub work: Work,
    /// The rules.
    pub variant: Variant,
}

/// The work of the maintainers. Tables are made and retired by themselves, so that a model may have
/// a part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Work {
    /// Partitions are made ahead for the outbox.
    pub makes_outbox: bool,
    /// Partitions are made ahead for the replies.
    pub makes_replies: bool,
    /// Partitions are dropped.
    pub retires: bool,
}

impl Work {
    fn makes(self, table: usize) -> bool {
        if table == OUTBOX { self.makes_outbox } else { self.makes_replies }
    }
}

impl Partitions {
    /// Partitions of both tables are ahead, and maintenance has nothing to do.
    fn is_ahead(&self, state: &State) -> bool {
        state.maintainers.iter().any(|maintainer| {
            (0..2).filter(|table| self.work.makes(*table)).all(|table| {
                let (parts, open) = (&state.tables[table], state.open(table));
                Plan::new(parts, state.next, open, maintainer.width, self.variant).is_none()
                    && parts.parts.iter().filter(|part| part.bounds.is_ahead(state.next)).count() >= ENOUGH
            })
        })
    }

    /// Maintenance comes back to partitions ahead, and all that is published is settled, once
    /// nobody reads any more.
    fn recovers(&self, state: &State) -> bool {
        let calm = State { reads: 0, jumps: 0, jumped_from: None, ..state.clone() };
        let is_settled = |message: &Message| !matches!(message, Message::Committed(_) | Message::Replying(_));
        let goal =
            |state: &State| !state.refused && self.is_ahead(state) && state.messages.iter().all(is_settled);
        REACHED.can_reach(self, (self.variant, self.work), calm, |_, action| action.is_calm(), goal)
    }

    fn step(&self, state: &mut State, action: &Action) -> Option<()> {
        match *action {
            Action::Draw => {
                let who = state.messages.iter().position(|it| *it == Message::Waiting)?;
                // An id that is there is refused by the key, and the next one is drawn.
                let next = (state.next..).find(|id| !state.tables[OUTBOX].has(*id))?;
                state.messages[who] = Message::Drawn(next);
                state.next = next + 1;
            }
            Action::Write(who) => {
                let Message::Drawn(id) = state.messages[who] else { return None };
                let place = state.tables[OUTBOX].place(id);
                let low = place.map(|place| state.tables[OUTBOX].parts[place].bounds.low);
                let locks = self.variant != Variant::LookWithoutLock;
                if low.is_some_and(|low| locks && state.is_locked(OUTBOX, low, None)) {
                    return None;
                }
                state.messages[who] = Message::Written(id);
                if state.tables[OUTBOX].insert(id).is_none() {
                    (state.refused, state.messages[who]) = (true, Message::Over);
                }
            }
            Action::Commit(who) => {
                let Message::Written(id) = state.messages[who] else { return None };
                state.messages[who] = Message::Committed(id);
            }
            Action::RollBack(who) => {
                if let Message::Written(id) = state.messages[who] {
                    state.tables[OUTBOX].roll_back(id);
                }
                state.messages[who] = Message::Over;
            }
            Action::Reply(who) => {
                let Message::Committed(id) = state.messages[who] else { return None };
                match state.tables[REPLIES].insert(id) {
                    Some(()) => state.messages[who] = Message::Replying(id),
                    None => state.refused = true,
                }
            }
            Action::CommitReply(who) => {
                let Message::Replying(id) = state.messages[who] else { return None };
                state.messages[who] = Message::Settled { id, old: false };
            }
            Action::RollBackReply(who) => {
                let Message::Replying(id) = state.messages[who] else { return None };
                state.tables[REPLIES].roll_back(id);
                state.messages[who] = Message::Committed(id);
            }
            Action::Age => {
                for message in &mut state.messages {
                    if let Message::Settled { old, .. } = message {
                        *old = true;
                    }
                }
            }
            Action::Jump => {
                state.jumps -= 1;
                state.jumped_from = self.sets_back.then_some(state.next);
                state.next += JUMP;
            }
            Action::SetBack => state.next = state.jumped_from.take()?,
            Action::Read(reader) => {
                state.reads -= 1;
                state.reader = Some(reader);
            }
            Action::EndRead => state.reader = None,
            _ => state.maintain(action, self.variant)?,
        }
        Some(())
    }
}

/// The partitions that a run of a maintainer looks at more closely, the oldest first.
fn candidates(state: &State, table: usize, variant: Variant) -> Vec<i64> {
    let parts = state.tables[table].parts.iter().map(|part| part.bounds);
    let messages = || state.tables[OUTBOX].parts.iter().map(|part| part.bounds);
    let by_age = table == OUTBOX || variant == Variant::RepliesByAge;
    let may_go = |bounds: &Bounds| by_age || bounds.have_outlived(messages(), state.next);
    parts.filter(may_go).map(|bounds| bounds.low).collect()
}

impl Model for Partitions {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::begin(self)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for (who, message) in state.messages.iter().enumerate() {
            match message {
                Message::Waiting if !actions.contains(&Action::Draw) => actions.push(Action::Draw),
                Message::Drawn(_) => actions.extend([Action::Write(who), Action::RollBack(who)]),
                Message::Written(_) => actions.extend([Action::Commit(who), Action::RollBack(who)]),
                Message::Committed(_) => actions.push(Action::Reply(who)),
                Message::Replying(_) => {
                    actions.extend([Action::CommitReply(who), Action::RollBackReply(who)]);
                }
                Message::Settled { old: false, .. }
                    if self.work.retires && !actions.contains(&Action::Age) =>
                {
                    actions.push(Action::Age);
                }
                _ => {}
            }
        }
        for (who, maintainer) in state.maintainers.iter().enumerate() {
            if maintainer.step != Step::Idle {
                let checks = self.variant == Variant::CheckBeforehand;
                actions.extend(Action::of(who, maintainer, checks));
            } else if who == 0 || state.maintainers[who - 1] != *maintainer {
                for table in [OUTBOX, REPLIES] {
                    if self.work.makes(table) {
                        actions.push(Action::Plan(who, table));
                    }
                    if self.work.retires {
                        let candidates = candidates(state, table, self.variant).into_iter();
                        actions.extend(candidates.map(|low| Action::Look(who, table, low)));
                    }
                }
            }
        }
        if state.jumps > 0 {
            actions.push(Action::Jump);
        }
        if state.jumped_from.is_some() {
            actions.push(Action::SetBack);
        }
        if state.reader.is_some() {
            actions.push(Action::EndRead);
        } else if state.reads > 0 {
            let readers = [OUTBOX, REPLIES]
                .into_iter()
                .flat_map(|table| [true, false].map(|all| Action::Read(Reader { table, all })));
            actions.extend(readers);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        self.step(&mut state, &action)?;
        state.sort();
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("no insert is refused", |_, state: &State| !state.refused),
            Property::always("each row is in the partition of its id", |_, state: &State| {
                state.tables.iter().all(Table::is_in_order)
            }),
            Property::always("a message stays until it is settled and old", |_, state: &State| {
                state.messages.iter().filter_map(Message::row).all(|id| state.tables[OUTBOX].has(id))
            }),
            Property::always("a reply stays as long as its message", |_, state: &State| {
                state.messages.iter().filter_map(Message::reply).all(|id| state.tables[REPLIES].has(id))
            }),
            Property::always("each id that may come has one partition", |_, state: &State| {
                (0..2).all(|table| state.has_place_for_all_to_come(table))
            }),
            Property::always(
                "partitions are ahead and all is settled once nobody reads",
                |model: &Partitions, state: &State| model.recovers(state),
            ),
            Property::sometimes(
                "rows of an overflow partition are cut off",
                |model: &Partitions, state: &State| {
                    let is_wide = |part: &Part| {
                        !part.bounds.is_rest() && model.widths.iter().all(|it| part.width() > *it)
                    };
                    let makes = model.work.makes_outbox || model.work.makes_replies;
                    !makes || state.tables.iter().any(|table| table.parts.iter().any(is_wide))
                },
            ),
            Property::sometimes("all that was published is dropped", |model: &Partitions, state: &State| {
                !model.work.retires
                    || state.messages.iter().all(|message| matches!(message, Message::Dropped(_)))
            }),
            Property::sometimes(
                "an emptied partition stays for its readers",
                |model: &Partitions, state: &State| {
                    let is_emptied = |message: &Message| match message {
                        Message::Dropped(id) => state.tables[OUTBOX].place(*id).is_some(),
                        _ => false,
                    };
                    !model.work.retires || model.reads == 0 || state.messages.iter().any(is_emptied)
                },
            ),
        ]
    }
}
