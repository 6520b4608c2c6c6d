//! Young transactions.
//!
//! A read may look through all rows that were written since the oldest open transaction began, as
//! long as that was a moment ago. A transaction that stays open for long may have written millions
//! of rows, which must not be looked at again by each read. Where one of the cluster is open for
//! long, all reads are general ones.

use std::time::{Duration, Instant};

use super::snapshot::Snapshot;

/// Two marks lie so far apart, or farther where reads are rarer.
const SPAN: Duration = Duration::from_millis(20);

/// Nothing older is young.
const AGE: Duration = Duration::from_millis(80);

/// More transactions since the oldest that is open are many: even if each wrote one row, to look at
/// those that were read before would take as long as to leave them out.
const MANY: u64 = 256;

/// All transactions from `xmax` on are younger than this moment.
struct Mark {
    at: Instant,
    xmax: u64,
}

/// Remembers how far transactions had come a moment ago.
#[derive(Default)]
pub struct Young {
    older: Option<Mark>,
    newer: Option<Mark>,
}

impl Young {
    /// A snapshot was taken, at this moment or later.
    pub fn took(&mut self, snapshot: &Snapshot, at: Instant) {
        if self.newer.as_ref().is_none_or(|newer| at >= newer.at + SPAN) {
            self.older = self.newer.replace(Mark { at, xmax: snapshot.xmax() });
        }
    }

    /// True if all transactions that were open in this snapshot are young, with few behind them.
    pub fn are_open_in(&self, snapshot: &Snapshot, now: Instant) -> bool {
        let are_few = snapshot.xmax() - snapshot.xmin() <= MANY;
        let is_young = |older: &Mark| snapshot.xmin() >= older.xmax && now <= older.at + AGE;
        are_few && self.older.as_ref().is_some_and(is_young)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_is_young_until_the_mark_before_it_is_old() {
        let start = Instant::now();
        let mut young = Young::default();
        let mut taken = |xmin, xmax, at| {
            let (snapshot, at) = (Snapshot::of(xmin, xmax), start + at);
            young.took(&snapshot, at);
            young.are_open_in(&snapshot, at)
        };
        assert!(!taken(10, 12, Duration::ZERO), "nobody knows when it began");
        assert!(!taken(10, 14, SPAN), "it was open before");
        assert!(taken(12, 16, SPAN), "it is younger than the first mark");
        assert!(taken(12, 20, SPAN * 3 / 2));
        assert!(!taken(12, 22, SPAN * 2), "the mark before it is gone");
        assert!(taken(14, 14 + MANY, SPAN * 2));
        assert!(!taken(14, 15 + MANY, SPAN * 2), "too many are behind it");
    }

    #[test]
    fn nothing_is_young_after_a_long_time_without_reads() {
        let start = Instant::now();
        let mut young = Young::default();
        young.took(&Snapshot::at(10), start);
        let later = start + AGE + SPAN;
        young.took(&Snapshot::of(20, 40), later);
        assert!(!young.are_open_in(&Snapshot::of(20, 40), later));
    }
}
