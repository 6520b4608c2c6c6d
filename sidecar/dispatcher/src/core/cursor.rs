//! When the durable cursor moves, and what it says is pending.
//!
//! It may move only between two windows of the reader, when everything read is visible in the
//! reader's snapshot, and it names every row that was read and whose reply is not known to be
//! committed. Naming one too many does no harm: who reads the cursor leaves out what has a reply.

use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;

use super::snapshot::Snapshot;

/// The least pause between two moves: each move is an update of one row, and saves the next leader
/// a second's rows.
const INTERVAL: Duration = Duration::from_secs(1);
/// The least pause between two moves when partitions are left out of reads: what is in them has to
/// be looked for first, which looks into every partition there is.
const LOOKING_BACK: Duration = Duration::from_secs(5);
/// The most pending ids it carries; with more of them it stays where it is.
const PENDING: usize = 10_000;

/// The durable cursor: where reading begins.
#[derive(Clone, Debug)]
pub struct Cursor {
    /// Everything visible in it has been read.
    pub snapshot: Snapshot,
    /// Rows that were read and had no reply then.
    pub pending: Vec<i64>,
    /// Nothing that is not visible in the snapshot has been sent by anybody.
    pub clean: bool,
}

/// Rows that were read and not yet settled for certain: a bit per id, 64 of them a word. Ids come
/// from a sequence, so that words are mostly full, and a million waiting rows cost a fraction of a
/// megabyte.
#[derive(Default)]
pub struct Unsettled {
    words: FxHashMap<i64, u64>,
    len: usize,
}

impl Unsettled {
    /// Adds a row. Returns false if it was there.
    pub fn add(&mut self, id: i64) -> bool {
        let word = self.words.entry(id >> 6).or_default();
        let added = *word & bit(id) == 0;
        *word |= bit(id);
        self.len += usize::from(added);
        added
    }

    /// Takes a row out.
    pub fn remove(&mut self, id: i64) {
        if let Some(word) = self.words.get_mut(&(id >> 6))
            && *word & bit(id) != 0
        {
            *word &= !bit(id);
            self.len -= 1;
            if *word == 0 {
                self.words.remove(&(id >> 6));
            }
        }
    }

    /// Rows that are in it.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True if no row is in it.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// True if the row is in it.
    pub fn contains(&self, id: i64) -> bool {
        self.words.get(&(id >> 6)).is_some_and(|word| word & bit(id) != 0)
    }

    fn ids(&self) -> Vec<i64> {
        let mut ids: Vec<i64> = self.words.iter().flat_map(|(high, word)| ids_of(*high, *word)).collect();
        ids.sort_unstable();
        ids
    }

    /// The words there are, the last first.
    pub fn words(&self) -> Vec<i64> {
        let mut words: Vec<i64> = self.words.keys().copied().collect();
        words.sort_unstable_by(|a, b| b.cmp(a));
        words
    }

    /// The ids in this word, in order.
    pub fn ids_in(&self, word: i64) -> impl Iterator<Item = i64> + use<> {
        ids_of(word, self.words.get(&word).copied().unwrap_or(0))
    }

    /// The rows that the cursor says are pending; none when there is too much of it for the cursor
    /// to move.
    pub fn pending(&self) -> Option<Vec<i64>> {
        (self.len <= PENDING).then(|| self.ids())
    }
}

fn ids_of(high: i64, word: u64) -> impl Iterator<Item = i64> {
    (0..64).filter(move |low| word & (1 << low) != 0).map(move |low| (high << 6) | low)
}

fn bit(id: i64) -> u64 {
    1 << (id & 63)
}

/// The pace at which the cursor moves.
pub struct Pace {
    last: Instant,
    /// Something was read or settled since. Without it a move would only be a reason for the next
    /// one: it takes a transaction id, and so makes another snapshot.
    news: bool,
    moving: bool,
}

impl Pace {
    /// The pace of a leader that begins now.
    pub fn new(now: Instant) -> Self {
        Self { last: now, news: false, moving: false }
    }

    /// Something was read or settled.
    pub fn news(&mut self) {
        self.news = true;
    }

    /// When to look back, and to move if there is news; none when there is no reason to. `below`
    /// says that there is something to be looked back for, and `behind` that transactions have
    /// ended since.
    pub fn due(&self, below: bool, behind: bool) -> Option<Instant> {
        let interval = if below || !self.news { LOOKING_BACK } else { INTERVAL };
        ((self.news || behind) && !self.moving).then(|| self.last + interval)
    }

    /// True if there is something to move for.
    pub fn has_news(&self) -> bool {
        self.news
    }

    /// True while it is being moved.
    pub fn is_moving(&self) -> bool {
        self.moving
    }

    /// It is being moved.
    pub fn begun(&mut self, now: Instant) {
        (self.last, self.news, self.moving) = (now, false, true);
    }

    /// It was moved.
    pub fn moved(&mut self) {
        self.moving = false;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn unsettled_rows_are_a_set(steps in proptest::collection::vec((any::<bool>(), 1i64..300), 0..300)) {
            let (mut unsettled, mut model) = (Unsettled::default(), BTreeSet::new());
            for (add, id) in steps {
                if add {
                    prop_assert_eq!(unsettled.add(id), model.insert(id));
                } else {
                    unsettled.remove(id);
                    model.remove(&id);
                }
                prop_assert_eq!(unsettled.len(), model.len());
            }
            let swept: Vec<i64> = unsettled.words().into_iter().rev().flat_map(|w| unsettled.ids_in(w)).collect();
            prop_assert!(swept.iter().copied().eq(model.iter().copied()));
            prop_assert!((0..300).all(|id| unsettled.contains(id) == model.contains(&id)));
            prop_assert_eq!(unsettled.pending(), Some(model.into_iter().collect()));
        }
    }

    #[test]
    fn with_too_many_rows_pending_the_cursor_stays() {
        let mut unsettled = Unsettled::default();
        (1..=PENDING as i64 + 1).for_each(|id| assert!(unsettled.add(id)));
        assert_eq!(unsettled.pending(), None);
        unsettled.remove(1);
        assert_eq!(unsettled.pending().map(|ids| ids.len()), Some(PENDING));
        assert!(unsettled.words.len() < 200);
    }

    #[test]
    fn it_moves_at_most_once_a_second_and_only_when_there_is_news() {
        let now = Instant::now();
        let mut pace = Pace::new(now);
        assert_eq!(pace.due(false, false), None);
        assert_eq!(pace.due(false, true), Some(now + LOOKING_BACK), "to look back, and not to move");
        assert!(!pace.has_news());
        pace.news();
        assert_eq!(pace.due(false, true), Some(now + INTERVAL));
        assert_eq!(pace.due(true, false), Some(now + LOOKING_BACK));
        pace.begun(now + INTERVAL);
        pace.news();
        assert_eq!(pace.due(false, true), None, "one at a time");
        pace.moved();
        assert_eq!(pace.due(false, false), Some(now + 2 * INTERVAL));
    }
}
