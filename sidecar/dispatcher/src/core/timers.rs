//! One clock for all messages in flight: a wheel of coarse ticks instead of a task or a heap entry
//! per message.
//!
//! Setting and firing are O(1). Nothing is ever taken out: who is done with a key leaves it, and
//! the owner, who is asked when the key fires, says that it no longer knows it or that its time has
//! moved. At 50,000 messages a second that saves a search per reply for eight bytes that stay a few
//! seconds longer.

use std::time::{Duration, Instant};

use super::in_flight::Key;

/// The precision of a timer: it fires up to this much late, never early.
const TICK: Duration = Duration::from_millis(5);
/// Slots of the wheel. What is due later than a whole turn fires once per turn and is put back by
/// its owner.
const SLOTS: usize = 1024;

/// Keys that a slot keeps room for.
const ROOM: usize = 32;

/// The wheel.
pub struct Timers {
    start: Instant,
    /// The next tick to fire; all before it have.
    next: u64,
    slots: Vec<Vec<Key>>,
    len: usize,
}

impl Timers {
    pub fn new(now: Instant) -> Self {
        Self { start: now, next: 0, slots: vec![Vec::new(); SLOTS], len: 0 }
    }

    /// Has `key` fired at `due`, or at the end of a turn of the wheel if that is sooner.
    pub fn set(&mut self, due: Instant, key: Key) {
        let tick = self.tick_after(due).clamp(self.next, self.next + SLOTS as u64 - 1);
        self.slots[slot(tick)].push(key);
        self.len += 1;
    }

    /// Takes the keys whose time has come; the owner looks at each and sets those again that are
    /// not due yet.
    pub fn fire(&mut self, now: Instant, fired: &mut Vec<Key>) {
        let past = self.elapsed(now);
        if self.len == 0 {
            self.next = self.next.max(past);
            return;
        }
        // After a pause longer than a turn (a stopped process) one turn empties every slot.
        let from = self.next.max(past.saturating_sub(SLOTS as u64));
        for tick in from..past {
            let keys = &mut self.slots[slot(tick)];
            self.len -= keys.len();
            fired.append(keys);
            // A flood would else leave every slot with the most it has ever held, for ever: the
            // wheel has a thousand of them.
            if keys.capacity() > ROOM {
                keys.shrink_to(ROOM);
            }
        }
        self.next = self.next.max(past);
    }

    /// When to call `fire` next; none when nothing is set.
    pub fn next_due(&self) -> Option<Instant> {
        if self.len == 0 {
            return None;
        }
        let tick = (self.next..self.next + SLOTS as u64).find(|tick| !self.slots[slot(*tick)].is_empty())?;
        Some(self.start + TICK * u32::try_from(tick + 1).unwrap_or(u32::MAX))
    }

    /// Ticks that are over at `now`.
    fn elapsed(&self, now: Instant) -> u64 {
        (now.saturating_duration_since(self.start).as_nanos() / TICK.as_nanos()) as u64
    }

    /// The first tick whose end is not before `due`, so that nothing fires early.
    fn tick_after(&self, due: Instant) -> u64 {
        let since = due.saturating_duration_since(self.start).as_nanos();
        (since.div_ceil(TICK.as_nanos()) as u64).saturating_sub(1)
    }
}

fn slot(tick: u64) -> usize {
    (tick % SLOTS as u64) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(n: u32) -> Key {
        Key { slot: n, turn: 0 }
    }

    proptest! {
        #[test]
        fn every_timer_fires_once_never_early_and_at_most_a_tick_late(
            dues in proptest::collection::vec(0u64..5_000, 1..200),
            steps in proptest::collection::vec(1u64..400, 1..80),
        ) {
            let start = Instant::now();
            let at = |ms: u64| start + Duration::from_millis(ms);
            let mut timers = Timers::new(start);
            for (n, due) in dues.iter().enumerate() {
                timers.set(at(*due), key(n as u32));
            }
            let mut fired_at = vec![None; dues.len()];
            let (mut now, mut before) = (0, 0);
            for step in steps.into_iter().chain([6_000]) {
                now += step;
                let mut fired = Vec::new();
                timers.fire(at(now), &mut fired);
                for key in fired {
                    let due = dues[key.slot as usize];
                    prop_assert!(due <= now, "fired early");
                    prop_assert!(due + 5 > before, "should have fired at the step before");
                    prop_assert!(fired_at[key.slot as usize].replace(now).is_none(), "fired twice");
                }
                before = now;
            }
            prop_assert!(fired_at.iter().all(Option::is_some));
            prop_assert!(timers.next_due().is_none());
        }
    }

    #[test]
    fn what_is_due_after_more_than_a_turn_fires_at_the_turns_end_for_its_owner_to_set_again() {
        let start = Instant::now();
        let mut timers = Timers::new(start);
        timers.set(start + Duration::from_secs(60), key(1));
        let due = timers.next_due().expect("one is set");
        assert!(due <= start + TICK * (SLOTS as u32 + 1));
        let mut fired = Vec::new();
        timers.fire(due, &mut fired);
        assert_eq!(fired, [key(1)]);
    }

    #[test]
    fn after_a_long_pause_everything_fires() {
        let start = Instant::now();
        let mut timers = Timers::new(start);
        for n in 0..100 {
            timers.set(start + Duration::from_millis(u64::from(n) * 37), key(n));
        }
        let mut fired = Vec::new();
        timers.fire(start + Duration::from_secs(3_600), &mut fired);
        assert_eq!(fired.len(), 100);
        timers.set(start, key(7));
        assert!(timers.next_due().expect("one is set") > start + Duration::from_secs(3_599));
    }
}
