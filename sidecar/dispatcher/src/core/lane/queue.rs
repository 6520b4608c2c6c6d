//! The rows of a lane that wait as ids, and the reads for them.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// The pause between two reads of a few rows for a lane whose window is not half free.
const FETCH_PAUSE: Duration = Duration::from_millis(10);
/// The room that a queue keeps when it has emptied after a flood.
const KEPT: usize = 1024;

/// A row that waits as its id. The sign of the number carries whether it may have run already (ids
/// are positive), since there may be millions of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting(i64);

impl Waiting {
    /// A row with this id.
    pub fn new(id: i64, may_have_run: bool) -> Self {
        Self(if may_have_run { -id } else { id })
    }

    /// Its id.
    pub fn id(self) -> i64 {
        self.0.abs()
    }

    /// True if a leader before us may have sent it.
    pub fn may_have_run(self) -> bool {
        self.0 < 0
    }
}

/// The rows of a lane that wait.
#[derive(Default)]
pub struct Queue {
    rows: VecDeque<Waiting>,
    /// The size of the first of them, if it was fetched and had to be put back; else 0.
    first: usize,
    /// Rows asked for by a read that is under way.
    fetching: usize,
    /// When rows were last asked for.
    fetched: Option<Instant>,
    /// Half the window was free then.
    opened: bool,
}

impl Queue {
    /// Rows that wait.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Rows that are being fetched.
    pub fn fetching(&self) -> usize {
        self.fetching
    }

    /// The size of the first row, where it is known.
    pub fn first(&self) -> Option<usize> {
        (self.first > 0).then_some(self.first)
    }

    /// True if the last read was one for half a free window.
    pub fn has_opened(&self) -> bool {
        self.opened
    }

    /// Keeps a row behind the others.
    pub fn push(&mut self, row: Waiting) {
        self.rows.push_back(row);
    }

    /// Puts a fetched row of this size back before the others.
    pub fn put_back(&mut self, row: Waiting, bytes: usize) {
        self.rows.push_front(row);
        self.first = bytes;
    }

    /// When the next few rows may be read, though half the window is not free.
    pub fn next_fetch(&self) -> Option<Instant> {
        self.fetched.map(|last| last + FETCH_PAUSE)
    }

    /// Hands out so many rows; they are going to be fetched. `opened` says whether half the window
    /// is free.
    pub fn fetch(&mut self, count: usize, opened: bool, now: Instant, take: impl FnMut(Waiting)) {
        (self.opened, self.fetched) = (opened, Some(now));
        self.fetching += count;
        self.first = 0;
        self.rows.drain(..count).for_each(take);
        self.shrink();
    }

    /// A row that was asked for has come, or will not.
    pub fn fetched(&mut self) {
        self.fetching = self.fetching.saturating_sub(1);
    }

    /// Drops rows that are not to be kept; how many they were.
    pub fn forget(&mut self, keep: impl Fn(i64) -> bool) -> usize {
        let (before, first) = (self.rows.len(), self.rows.front().copied());
        self.rows.retain(|row| keep(row.id()));
        if self.rows.front().copied() != first {
            self.first = 0;
        }
        self.shrink();
        before - self.rows.len()
    }

    /// After a flood the queue would keep its largest size.
    fn shrink(&mut self) {
        if self.rows.is_empty() {
            self.rows.shrink_to(KEPT);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_of_a_row_that_was_put_back_says_nothing_of_the_next() {
        let mut queue = Queue::default();
        queue.push(Waiting::new(2, false));
        queue.put_back(Waiting::new(1, false), 500);
        assert_eq!(queue.first(), Some(500));
        let mut taken = Vec::new();
        queue.fetch(1, true, Instant::now(), |row| taken.push(row.id()));
        assert_eq!((taken, queue.first(), queue.len(), queue.fetching()), (vec![1], None, 1, 1));
    }
}
