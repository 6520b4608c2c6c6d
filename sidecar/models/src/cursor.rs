//! The cursor: what is visible now and was not then is read once, whatever the order of commits.
//!
//! Reads begin at a floor, an id below which partitions are left out. Here it rises as far as it can, behind every id that was
//! drawn, also while its transaction is open or has not begun: what makes it safe is the look back below it, not its height.

use std::collections::BTreeSet;

use stateright::{Model, Property};

/// Which cursor is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// The snapshot up to which was read; reads have no transaction id of their own, begin at the floor, and the cursor is where
    /// it was looked back last.
    AsBuilt,
    /// Reads begin at the floor, and nobody looks back below it.
    WithoutLookingBack,
    /// The cursor is as far as was read from the floor on.
    CursorAtTheRead,
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
    /// What is checked.
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

/// PostgreSQL's snapshot: below `xmax` and not in `running` is over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Snapshot {
    xmax: u8,
    running: BTreeSet<u8>,
}

impl Snapshot {
    fn sees(&self, xid: u8) -> bool {
        xid < self.xmax && !self.running.contains(&xid)
    }
}

/// One state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    writers: Vec<Writer>,
    next_xid: u8,
    next_id: u8,
    read_to: Snapshot,
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
    /// The reader reads everything that its cursor says is new.
    Read,
    /// The reader looks for what became visible below the floor, and raises it.
    LookBack,
    /// The reader's own transaction inserts a row and commits.
    OwnInsert,
}

impl State {
    fn running(&self) -> BTreeSet<u8> {
        self.writers
            .iter()
            .filter_map(|writer| match writer {
                Writer::Begun { xid } | Writer::Inserted { xid, .. } => Some(*xid),
                _ => None,
            })
            .collect()
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

    fn read(&mut self, variant: Variant) {
        // A transaction does not list itself among the running ones: that is what makes InsideXid lose its own row.
        let now = Snapshot { xmax: self.next_xid, running: self.running() };
        let mut found: Vec<u8> = self
            .committed()
            .into_iter()
            .filter(|(xid, id)| match variant {
                Variant::ById => *id > self.last_id,
                _ => now.sees(*xid) && !self.read_to.sees(*xid) && *id >= self.floor,
            })
            .map(|(_, id)| id)
            .collect();
        found.sort_unstable();
        self.last_id = self.last_id.max(found.last().copied().unwrap_or(0));
        self.delivered.extend(found);
        self.read_to = now;
    }

    fn look_back(&mut self, variant: Variant) {
        if variant != Variant::WithoutLookingBack {
            let below =
                |id: u8, xid: u8| id < self.floor && self.read_to.sees(xid) && !self.looked_back_to.sees(xid);
            let found: Vec<u8> =
                self.committed().into_iter().filter(|(xid, id)| below(*id, *xid)).map(|(_, id)| id).collect();
            self.delivered.extend(found);
        }
        self.looked_back_to = self.read_to.clone();
        self.floor = self.next_id;
    }

    /// Where whoever leads next begins.
    fn cursor(&self, variant: Variant) -> &Snapshot {
        match variant {
            Variant::AsBuilt => &self.looked_back_to,
            _ => &self.read_to,
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
            read_to: Snapshot::default(),
            looked_back_to: Snapshot::default(),
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
        } else if state.reads_left > 0 {
            actions.push(Action::Read);
        }
        if state.own.is_none() && state.looked_back_to != state.read_to && self.has_floor() {
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
                state.reads_left -= 1;
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
                    let behind = |xid| model.has_floor() && state.cursor(model.variant).sees(xid);
                    state.committed().iter().all(|(xid, id)| state.delivered.contains(id) || !behind(*xid))
                },
            ),
            Property::always(
                "one more read delivers whatever is committed",
                |model: &Cursor, state: &State| {
                    let mut after = state.clone();
                    after.read(model.variant);
                    if model.has_floor() {
                        after.look_back(model.variant);
                    }
                    after.committed().iter().all(|(_, id)| after.delivered.contains(id))
                },
            ),
        ]
    }
}
