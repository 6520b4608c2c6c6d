//! Where the lanes are kept: each in a slot, found by its name.

use std::collections::HashMap;

use crate::core::{
    lane::{Belt, Lane},
    lane_id::LaneId,
};

/// Anybody may publish to any name: at this many lanes those that hold nothing are forgotten, and
/// when all hold something further names share one lane.
pub const LANES_MAX: usize = 1024;
/// The lane that these names share; no name of a service is empty.
const SHARED: &str = "";

/// The lanes by number and by name.
#[derive(Default)]
pub struct Slots {
    slots: Vec<Option<Lane>>,
    free: Vec<u32>,
    by_name: HashMap<Box<str>, u32>,
    /// The slot that comes first next time, so that all lanes have their turn.
    turn: usize,
    /// New lanes are closed until it is known that the Go system does not answer for their
    /// services.
    belts: bool,
}

impl Slots {
    /// No lanes; `belts` says whether new ones are closed until their services are known.
    pub fn new(belts: bool) -> Self {
        Self { belts, ..Self::default() }
    }

    /// The slot of the lane with this name. Makes a lane with room for `window` messages in flight
    /// if there is none.
    pub fn of(&mut self, name: &str, window: usize) -> u32 {
        if let Some(slot) = self.by_name.get(name) {
            return *slot;
        }
        if self.by_name.len() >= LANES_MAX {
            self.forget_idle();
            if self.by_name.len() >= LANES_MAX && name != SHARED {
                return self.of(SHARED, window);
            }
        }
        // Services that share a lane cannot be asked as one.
        let belt = if self.belts && name != SHARED { Belt::closed() } else { Belt::open() };
        let lane = Lane::new(name, window, belt);
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = Some(lane);
                slot
            }
            None => {
                self.slots.push(Some(lane));
                (self.slots.len() - 1) as u32
            }
        };
        self.by_name.insert(name.into(), slot);
        slot
    }

    /// The lane with this name, if there is one.
    pub fn named(&mut self, name: &str) -> Option<&mut Lane> {
        let slot = *self.by_name.get(name)?;
        self.slots.get_mut(slot as usize)?.as_mut()
    }

    pub fn get(&self, id: LaneId) -> Option<&Lane> {
        self.slots.get(id.slot as usize)?.as_ref()
    }

    pub fn get_mut(&mut self, id: LaneId) -> Option<&mut Lane> {
        self.slots.get_mut(id.slot as usize)?.as_mut()
    }

    /// All lanes.
    pub fn iter(&self) -> impl Iterator<Item = &Lane> {
        self.slots.iter().flatten()
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Lane> {
        self.slots.iter_mut().flatten()
    }

    /// All lanes and their slots.
    pub fn numbered(&mut self) -> impl Iterator<Item = (u32, &mut Lane)> {
        let lanes = self.slots.iter_mut().zip(0..);
        lanes.filter_map(|(lane, slot)| Some((slot, lane.as_mut()?)))
    }

    /// All lanes and their slots; another one comes first each time.
    pub fn in_turn(&mut self) -> impl Iterator<Item = (u32, &mut Lane)> {
        let first = self.turn;
        self.turn = (self.turn + 1) % self.slots.len().max(1);
        let (before, after) = self.slots.split_at_mut(first);
        let after = after.iter_mut().zip(first..);
        let lanes = after.chain(before.iter_mut().zip(0..));
        lanes.filter_map(|(lane, slot)| Some((slot as u32, lane.as_mut()?)))
    }

    fn forget_idle(&mut self) {
        for (slot, kept) in self.slots.iter_mut().enumerate() {
            if kept.as_ref().is_some_and(Lane::is_idle)
                && let Some(lane) = kept.take()
            {
                self.by_name.remove(lane.name());
                self.free.push(slot as u32);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_that_has_nothing_to_do_makes_room_for_another() {
        let mut slots = Slots::default();
        for lane in 0..10 * LANES_MAX {
            let name = format!("tpro.service{lane}");
            slots.of(&name, 1);
            assert!(slots.named(&name).is_some(), "{name} shares a lane though all others are idle");
            assert!(slots.iter().count() <= LANES_MAX);
        }
    }
}
