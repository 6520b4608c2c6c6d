//! The cursor: what is visible now and was not then is read once, in each order of commits.
//!
//! The reader is the product's own [`Reader`], page by page. The model supplies PostgreSQL:
//! transactions, snapshots, and the rows that `read.sql` and `look_back.sql` find.
//!
//! Reads begin at a floor, an id below which partitions are left out. Here it rises as far as it
//! can, behind every id that was drawn, also while its transaction is open or has not started: what
//! makes it safe is the look back below it, not its height.

use std::collections::BTreeSet;

use stateright::{Model, Property};
use tpro_dispatcher::core::{
    reader::Reader,
    snapshot::{Snapshot, Xid},
};

/// The cursor that is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// The snapshot up to which was read; reads have no transaction id of their own, begin at the
    /// floor, and the cursor is where it was looked back last.
    AsBuilt,
    /// Reads begin at the floor, and nobody looks back below it.
    WithoutLookingBack,
    /// The cursor is as far as was read from the floor on.
    CursorAtTheRead,
    /// A page is read up to now, and not up to the end of its window.
    PagesUpToNow,
    /// The highest id read so far.
    ById,
    /// A read inside a transaction that has an id, and that inserts afterwards.
    InsideXid,
}

/// The model: so many writers, one row each, and a reader.
#[derive(Clone, Debug)]
pub struct Cursor {
    /// Writers.
    pub writers: usize,
    /// The cursor.
    pub variant: Variant,
}

/// Where a writer is. The row's id is taken when it is inserted, and so is the transaction id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Writer {
    /// Nothing yet.
    Idle,
    /// Has drawn an id, and has no transaction id yet.
    Drawn {
        /// The row's id.
        id: u8,
    },
    /// Has a transaction id (by some earlier write), no row yet.
    Begun {
        /// Its transaction id.
        xid: u8,
    },
    /// Inserted, not committed.
    Inserted {
        /// Its transaction id.
        xid: u8,
        /// The row's id.
        id: u8,
    },
    /// Committed.
    Committed {
        /// Its transaction id.
        xid: u8,
        /// The row's id.
        id: u8,
    },
    /// Rolled back.
    Aborted,
}

/// `pg_visible_in_snapshot`.
fn sees(snapshot: &Snapshot, xid: u8) -> bool {
    u64::from(xid) < snapshot.xmax() && !snapshot.open().contains(&xid.into())
}

/// One state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    writers: Vec<Writer>,
    next_xid: u8,
    next_id: u8,
    reader: Reader,
    /// Up to which was looked back below the floor, so that everything is read.
    looked_back_to: Snapshot,
    /// Reads ask for ids from here on.
    floor: u8,
    last_id: u8,
    /// Ids as they were delivered.
    delivered: Vec<u8>,
    /// The reader's own transaction, for the variant that has one.
    own: Option<u8>,
    own_row: Option<(u8, u8)>,
    reads_left: u8,
}

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// A writer draws the id of its row, before it has a transaction id.
    Draw(usize),
    /// A writer gets its transaction id.
    Begin(usize),
    /// A writer inserts.
    Insert(usize),
    /// A writer commits.
    Commit(usize),
    /// A writer rolls back.
    Abort(usize),
    /// The reader reads the next page.
    Read,
    /// The reader looks for what became visible below the floor, and raises it.
    LookBack,
    /// The reader's own transaction inserts a row and commits.
    OwnInsert,
}

impl State {
    /// `pg_current_snapshot`. A transaction does not list itself among the running ones: that is
    /// what makes [`Variant::InsideXid`] lose its own row.
    fn now(&self) -> Snapshot {
        let running = self.writers.iter().filter_map(|writer| match writer {
            Writer::Begun { xid } | Writer::Inserted { xid, .. } => Some(u64::from(*xid)),
            _ => None,
        });
        let mut open: Vec<u64> = running.collect();
        open.sort_unstable();
        let xmax = self.next_xid.into();
        Snapshot::new(open.first().copied().unwrap_or(xmax), xmax, open)
    }

    fn committed(&self) -> Vec<(u8, u8)> {
        let own = self.own_row.filter(|_| self.own.is_none());
        self.writers
            .iter()
            .filter_map(|writer| match writer {
                Writer::Committed { xid, id } => Some((*xid, *id)),
                _ => None,
            })
            .chain(own)
            .collect()
    }

    /// The next page, of one row: `read.sql`.
    fn read(&mut self, variant: Variant) {
        let (window, now) = (self.reader.window(), self.now());
        let until = window.until.filter(|_| variant != Variant::PagesUpToNow).unwrap_or_else(|| now.clone());
        let place = |xid: u8, id: u8| (Xid(xid.into()), i64::from(id));
        let is_new = |xid: u8, id: u8| match variant {
            Variant::ById => id > self.last_id,
            _ => {
                let visible = sees(&until, xid) && !sees(&window.seen, xid);
                visible && place(xid, id) > window.after && id >= self.floor
            }
        };
        let order = |(xid, id): &(u8, u8)| (if variant == Variant::ById { 0 } else { *xid }, *id);
        let found = self.committed().into_iter().filter(|(xid, id)| is_new(*xid, *id)).min_by_key(order);
        if let Some((_, id)) = found {
            self.last_id = self.last_id.max(id);
            self.delivered.push(id);
        }
        self.reader.advance(until, found.map(|(xid, id)| place(xid, id)), found.is_some());
    }

    /// All pages of a window.
    fn read_window(&mut self, variant: Variant) {
        self.read(variant);
        while !self.reader.is_between() {
            self.read(variant);
        }
    }

    /// `look_back.sql`.
    fn look_back(&mut self, variant: Variant) {
        let read_to = self.reader.seen().clone();
        if variant != Variant::WithoutLookingBack {
            let below =
                |id: u8, xid: u8| id < self.floor && sees(&read_to, xid) && !sees(&self.looked_back_to, xid);
            let found: Vec<u8> =
                self.committed().into_iter().filter(|(xid, id)| below(*id, *xid)).map(|(_, id)| id).collect();
            self.delivered.extend(found);
        }
        self.looked_back_to = read_to;
        self.floor = self.next_id;
    }

    /// The place where the next leader begins.
    fn cursor(&self, variant: Variant) -> &Snapshot {
        match variant {
            Variant::AsBuilt => &self.looked_back_to,
            _ => self.reader.seen(),
        }
    }
}

impl Cursor {
    fn has_floor(&self) -> bool {
        !matches!(self.variant, Variant::ById | Variant::InsideXid)
    }
}

impl Model for Cursor {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            writers: vec![Writer::Idle; self.writers],
            next_xid: 1,
            next_id: 1,
            reader: Reader::new(Snapshot::new(1, 1, Vec::new())),
            looked_back_to: Snapshot::new(1, 1, Vec::new()),
            floor: 0,
            last_id: 0,
            delivered: Vec::new(),
            own: None,
            own_row: None,
            reads_left: 3,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for (who, writer) in state.writers.iter().enumerate() {
            match writer {
                Writer::Idle => actions.extend([Action::Draw(who), Action::Begin(who)]),
                Writer::Drawn { .. } => actions.push(Action::Begin(who)),
                Writer::Begun { .. } => actions.extend([Action::Insert(who), Action::Abort(who)]),
                Writer::Inserted { .. } => actions.extend([Action::Commit(who), Action::Abort(who)]),
                Writer::Committed { .. } | Writer::Aborted => {}
            }
        }
        if state.own.is_some() {
            actions.push(Action::OwnInsert);
        } else if state.reads_left > 0 || !state.reader.is_between() {
            actions.push(Action::Read);
        }
        let is_between = state.own.is_none() && state.reader.is_between();
        if is_between && state.looked_back_to != *state.reader.seen() && self.has_floor() {
            actions.push(Action::LookBack);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Draw(who) => {
                state.writers[who] = Writer::Drawn { id: state.next_id };
                state.next_id += 1;
            }
            Action::Begin(who) => {
                let xid = state.next_xid;
                state.writers[who] = match state.writers[who] {
                    Writer::Drawn { id } => Writer::Inserted { xid, id },
                    _ => Writer::Begun { xid },
                };
                state.next_xid += 1;
            }
            Action::Insert(who) => {
                let Writer::Begun { xid } = state.writers[who] else { return None };
                state.writers[who] = Writer::Inserted { xid, id: state.next_id };
                state.next_id += 1;
            }
            Action::Commit(who) => {
                let Writer::Inserted { xid, id } = state.writers[who] else { return None };
                state.writers[who] = Writer::Committed { xid, id };
            }
            Action::Abort(who) => state.writers[who] = Writer::Aborted,
            Action::Read => {
                state.reads_left -= u8::from(state.reader.is_between());
                if self.variant == Variant::InsideXid {
                    state.own = Some(state.next_xid);
                    state.next_xid += 1;
                }
                state.read(self.variant);
            }
            Action::LookBack => state.look_back(self.variant),
            Action::OwnInsert => {
                let xid = state.own.take()?;
                state.own_row = Some((xid, state.next_id));
                state.next_id += 1;
            }
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("no row is delivered twice", |_, state: &State| {
                let once: BTreeSet<_> = state.delivered.iter().collect();
                once.len() == state.delivered.len()
            }),
            Property::always("a row is delivered only after its commit", |_, state: &State| {
                let committed: BTreeSet<u8> = state.committed().into_iter().map(|(_, id)| id).collect();
                state.delivered.iter().all(|id| committed.contains(id))
            }),
            Property::always(
                "what is not delivered is not behind the cursor",
                |model: &Cursor, state: &State| {
                    let behind = |xid| model.has_floor() && sees(state.cursor(model.variant), xid);
                    state.committed().iter().all(|(xid, id)| state.delivered.contains(id) || !behind(*xid))
                },
            ),
            Property::always(
                "one more read delivers all that is committed",
                |model: &Cursor, state: &State| {
                    let mut after = state.clone();
                    if !after.reader.is_between() {
                        after.read_window(model.variant);
                    }
                    after.read_window(model.variant);
                    if model.has_floor() {
                        after.look_back(model.variant);
                    }
                    after.committed().iter().all(|(_, id)| after.delivered.contains(id))
                },
            ),
        ]
    }
}
