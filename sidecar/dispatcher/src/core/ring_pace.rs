//! The pace at which the bell may ring.
//!
//! A transaction that commits a notification holds a lock of the whole cluster through its flush,
//! and wakes each session that listens. At a few rings a second nobody notices. At many, commits
//! queue behind each other. So rings are counted against an allowed gap between two of them, which
//! the core takes from the time of its own commits.

use std::time::{Duration, Instant};

/// The shortest gap, which is allowed as long as nothing was measured.
pub const SHORTEST: Duration = Duration::from_millis(1);
/// Rings may come so far ahead of the allowed pace before it is exceeded; one always may.
const BURST: Duration = Duration::from_millis(50);

/// The pace of rings: a bucket that each ring fills by the allowed gap, and that empties by itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RingPace {
    gap: Duration,
    /// When the bucket is empty, if nobody rings before.
    empty: Instant,
}

impl RingPace {
    /// No ring yet.
    pub fn new(now: Instant) -> Self {
        Self { gap: SHORTEST, empty: now }
    }

    /// One ring in so long is allowed.
    pub fn allow(&mut self, gap: Duration) {
        self.gap = gap.max(SHORTEST);
    }

    /// Forgets the rings.
    pub fn begin(&mut self, now: Instant) {
        self.empty = now;
    }

    /// The bell has rung.
    pub fn ring(&mut self, now: Instant) {
        self.empty = self.empty.max(now) + self.gap;
    }

    /// True if rings come faster than is allowed.
    pub fn is_exceeded(&self, now: Instant) -> bool {
        self.empty > now + BURST.max(self.gap)
    }

    /// True if so many messages in this time are at most half of the allowed rings, so that the
    /// bell would not have to be let go at once.
    pub fn is_kept_by(&self, messages: u32, time: Duration) -> bool {
        self.gap.saturating_mul(messages.saturating_mul(2)) <= time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_borne_and_what_goes_on_is_not() {
        let now = Instant::now();
        let mut pace = RingPace::new(now);
        pace.allow(Duration::from_millis(10));
        (0..5).for_each(|_| pace.ring(now));
        assert!(!pace.is_exceeded(now));
        pace.ring(now);
        assert!(pace.is_exceeded(now));
        assert!(!pace.is_exceeded(now + Duration::from_millis(10)), "it empties by itself");
        let mut slow = RingPace::new(now);
        slow.allow(Duration::from_millis(10));
        (0..100).for_each(|ring| slow.ring(now + ring * Duration::from_millis(10)));
        assert!(!slow.is_exceeded(now + 99 * Duration::from_millis(10)));
    }

    #[test]
    fn one_ring_is_borne_whatever_it_costs() {
        let now = Instant::now();
        let mut pace = RingPace::new(now);
        pace.allow(BURST + Duration::from_millis(1));
        pace.ring(now);
        assert!(!pace.is_exceeded(now));
        pace.ring(now);
        assert!(pace.is_exceeded(now));
        pace.begin(now);
        assert!(!pace.is_exceeded(now));
    }

    #[test]
    fn the_bell_is_taken_back_at_half_of_what_is_allowed() {
        let mut pace = RingPace::new(Instant::now());
        pace.allow(Duration::from_millis(10));
        let time = Duration::from_millis(100);
        assert!(pace.is_kept_by(0, Duration::ZERO));
        assert!(pace.is_kept_by(5, time) && !pace.is_kept_by(6, time));
        assert!(!pace.is_kept_by(u32::MAX, Duration::from_secs(3600)));
    }

    #[test]
    fn no_gap_is_shorter_than_the_shortest() {
        let mut pace = RingPace::new(Instant::now());
        pace.allow(Duration::ZERO);
        assert!(!pace.is_kept_by(1, SHORTEST));
    }
}
