//! The pace at which it is noted for publishers how much waits.

use std::time::{Duration, Instant};

/// The least time between two notes.
const PAUSE: Duration = Duration::from_secs(1);

/// When the backlog was noted, and if it is being noted.
pub struct Note {
    noted: Instant,
    noting: bool,
}

impl Note {
    pub fn new(now: Instant) -> Self {
        Self { noted: now, noting: false }
    }

    /// True if it is time for a note.
    pub fn is_due(&self, now: Instant) -> bool {
        !self.noting && now >= self.noted + PAUSE
    }

    pub fn begins(&mut self, now: Instant) {
        (self.noting, self.noted) = (true, now);
    }

    pub fn done(&mut self) {
        self.noting = false;
    }
}
