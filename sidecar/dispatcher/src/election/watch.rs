//! The watch of a follower over the leader: how often it looks, and what it says of one that does
//! not end. No IO.

use std::time::{Duration, Instant};

/// The pause between two looks whether the leader is frozen.
const INTERVAL: Duration = Duration::from_millis(500);
/// When to ask for the lock of a leader whose session was terminated: it takes a moment to end.
const SOON: Duration = Duration::from_millis(50);
/// Terminations in a row that may not make the lock free. After more of them, the leader's backend
/// is frozen itself.
const TRIES: u32 = 3;

/// The watch.
pub(crate) struct Watch {
    looked: Instant,
    /// Terminations in a row that did not make the lock free.
    in_vain: u32,
}

impl Watch {
    /// A watch that begins now.
    pub fn new(now: Instant) -> Self {
        Self { looked: now, in_vain: 0 }
    }

    /// True if it is time to look whether the leader is frozen; it is taken for looked.
    pub fn looks(&mut self, now: Instant) -> bool {
        let due = now.saturating_duration_since(self.looked) >= INTERVAL;
        if due {
            self.looked = now;
        }
        due
    }

    /// It was looked, and the leader's session was terminated or not.
    pub fn looked(&mut self, terminated: bool) {
        self.in_vain = if terminated { self.in_vain + 1 } else { 0 };
    }

    /// True if the leader's backend does not end.
    pub fn is_in_vain(&self) -> bool {
        self.in_vain > TRIES
    }

    /// The pause before the lock is asked for again.
    pub fn pause(&self, interval: Duration) -> Duration {
        if (1..=TRIES).contains(&self.in_vain) { SOON } else { interval }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_looks_now_and_then_and_hurries_after_a_termination() {
        let (start, interval) = (Instant::now(), Duration::from_millis(500));
        let mut watch = Watch::new(start);
        assert!(!watch.looks(start) && watch.looks(start + INTERVAL) && !watch.looks(start + INTERVAL));
        assert_eq!(watch.pause(interval), interval);
        for _ in 0..TRIES {
            watch.looked(true);
            assert_eq!(watch.pause(interval), SOON);
            assert!(!watch.is_in_vain());
        }
        watch.looked(true);
        assert!(watch.is_in_vain());
        assert_eq!(watch.pause(interval), interval);
        watch.looked(false);
        assert!(!watch.is_in_vain());
    }
}
