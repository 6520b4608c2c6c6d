//! The state of the partitions' model: two tables, their users, and who changes them.

use super::{Partitions, ids::Ids, make::Plan, table::Table};

/// The outbox, among the tables.
pub(super) const OUTBOX: usize = 0;
/// The replies, among the tables.
pub(super) const REPLIES: usize = 1;

/// The place of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Message {
    /// Nobody has published it yet.
    Waiting,
    /// Its INSERT has its id, uses the outbox, and has not written.
    Drawn(i64),
    /// Its row is written and not committed.
    Written(i64),
    /// Its row is committed.
    Committed(i64),
    /// Its reply is written and not committed.
    Replying(i64),
    /// Its reply is committed.
    Settled {
        /// The id.
        id: i64,
        /// The reply is as old as retention asks for.
        old: bool,
    },
    /// It was dropped by retention.
    Dropped(i64),
    /// It was rolled back, or refused.
    Over,
}

impl Message {
    /// The id of a message whose row must be in the outbox.
    pub(super) fn row(&self) -> Option<i64> {
        match *self {
            Self::Written(id) | Self::Committed(id) | Self::Replying(id) | Self::Settled { id, .. } => {
                Some(id)
            }
            _ => None,
        }
    }

    /// The id of a message whose reply must be among the replies.
    pub(super) fn reply(&self) -> Option<i64> {
        match *self {
            Self::Replying(id) | Self::Settled { id, .. } => Some(id),
            _ => None,
        }
    }

    /// The id of a message whose reply is young.
    pub(super) fn young(&self) -> Option<i64> {
        match *self {
            Self::Settled { id, old: false } => Some(id),
            _ => None,
        }
    }

    /// True if its transaction uses the table.
    fn uses(&self, table: usize) -> bool {
        match self {
            Self::Drawn(_) | Self::Written(_) => table == OUTBOX,
            // The statement that settles looks for the message.
            Self::Replying(_) => true,
            _ => false,
        }
    }
}

/// A long read of one table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reader {
    /// The table.
    pub(super) table: usize,
    /// It reads every partition, and not only one that nobody wants to drop.
    pub(super) all: bool,
}

/// The place of a maintainer. All up to the change is one transaction.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// Between two calls.
    Idle,
    /// Has a plan for a table, and no lock.
    Planned(usize, Plan),
    /// Release 0.1.0: has committed a constraint that is to prove the bound.
    Bounded(usize, Plan),
    /// Has made new tables, which are like the partitioned one: it uses that.
    Made(usize, Plan),
    /// Has looked at a partition of a table, which may go.
    Looked(usize, i64),
    /// Has locked it against writers, and has looked closely.
    Locked(usize, i64),
}

/// A maintainer: a sidecar's, or a person's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Maintainer {
    pub(super) width: i64,
    pub(super) step: Step,
}

/// One state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    pub(super) tables: [Table; 2],
    /// In order: which is which does not matter.
    pub(super) messages: Vec<Message>,
    /// In order, too.
    pub(super) maintainers: Vec<Maintainer>,
    /// The first id that the sequence has not given out.
    pub(super) next: i64,
    pub(super) reader: Option<Reader>,
    pub(super) reads: u8,
    pub(super) jumps: u8,
    /// The sequence may be set back to this id.
    pub(super) jumped_from: Option<i64>,
    /// An INSERT was refused.
    pub(super) refused: bool,
}

impl State {
    pub(super) fn begin(model: &Partitions) -> Self {
        let width = model.widths[0];
        let maintainer = |width: &i64| Maintainer { width: *width, step: Step::Idle };
        let mut state = Self {
            tables: [Table::new(width, model.parts), Table::new(width, model.parts)],
            messages: vec![Message::Waiting; model.messages],
            maintainers: model.widths.iter().map(maintainer).collect(),
            next: 1,
            reader: None,
            reads: model.reads,
            jumps: model.jumps,
            jumped_from: None,
            refused: false,
        };
        if let Some(id) = model.leftover {
            state.refused = state.tables[OUTBOX].insert(id).is_none();
            state.messages.push(Message::Committed(id));
        }
        state.sort();
        state
    }

    pub(super) fn sort(&mut self) {
        self.messages.sort_unstable();
        self.maintainers.sort_unstable();
    }

    /// Rows of the outbox that are not committed.
    pub(super) fn open_rows(&self) -> Ids {
        let open = |message: &Message| match message {
            Message::Written(id) => Some(*id),
            _ => None,
        };
        self.messages.iter().filter_map(open).collect()
    }

    /// Replies that are not committed.
    pub(super) fn open_replies(&self) -> Ids {
        let open = |message: &Message| match message {
            Message::Replying(id) => Some(*id),
            _ => None,
        };
        self.messages.iter().filter_map(open).collect()
    }

    /// Ids that a look at the replies finds.
    pub(super) fn visible_replies(&self) -> Ids {
        let rows = self.tables[REPLIES].parts.iter().flat_map(|part| part.rows.iter());
        rows.collect::<Ids>().without(self.open_replies())
    }

    pub(super) fn open(&self, table: usize) -> Ids {
        if table == OUTBOX { self.open_rows() } else { self.open_replies() }
    }

    /// ACCESS EXCLUSIVE on the partitioned table is to be had by this maintainer, `tpro.lock_soon`.
    pub(super) fn is_free(&self, table: usize, who: usize) -> bool {
        let uses = |step: &Step| match step {
            Step::Made(used, _) => *used == table,
            // The look at a partition of the outbox reads the replies.
            Step::Looked(used, _) | Step::Locked(used, _) => *used == OUTBOX && table == REPLIES,
            _ => false,
        };
        let mut others = self.maintainers.iter().enumerate().filter(|(other, _)| *other != who);
        self.reader.is_none_or(|reader| reader.table != table)
            && !self.messages.iter().any(|message| message.uses(table))
            && !others.any(|(_, other)| uses(&other.step))
    }

    /// ACCESS EXCLUSIVE on one partition is to be had by this maintainer.
    pub(super) fn is_part_free(&self, table: usize, low: i64, who: usize) -> bool {
        let Some(place) = self.tables[table].at(low) else { return false };
        let reads = |reader: Reader| reader.table == table && reader.all;
        let written = self.tables[table].parts[place].rows.without(self.open(table));
        !self.reader.is_some_and(reads)
            && written == self.tables[table].parts[place].rows
            && !self.is_locked(table, low, Some(who))
    }

    /// A maintainer, other than this one, has locked the partition against writers.
    pub(super) fn is_locked(&self, table: usize, low: i64, but: Option<usize>) -> bool {
        let mut others = self.maintainers.iter().enumerate().filter(|(other, _)| Some(*other) != but);
        others.any(|(_, other)| other.step == Step::Locked(table, low))
    }

    /// Each id that may still be written to the table has a partition.
    pub(super) fn has_place_for_all_to_come(&self, table: usize) -> bool {
        let coming = |message: &Message| match *message {
            Message::Drawn(id) => Some(id),
            Message::Written(id) | Message::Committed(id) if table == REPLIES => Some(id),
            _ => None,
        };
        let table = &self.tables[table];
        let mut coming = self.messages.iter().filter_map(coming);
        coming.all(|id| table.place(id).is_some()) && table.covers_from(self.next)
    }
}
