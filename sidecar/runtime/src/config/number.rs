//! Numbers and times, with the bounds they must keep.

use std::{fmt::Display, ops::RangeInclusive, str::FromStr, time::Duration};

use super::{reader::Reader, time::duration};

impl Reader {
    /// A whole number within bounds.
    pub(super) fn number<T>(&mut self, key: &'static str, default: T, bounds: RangeInclusive<T>) -> T
    where
        T: FromStr + PartialOrd + Display,
    {
        self.parsed(key, default, |text| {
            let number = text.parse::<T>().ok().filter(|number| bounds.contains(number));
            number
                .ok_or_else(|| format!("must be a whole number from {} to {}", bounds.start(), bounds.end()))
        })
    }

    /// A time; a bare number is in seconds.
    pub(super) fn seconds(
        &mut self,
        key: &'static str,
        default: u64,
        bounds: RangeInclusive<u64>,
    ) -> Duration {
        self.parsed(key, Duration::from_secs(default), |text| {
            let (low, high) = (Duration::from_secs(*bounds.start()), Duration::from_secs(*bounds.end()));
            duration(text, Duration::from_secs(1)).filter(|time| (low..=high).contains(time)).ok_or_else(
                || {
                    format!(
                        "must be a time from {low:?} to {high:?}: seconds, or a number with ms, s, m, h or d"
                    )
                },
            )
        })
    }

    /// A time; a bare number is in milliseconds.
    pub(super) fn milliseconds(
        &mut self,
        key: &'static str,
        default: u64,
        bounds: RangeInclusive<u64>,
    ) -> Duration {
        self.parsed(key, Duration::from_millis(default), |text| {
            let (low, high) = (Duration::from_millis(*bounds.start()), Duration::from_millis(*bounds.end()));
            duration(text, Duration::from_millis(1)).filter(|time| (low..=high).contains(time)).ok_or_else(|| {
                format!("must be a time from {low:?} to {high:?}: milliseconds, or a number with ms, s, m, h or d")
            })
        })
    }
}
