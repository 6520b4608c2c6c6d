//! The pace at which it is noted for publishers how much waits.

use std::time::{Duration, Instant};

use super::snapshot::Snapshot;

/// The least time between two notes.
const PAUSE: Duration = Duration::from_secs(1);

/// The time after which it is noted again, though nothing of it is new here. Ids that others have
/// drawn and rolled back count as a backlog until the next note, and a publisher that is refused
/// for it cannot ring.
const AGAIN: Duration = Duration::from_secs(15);

/// The things that a note says, and the snapshot by which they were found.
#[derive(PartialEq, Eq)]
pub struct Backlog {
    /// Rows that were read and are not known to be settled.
    pub unsettled: i64,
    /// True if nothing is left to be read.
    pub whole: bool,
    /// The last id that was read.
    pub read: i64,
    /// All that is visible in it was read. A transaction that ends makes the next snapshot another
    /// one.
    pub seen: Snapshot,
}

/// When the backlog was noted, and if it is being noted.
pub struct Note {
    /// When it was last looked if there is something to note.
    looked: Instant,
    /// When it was last noted.
    noted: Instant,
    noting: bool,
    /// The last note. While nothing happens, a further one would say the same.
    last: Option<Backlog>,
}

impl Note {
    pub fn new(now: Instant) -> Self {
        Self { looked: now, noted: now, noting: false, last: None }
    }

    /// True if it is time for a note.
    pub fn is_due(&self, now: Instant) -> bool {
        !self.noting && now >= self.looked + PAUSE
    }

    /// A note of this backlog begins. False, and none does, if the last one says the same and was
    /// made lately.
    pub fn begins(&mut self, backlog: Backlog, now: Instant) -> bool {
        self.looked = now;
        self.noting = now >= self.noted + AGAIN || self.last.as_ref() != Some(&backlog);
        if self.noting {
            self.noted = now;
        }
        self.last = Some(backlog);
        self.noting
    }

    pub fn done(&mut self) {
        self.noting = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backlog(unsettled: i64, xmax: u64) -> Backlog {
        Backlog { unsettled, whole: true, read: 7, seen: Snapshot::new(xmax, xmax, Vec::new()) }
    }

    #[test]
    fn it_is_noted_once_a_second_and_only_if_it_is_new() {
        let start = Instant::now();
        let mut note = Note::new(start);
        assert!(!note.is_due(start));
        let mut now = start + PAUSE;
        assert!(note.is_due(now) && note.begins(backlog(3, 10), now));
        assert!(!note.is_due(now + PAUSE), "one is under way");
        note.done();
        assert!(!note.is_due(now), "a second has not passed");
        now += PAUSE;
        assert!(note.is_due(now) && !note.begins(backlog(3, 10), now), "it says the same");
        now += PAUSE;
        assert!(note.is_due(now) && note.begins(backlog(3, 11), now), "ids may have been given out");
        note.done();
        now += PAUSE;
        assert!(note.is_due(now) && note.begins(backlog(2, 11), now));
        note.done();
        assert!(!note.begins(backlog(2, 11), now + AGAIN - PAUSE));
        assert!(note.begins(backlog(2, 11), now + AGAIN), "ids may have been drawn and rolled back");
    }
}
