//! When reading pauses for a busy lane, and which lanes are read past.

use std::time::{Duration, Instant};

use super::{Lanes, OWN_BYTES};
use crate::lane::Lane;

/// How long reading waits for a lane that has just become tight. A busy lane opens again within it, and its rows are then
/// read once, with their bodies, instead of twice; a slow or dead lane does not, and is read past.
pub(super) const PATIENCE: Duration = Duration::from_millis(10);
/// The longest that reading is held, whatever lanes become tight one after the other; then as long it is not.
pub(super) const LONGEST_HOLD: Duration = Duration::from_millis(50);
/// How many pages may wait in a lane for which reading is held. One that opens in time catches up with so many, and from
/// then on its rows are read once again; else the first page beyond its window would have all that follow read twice.
pub(super) const CATCH_UP: usize = 4;

impl Lanes {
    /// The names of the lanes whose rows are better read without their bodies now.
    pub fn closed(&self) -> Vec<&str> {
        let lanes = self.lanes.iter().flatten();
        lanes.filter(|lane| !lane.waiting.is_empty() || self.is_tight(lane)).map(|lane| &*lane.name).collect()
    }

    /// Until when to hold the next read, because a lane in which little or nothing waits has just become tight.
    pub fn hold_reading(&mut self, now: Instant) -> Option<Instant> {
        let mut until: Option<Instant> = None;
        let little = CATCH_UP * self.bounds.page;
        for index in 0..self.lanes.len() {
            let Some(tight) = self.lanes[index].as_ref().map(|lane| self.is_tight(lane)) else { continue };
            let Some(lane) = &mut self.lanes[index] else { continue };
            if !tight && lane.waiting.is_empty() {
                lane.tight_since = None;
            } else if lane.waiting.len() <= little {
                let opens = *lane.tight_since.get_or_insert(now) + PATIENCE;
                if opens > now {
                    until = Some(until.map_or(opens, |until| until.min(opens)));
                }
            }
        }
        let Some(until) = until else {
            self.held_since = None;
            return None;
        };
        // After so long it is not held for as long again, or a lane that opens row by row would slow all others down.
        if self.held_since.is_some_and(|since| now >= since + 2 * LONGEST_HOLD) {
            self.held_since = None;
        }
        let end = *self.held_since.get_or_insert(now) + LONGEST_HOLD;
        (end > now).then(|| until.min(end))
    }

    fn is_tight(&self, lane: &Lane) -> bool {
        let share = self.share();
        let enough = lane.enough(share, self.bounds.page).max(1);
        let held = lane.flying + lane.handling + lane.refused_alive > 0;
        held && (lane.room(share) < enough || lane.bytes + lane.mean >= self.free_bytes().max(OWN_BYTES))
    }
}
