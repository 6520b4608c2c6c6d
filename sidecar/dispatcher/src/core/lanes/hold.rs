//! When reading pauses for a busy lane.

use std::time::{Duration, Instant};

/// The longest wait of reading for a lane that has just become tight. A busy lane opens again
/// within it, and its rows are then read once, with their bodies, instead of twice; a slow or dead
/// lane does not, and is read past.
pub const PATIENCE: Duration = Duration::from_millis(10);
/// The longest that reading is held, however many lanes become tight one after the other; then as
/// long it is not.
pub const LONGEST_HOLD: Duration = Duration::from_millis(50);
/// The pages that may wait in a lane for which reading is held. One that opens in time catches up
/// with so many, and from then on its rows are read once again; else the first page beyond its
/// window would have all that follow read twice.
pub const CATCH_UP: usize = 4;

/// Since when reading is held.
#[derive(Default)]
pub struct Hold {
    since: Option<Instant>,
}

impl Hold {
    /// Until when to hold the next read, if tight lanes open until then.
    pub fn until(&mut self, opens: Option<Instant>, now: Instant) -> Option<Instant> {
        let Some(opens) = opens else {
            self.since = None;
            return None;
        };
        // After so long it is not held for as long again, or a lane that opens row by row would
        // slow all others down.
        if self.since.is_some_and(|since| now >= since + 2 * LONGEST_HOLD) {
            self.since = None;
        }
        let end = *self.since.get_or_insert(now) + LONGEST_HOLD;
        (end > now).then(|| opens.min(end))
    }
}
