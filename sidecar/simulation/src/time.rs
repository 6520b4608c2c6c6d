//! The time of a simulation: microseconds since it began.

use std::{
    ops::{Add, Sub},
    time::Duration,
};

/// A moment of a simulation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(u64);

impl Time {
    /// The beginning.
    pub const START: Self = Self(0);

    /// The moment so many microseconds after the beginning.
    pub const fn of_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since the beginning.
    pub const fn micros(self) -> u64 {
        self.0
    }

    /// The time since an earlier moment; nothing if that one is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(span.as_micros()).unwrap_or(u64::MAX)))
    }
}

impl Sub for Time {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.since(earlier)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_and_a_span_make_a_later_moment() {
        let later = Time::of_micros(5) + Duration::from_millis(2);
        assert_eq!(later, Time::of_micros(2_005));
        assert_eq!(later - Time::of_micros(5), Duration::from_millis(2));
        assert_eq!(Time::START - later, Duration::ZERO);
        assert_eq!(Time::of_micros(1) + Duration::MAX, Time::of_micros(u64::MAX));
    }
}
