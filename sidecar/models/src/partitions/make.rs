//! The model's own copy of `tpro.make_partitions` (`sql/pg_tpro--*.sql`), for tables by id: its
//! look before the lock, which is a plan, and its changes under the lock.
//!
//! Left out are names, the greatest key, foreign keys, and partitions by day.

use tpro_maintenance::bounds::Bounds;

use super::{
    ids::Ids,
    table::{Part, Table},
    variant::Variant,
};

/// Partitions that are made ahead; the product makes 4.
const WANTED: usize = 2;
/// Fewer than this are too few.
pub(super) const ENOUGH: usize = WANTED.div_ceil(2);

/// A used partition that is too wide, and is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cut {
    /// The partition.
    pub(super) low: i64,
    /// It ends here.
    pub(super) bound: i64,
    /// It was the overflow partition, and another takes its place.
    is_rest: bool,
}

/// The changes that are made under the lock.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Plan {
    /// The used partition that is cut.
    pub(super) cut: Option<Cut>,
    /// Partitions from here on are empty, and are replaced.
    from: i64,
    new: Vec<Bounds>,
    /// The overflow partition begins here.
    rest: i64,
}

impl Plan {
    /// The look before the lock. `next` is the first id that was not given out, `open` the rows
    /// that nobody sees yet. None: nothing is to be done.
    pub(super) fn new(table: &Table, next: i64, open: Ids, width: i64, variant: Variant) -> Option<Self> {
        let parts = &table.parts;
        let rest = parts.last().filter(|last| last.bounds.is_rest())?.bounds;
        let used = parts.iter().rfind(|part| part.bounds.low < next || part.used);
        let in_use = used.filter(|used| !used.bounds.is_passed(next));
        let bound = in_use.map(|used| {
            let last = used.rows.without(open).last().unwrap_or(0);
            let last = if variant == Variant::BoundBySequence { 0 } else { last };
            let low = if variant == Variant::BoundByRowsAlone { 0 } else { used.bounds.low };
            let beyond = next.max(last + 1).max(low);
            let all = ((beyond + width) / width + 1) * width;
            let is_single = variant.cuts_singly() && used.bounds.is_rest();
            if is_single { (used.bounds.low / width + 1) * width } else { all }
        });
        let cut = used.zip(bound).and_then(|(used, bound)| {
            let is_rest = used.bounds.is_rest();
            let cut = Cut { low: used.bounds.low, bound, is_rest };
            (bound < used.bounds.high && used.width() > width && used.used).then_some(cut)
        });
        let (mut first, mut ahead) = (cut.map(|cut| cut.bound), 0);
        if cut.is_none() {
            let after = used.map_or(0, |used| used.bounds.high);
            let is_odd = |part: &&Part| {
                let bounds = part.bounds;
                let is_later = !bounds.is_passed(next) && bounds.low >= after;
                !bounds.is_rest() && part.width() != width && is_later
            };
            first = parts.iter().find(is_odd).map(|part| part.bounds.low);
            // One that the sequence has come to and that was never written to is replaced, too.
            if let Some(used) = in_use.filter(|used| !used.used && used.width() != width) {
                first = Some(used.bounds.low);
            }
            let end = first.unwrap_or(rest.low);
            ahead = parts.iter().filter(|it| it.bounds.low >= next && it.bounds.high <= end).count();
            if first.is_none() && ahead >= ENOUGH {
                return None;
            }
        }
        let from = first.unwrap_or(rest.low);
        let (mut low, mut high) = (from, (from.max(next) / width + 1) * width);
        let mut new = Vec::new();
        while ahead < WANTED {
            new.push(Bounds { low, high });
            ahead += usize::from(low >= next);
            (low, high) = (high, high + width);
        }
        let there = parts.iter().map(|part| part.bounds).filter(|it| it.low >= from && !it.is_rest());
        let is_there = there.map(|it| it.high).eq(new.iter().map(|it| it.high));
        if cut.is_none() && first.is_some() && is_there {
            return None;
        }
        Some(Self { cut, from, new, rest: low })
    }

    /// True if the changes begin at this partition, or before it.
    pub(super) fn touches(&self, part: &Part) -> bool {
        part.bounds.low >= self.from || self.cut.is_some_and(|cut| cut.low == part.bounds.low)
    }

    /// The changes under the lock, when nobody else uses the table. None: all is undone.
    pub(super) fn apply(&self, table: &mut Table, variant: Variant) -> Option<()> {
        let is_new_rest = self.cut.is_some_and(|cut| cut.is_rest);
        let goes = |part: &Part| part.bounds.low >= self.from && !(part.bounds.is_rest() && is_new_rest);
        // Partitions that were empty may have rows by now.
        let is_used = table.parts.iter().any(|part| goes(part) && part.used);
        if is_used && variant != Variant::ReplacedWithoutLook {
            return None;
        }
        table.parts.retain(|part| !goes(part));
        if let Some(cut) = self.cut {
            let place = table.at(cut.low)?;
            let mut part = table.parts.remove(place);
            let is_beyond = part.rows.last().is_some_and(|last| last >= cut.bound);
            let looks = !matches!(variant, Variant::CutWithoutLook | Variant::CheckBeforehand);
            if is_beyond && looks {
                return None;
            }
            (part.bounds.high, part.check) = (cut.bound, None);
            table.attach(part)?;
        }
        for bounds in &self.new {
            table.attach(Part::empty(bounds.low, bounds.high))?;
        }
        table.attach(Part::empty(self.rest, i64::MAX))
    }
}
