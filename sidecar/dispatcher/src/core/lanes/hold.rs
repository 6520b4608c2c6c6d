//! When reading pauses for a busy lane.

use std::time::{Duration, Instant};

use super::Lanes;
use tpro_wire::priority::Priority;

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

impl Lanes {
    /// Until when to hold the next read, because a lane in which little or nothing waits has just
    /// become tight.
    pub fn hold_reading(&mut self, now: Instant) -> Option<Instant> {
        let share = self.load.share();
        let little = CATCH_UP * share.page;
        let mut until: Option<Instant> = None;
        for lane in self.slots.iter_mut() {
            let has_fallen_behind = lane.waiting() > little;
            // The first and the last moment at which one of its priorities became tight.
            let mut tight: Option<(Instant, Instant)> = None;
            for priority in Priority::ALL {
                if lane.waiting_with(priority) == 0 && !lane.is_felt(priority, share) {
                    lane.has_opened(priority);
                } else if !has_fallen_behind {
                    let since = lane.tight_since(priority, now);
                    tight = Some(
                        tight.map_or((since, since), |(first, last)| (first.min(since), last.max(since))),
                    );
                }
            }
            // One that did not open in time for one priority does not for another.
            if let Some((first, last)) = tight
                && first + PATIENCE > now
            {
                let opens = last + PATIENCE;
                until = Some(until.map_or(opens, |until| until.min(opens)));
            }
        }
        self.hold.until(until, now)
    }
}
