//! Where reading begins: the floor, an id below which all messages that were ever published have
//! been read.
//!
//! The outbox is partitioned by ids, and a read goes by transactions, so that it looks into every
//! partition there is. With hundreds of them nearly all of its time goes into those that have had
//! nothing new for days. So a read asks for ids from the floor on, by which PostgreSQL leaves the
//! other partitions out.
//!
//! **When it rises.** All ids up to the last one that was drawn at some moment belong to
//! transactions of that moment. When all of these are over, and what they committed was read, the
//! floor may rise behind that id. It rises by whole partitions, since a part of one saves nothing.
//!
//! **Nothing hangs on it.** An id can be drawn before its transaction has a number of its own (both
//! happen in one INSERT, and a process can stand still between them), an operator puts back what
//! was lost, and a message that is sent later has the id of its publish. So from time to time, and
//! whenever the last of these has happened, the leader *looks back*: it reads below the floor what
//! became visible since it looked back last. The cursor moves no further than that, so that the
//! leader that leads next begins there, without a floor. Too high a floor would make a message
//! late; it cannot make it lost. The model is `sidecar/models/src/cursor.rs`.

use super::snapshot::Snapshot;

/// Where reads begin, and how far was looked back below it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Floor {
    /// Ids of a partition.
    width: i64,
    /// The first id that reads ask for; none: they ask for all.
    first: Option<i64>,
    /// Everything visible in it has been read, no matter which id it has.
    seen: Snapshot,
    /// All ids up to these were drawn when the last look back, and the one before it, had ended
    /// after which the cursor has moved.
    drawn: [Option<i64>; 2],
    /// Where the floor will be when all transactions before this one are over.
    next: Option<(i64, u64)>,
}

impl Floor {
    /// Everything visible in `seen` has been read; there is no floor yet. `width` is how many ids a
    /// partition has: the floor is as useful with another number, at the price of a part of a
    /// partition that is looked through.
    pub fn new(width: i64, seen: Snapshot) -> Self {
        Self { width: width.max(1), first: None, seen, drawn: [None; 2], next: None }
    }

    /// The first id that reads ask for.
    pub fn first(&self) -> i64 {
        self.first.unwrap_or(i64::MIN)
    }

    /// The last id that is looked back for; none while reads ask for all.
    pub fn last_below(&self) -> Option<i64> {
        self.first.map(|first| first - 1)
    }

    /// Everything visible in it has been read, no matter which id it has.
    pub fn seen(&self) -> &Snapshot {
        &self.seen
    }

    /// Everything below the floor that is visible in `seen` has been read, as has everything else;
    /// `drawn` is the last id that was drawn when that was known. None: the cursor does not move
    /// then. Its move is a transaction: the transactions that have drawn these ids are among those
    /// before the end of each snapshot after it, also while they are open.
    pub fn looked_back(&mut self, seen: Snapshot, drawn: Option<i64>) {
        // Reading may have stood still: a row with one of the ids known now may be visible by now,
        // and not be read. It must not come after others that the floor lets through.
        if seen == self.seen {
            return;
        }
        if let Some((first, _)) = self.next.take_if(|(_, before)| seen.xmin() >= *before) {
            self.first = Some(first);
        }
        // `seen` is of a read that was answered after the look back before this one began, and
        // so after the one before that had ended: a row with one of the ids known then is before
        // it, or over in it.
        if let [_, Some(drawn)] = self.drawn {
            let first = (drawn + 1).div_euclid(self.width) * self.width;
            if self.next.is_none() && first > self.first.unwrap_or(0) {
                self.next = Some((first, seen.xmax()));
            }
        }
        if drawn.is_some() {
            self.drawn = [drawn, self.drawn[0]];
        }
        self.seen = seen;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_rises_behind_an_id_when_all_transactions_of_then_are_over() {
        let mut floor = Floor::new(100, Snapshot::at(1));
        assert_eq!((floor.first(), floor.last_below()), (i64::MIN, None));
        floor.looked_back(Snapshot::at(10), Some(250));
        floor.looked_back(Snapshot::at(20), Some(260));
        floor.looked_back(Snapshot::of(12, 30), Some(390));
        assert_eq!(floor.last_below(), None, "only now it is known which transactions can have the 250 ids");
        floor.looked_back(Snapshot::of(29, 40), Some(400));
        assert_eq!(floor.last_below(), None, "one of them is open");
        floor.looked_back(Snapshot::of(30, 50), Some(410));
        assert_eq!((floor.first(), floor.last_below()), (200, Some(199)));
        floor.looked_back(Snapshot::of(50, 60), Some(420));
        assert_eq!(floor.first(), 300);
        assert_eq!(floor.seen(), &Snapshot::of(50, 60));
    }

    #[test]
    fn it_does_not_rise_while_nothing_is_read() {
        let mut floor = Floor::new(100, Snapshot::at(1));
        floor.looked_back(Snapshot::at(10), Some(250));
        for drawn in 300..310 {
            floor.looked_back(Snapshot::at(10), Some(drawn));
        }
        assert_eq!(floor.last_below(), None);
        [20, 30, 40].into_iter().for_each(|xid| floor.looked_back(Snapshot::at(xid), Some(400)));
        assert_eq!(floor.last_below(), Some(199), "of the ids that were known at 10");
    }

    #[test]
    fn it_stays_where_it_is_within_a_partition_and_never_falls() {
        let mut floor = Floor::new(100, Snapshot::at(1));
        for (xid, drawn) in [(10, 99), (20, 99), (30, 99), (40, 99), (50, 99), (60, 99), (70, 99), (80, 99)] {
            floor.looked_back(Snapshot::at(xid), Some(drawn));
        }
        assert_eq!(floor.first(), 100);
        for xid in 90..100 {
            // Somebody has set the sequence back.
            floor.looked_back(Snapshot::at(xid), Some(5));
        }
        assert_eq!(floor.first(), 100);
    }
}
