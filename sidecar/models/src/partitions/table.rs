//! A partitioned table, as PostgreSQL keeps it: a row goes where its id belongs, and bounds never
//! overlap.

use tpro_maintenance::bounds::Bounds;

use super::ids::Ids;

/// A partition that is attached.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Part {
    /// Its bounds.
    pub(super) bounds: Bounds,
    /// Ids of its rows, committed or not.
    pub(super) rows: Ids,
    /// A row was put into it once, committed or not: `pg_relation_size` is above 0.
    pub(super) used: bool,
    /// A constraint refuses ids from here on.
    pub(super) check: Option<i64>,
}

impl Part {
    pub(super) fn empty(low: i64, high: i64) -> Self {
        Self { bounds: Bounds { low, high }, rows: Ids::default(), used: false, check: None }
    }

    /// The number of ids that it may have.
    pub(super) fn width(&self) -> i64 {
        self.bounds.high - self.bounds.low
    }
}

/// A partitioned table: its partitions, in order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Table {
    pub(super) parts: Vec<Part>,
}

impl Table {
    /// So many partitions, and the overflow partition.
    pub(super) fn new(width: i64, parts: i64) -> Self {
        let ahead = (0..parts).map(|part| Part::empty(part * width, (part + 1) * width));
        Self { parts: ahead.chain([Part::empty(parts * width, i64::MAX)]).collect() }
    }

    /// The place of the partition for this id.
    pub(super) fn place(&self, id: i64) -> Option<usize> {
        self.parts.iter().position(|part| part.bounds.low <= id && id < part.bounds.high)
    }

    pub(super) fn at(&self, low: i64) -> Option<usize> {
        self.parts.iter().position(|part| part.bounds.low == low)
    }

    /// True if some partition has this row.
    pub(super) fn has(&self, id: i64) -> bool {
        self.parts.iter().any(|part| part.rows.contains(id))
    }

    /// Inserts a row. None: the statement is refused.
    pub(super) fn insert(&mut self, id: i64) -> Option<()> {
        let place = self.place(id)?;
        let part = &mut self.parts[place];
        if part.check.is_some_and(|bound| id >= bound) {
            return None;
        }
        part.rows.insert(id);
        part.used = true;
        Some(())
    }

    /// The transaction of this row is rolled back.
    pub(super) fn roll_back(&mut self, id: i64) {
        self.parts.iter_mut().for_each(|part| part.rows.remove(id));
    }

    /// Attaches a partition. None: PostgreSQL refuses bounds that have nothing between them, and
    /// bounds that overlap others.
    pub(super) fn attach(&mut self, part: Part) -> Option<()> {
        if part.width() <= 0 || self.parts.iter().any(|other| other.bounds.overlaps(part.bounds)) {
            return None;
        }
        let place = self.parts.partition_point(|other| other.bounds.low < part.bounds.low);
        self.parts.insert(place, part);
        Some(())
    }

    /// Each row is in the partition of its id.
    pub(super) fn is_in_order(&self) -> bool {
        self.parts
            .iter()
            .all(|part| part.rows.iter().all(|id| part.bounds.low <= id && id < part.bounds.high))
    }

    /// From this id on, each id has a partition, and no id has two.
    pub(super) fn covers_from(&self, from: i64) -> bool {
        let Some(first) = self.place(from) else { return false };
        let meet = |pair: &[Part]| pair[0].bounds.high == pair[1].bounds.low;
        self.parts[first..].windows(2).all(meet)
            && self.parts.windows(2).all(|pair| pair[0].bounds.high <= pair[1].bounds.low)
            && self.parts.last().is_some_and(|last| last.bounds.is_rest())
    }
}
