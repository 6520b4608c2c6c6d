//! The cost of a ring: the time that it takes from others.
//!
//! The commit of a notification holds a lock of the whole cluster, and PostgreSQL wakes every
//! session of the database that listens, which is each service's leader at least. Both are
//! estimated from what this leader sees: a small write takes longer than a small read by about one
//! commit.

use std::time::Duration;

/// The time of a core that waking one listening session takes.
const WAKING: Duration = Duration::from_micros(20);
/// Rings may take one part in so many of the lock's time and of a core.
const SHARE: u32 = 5;
/// The time of a commit as long as none was measured: a slow one.
const UNKNOWN: Duration = Duration::from_millis(5);
/// A longer wait is no commit: a standby that was away, a lock.
const LONGEST: Duration = Duration::from_millis(500);
/// Statements of at most so many rows are measured: the rows of a larger one would count more than
/// the commit.
pub const SMALL: usize = 2;

/// The times of small statements, and who listens.
#[derive(Debug, Default)]
pub struct RingCost {
    read: Mean,
    write: Mean,
    leaders: u32,
}

impl RingCost {
    /// A page of so many rows took so long.
    pub fn read(&mut self, rows: usize, time: Duration) {
        if rows <= SMALL {
            self.read.take(time);
        }
    }

    /// A batch of so many replies took so long, its commit included.
    pub fn written(&mut self, rows: usize, time: Duration) {
        if rows <= SMALL {
            self.write.take(time);
        }
    }

    /// So many services of this database are led.
    pub fn leaders(&mut self, leaders: u32) {
        self.leaders = leaders;
    }

    /// The bell may ring once in so long.
    pub fn gap(&self) -> Duration {
        let read = self.read.get().unwrap_or_default();
        let commit = self.write.get().map_or(UNKNOWN, |write| write.saturating_sub(read));
        (commit + WAKING * self.leaders.max(1)) * SHARE
    }
}

/// A mean that follows the last few values.
#[derive(Debug, Default)]
struct Mean(Option<Duration>);

impl Mean {
    /// A new value counts one part in so many.
    const WEIGHT: u32 = 8;

    fn take(&mut self, value: Duration) {
        let value = value.min(LONGEST);
        self.0 = Some(match self.0 {
            None => value,
            Some(mean) => (mean * (Self::WEIGHT - 1) + value) / Self::WEIGHT,
        });
    }

    /// None before the first value.
    fn get(&self) -> Option<Duration> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn micros(micros: u64) -> Duration {
        Duration::from_micros(micros)
    }

    #[test]
    fn a_slow_commit_and_many_leaders_make_rings_rare() {
        let mut cost = RingCost::default();
        assert_eq!(cost.gap(), micros(5 * 5_020), "one who listens, and nothing measured yet");
        cost.read(0, micros(100));
        cost.written(1, micros(250));
        cost.leaders(2);
        assert_eq!(cost.gap(), micros(5 * (150 + 40)));
        (0..100).for_each(|_| cost.written(2, micros(2_100)));
        assert!(cost.gap() > micros(5 * 2_000) && cost.gap() < micros(5 * 2_050));
        cost.leaders(100);
        assert!(cost.gap() > micros(5 * 3_900));
    }

    #[test]
    fn large_statements_say_nothing_of_a_commit() {
        let mut cost = RingCost::default();
        cost.written(1, micros(200));
        cost.written(SMALL + 1, Duration::from_secs(1));
        cost.read(SMALL + 1, Duration::from_secs(1));
        assert_eq!(cost.gap(), micros(5 * (200 + 20)));
        cost.written(1, Duration::from_secs(3600));
        assert!(cost.gap() < Duration::from_millis(5 * 64), "an hour is no commit");
    }

    #[test]
    fn a_read_that_takes_longer_than_a_write_is_no_cost_below_zero() {
        let mut cost = RingCost::default();
        cost.read(1, micros(900));
        cost.written(1, micros(200));
        assert_eq!(cost.gap(), micros(100));
    }
}
