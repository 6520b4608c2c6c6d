//! PostgreSQL and the leader, in one state.

use std::sync::Arc;

use tpro_dispatcher::core::{
    Waiting,
    chains::Chains,
    floor::Floor,
    reader::Reader,
    snapshot::{Snapshot, Xid},
};
use tpro_wire::Priority;

use super::Variant;

/// A set of ids.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Ids(u16);

impl Ids {
    pub(super) fn has(self, id: u8) -> bool {
        self.0 >> id & 1 == 1
    }

    pub(super) fn add(&mut self, id: u8) {
        self.0 |= 1 << id;
    }

    pub(super) fn with(mut self, id: u8) -> Self {
        self.add(id);
        self
    }

    pub(super) fn remove(&mut self, id: u8) {
        self.0 &= !(1 << id);
    }

    pub(super) fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) fn iter(self) -> impl Iterator<Item = u8> {
        (0..16).filter(move |id| self.has(*id))
    }
}

/// A writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Writer {
    Idle,
    /// Its INSERT has drawn an id, and its transaction has no number yet.
    Drawn {
        id: u8,
        before: Ids,
    },
    /// Its transaction has a number.
    Begun {
        xid: u8,
    },
    /// Its row is there, and these were committed when the INSERT began.
    Inserted {
        xid: u8,
        id: u8,
        before: Ids,
    },
    Committed {
        xid: u8,
        id: u8,
        before: Ids,
    },
    Aborted,
}

/// A leader.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Leader {
    pub(super) reader: Reader,
    /// Rows that a leader before may have sent, while they are looked through.
    pub(super) recovery: Option<Reader>,
    pub(super) floor: Floor,
    pub(super) chains: Chains,
    /// Rows that were read and are not known to have a reply.
    pub(super) unsettled: Ids,
    /// Those of them that are sent.
    pub(super) sent: Ids,
    /// Those of them whose outcome is known.
    pub(super) known: Ids,
}

/// One state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    pub(super) writers: Vec<Writer>,
    pub(super) next_xid: u8,
    pub(super) next_id: u8,
    /// Rows with a committed reply.
    pub(super) replied: Ids,
    /// The durable cursor, and the rows that it names.
    pub(super) cursor: (Snapshot, Ids),
    pub(super) leader: Leader,
    /// Transactions of others that are open from the start on.
    pub(super) strangers: Ids,
    pub(super) looks_left: u8,
    pub(super) leaders_left: u8,
    pub(super) cancels_left: u8,
}

/// `pg_visible_in_snapshot`.
fn sees(snapshot: &Snapshot, xid: u8) -> bool {
    u64::from(xid) < snapshot.xmax() && !snapshot.open().contains(&xid.into())
}

impl Leader {
    pub(super) fn new(reader: Reader, recovery: Option<Reader>, seen: Snapshot) -> Self {
        Self {
            reader,
            recovery,
            floor: Floor::new(1, seen),
            chains: Chains::default(),
            unsettled: Ids::default(),
            sent: Ids::default(),
            known: Ids::default(),
        }
    }

    /// A row was read, once.
    pub(super) fn keep(&mut self, variant: Variant, (xid, id): (u8, u8)) {
        if self.unsettled.has(id) {
            return;
        }
        self.unsettled.add(id);
        let place = Waiting::new(if variant == Variant::ByTransaction { xid } else { id }.into(), false);
        self.chains.read(&Arc::from("tpro.co"), "key", Priority::default(), place);
    }

    /// A row has a reply.
    pub(super) fn settled(&mut self, variant: Variant, (xid, id): (u8, u8)) {
        let place = if variant == Variant::ByTransaction { xid } else { id };
        self.chains.settled(place.into());
        self.unsettled.remove(id);
        self.sent.remove(id);
        self.known.remove(id);
    }

    /// True if all that is visible in [`Reader::seen`] was read.
    pub(super) fn has_read_all(&self) -> bool {
        self.reader.is_between() && self.recovery.is_none()
    }

    pub(super) fn may_send(&self, variant: Variant) -> bool {
        let has_read = match variant {
            Variant::BeforeAllIsRead => self.recovery.is_none(),
            Variant::BeforeAllIsLookedThrough => self.reader.is_between(),
            _ => self.has_read_all(),
        };
        has_read && self.chains.are_free()
    }
}

impl State {
    /// `pg_current_snapshot`. It ends behind the latest transaction that is over, and others may
    /// run behind that.
    pub(super) fn now(&self) -> Snapshot {
        let running = self.writers.iter().filter_map(|writer| match writer {
            Writer::Begun { xid } | Writer::Inserted { xid, .. } => Some(*xid),
            _ => None,
        });
        let running: Vec<u8> = running.chain(self.strangers.iter()).collect();
        let latest = (1..self.next_xid).rev().find(|xid| !running.contains(xid)).unwrap_or(0);
        let xmax = u64::from(latest) + 1;
        let mut open: Vec<u64> = running.into_iter().map(u64::from).filter(|xid| *xid < xmax).collect();
        open.sort_unstable();
        Snapshot::new(open.first().copied().unwrap_or(xmax), xmax, open)
    }

    /// Committed rows: the transaction, the id, and those that were there before.
    pub(super) fn committed(&self) -> impl Iterator<Item = (u8, u8, Ids)> {
        self.writers.iter().filter_map(|writer| match writer {
            Writer::Committed { xid, id, before } => Some((*xid, *id, *before)),
            _ => None,
        })
    }

    pub(super) fn ids(&self) -> Ids {
        let mut ids = Ids::default();
        self.committed().for_each(|(_, id, _)| ids.add(id));
        ids
    }

    pub(super) fn row(&self, id: u8) -> (u8, u8) {
        self.committed().find(|row| row.1 == id).map_or((0, id), |(xid, id, _)| (xid, id))
    }

    /// The next row that a reader finds, from this id on.
    pub(super) fn next(&self, reader: &Reader, until: &Snapshot, first: i64) -> Option<(u8, u8)> {
        let window = reader.window();
        let place = |xid: u8, id: u8| (Xid(xid.into()), i64::from(id));
        self.committed()
            .filter(|(xid, ..)| sees(until, *xid) && !sees(&window.seen, *xid))
            .map(|(xid, id, _)| (xid, id))
            .filter(|(xid, id)| place(*xid, *id) > window.after && i64::from(*id) >= first)
            .min()
    }

    /// `read.sql`.
    pub(super) fn read(&mut self, variant: Variant) {
        let until = self.leader.reader.window().until.unwrap_or_else(|| self.now());
        let found = self.next(&self.leader.reader, &until, self.leader.floor.first());
        let last = found.map(|(xid, id)| (Xid(xid.into()), i64::from(id)));
        self.leader.reader.advance(until, last, found.is_some());
        if let Some(row) = found {
            self.leader.keep(variant, row);
        }
    }

    /// All pages of a window.
    pub(super) fn read_window(&mut self, variant: Variant) {
        self.read(variant);
        while !self.leader.reader.is_between() {
            self.read(variant);
        }
    }

    /// A page of the recovery.
    pub(super) fn look_through(&mut self, variant: Variant) {
        let Some(mut recovery) = self.leader.recovery.take() else { return };
        let Some(until) = recovery.window().until else { return };
        let found = self.next(&recovery, &until, i64::MIN);
        let last = found.map(|(xid, id)| (Xid(xid.into()), i64::from(id)));
        if let Some(row) = found.filter(|(_, id)| !self.replied.has(*id)) {
            self.leader.keep(variant, row);
        }
        if recovery.advance(until, last, found.is_some()) {
            self.leader.recovery = Some(recovery);
        } else {
            self.leader.floor = Floor::new(1, recovery.seen().clone());
        }
    }

    /// `look_back.sql`, and perhaps a move of the cursor, which is a transaction.
    pub(super) fn look_back(&mut self, variant: Variant, moves: bool) {
        let (seen, until) = (self.leader.floor.seen().clone(), self.leader.reader.seen().clone());
        if let Some(last) = self.leader.floor.last_below() {
            let is_new = |(xid, id): &(u8, u8)| {
                i64::from(*id) <= last && sees(&until, *xid) && !sees(&seen, *xid) && !self.replied.has(*id)
            };
            let found: Vec<_> = self.committed().map(|(xid, id, _)| (xid, id)).filter(is_new).collect();
            found.into_iter().for_each(|row| self.leader.keep(variant, row));
        }
        let drawn = i64::from(self.next_id) - 1;
        let counts = moves || variant == Variant::IdsOfOpenTransactions;
        self.leader.floor.looked_back(until, counts.then_some(drawn));
        if moves {
            self.cursor = (self.leader.floor.seen().clone(), self.leader.unsettled);
            self.next_xid += 1;
        }
    }

    /// The chains give out what may be sent.
    pub(super) fn send(&mut self, variant: Variant) {
        let open = self.leader.unsettled;
        let of_place = |place: i64| match variant {
            Variant::ByTransaction => self.committed().find(|row| i64::from(row.0) == place),
            _ => self.committed().find(|row| i64::from(row.1) == place),
        };
        let id = |place: i64| of_place(place).map(|(_, id, _)| id);
        let mut chains = self.leader.chains.clone();
        chains.forget_waiting(|place| id(place).is_some_and(|id| open.has(id)));
        // No message holds its key here.
        while let Some(asked) = chains.ask(true) {
            chains.asked(&asked, &[]);
        }
        let given = chains.give_out();
        let ids: Vec<u8> = given.iter().filter_map(|given| id(given.row.id())).collect();
        self.leader.chains = chains;
        ids.into_iter().for_each(|id| self.leader.sent.add(id));
    }

    /// A leader begins at the durable cursor.
    pub(super) fn begin(&mut self, variant: Variant, leader: Leader) {
        self.leader = leader;
        let pending = self.cursor.1.without(self.replied);
        for id in pending.iter() {
            self.leader.keep(variant, self.row(id));
        }
    }
}
