//! Spans of time, with the bounds they must keep.

use std::{ops::RangeInclusive, time::Duration};

use super::{reader::Reader, time::duration};

impl Reader {
    /// A time; a bare number is in seconds.
    pub(super) fn seconds(
        &mut self,
        key: &'static str,
        default: u64,
        bounds: RangeInclusive<u64>,
    ) -> Duration {
        self.time(key, default, bounds, (Duration::from_secs, "seconds"))
    }

    /// A time; a bare number is in milliseconds.
    pub(super) fn milliseconds(
        &mut self,
        key: &'static str,
        default: u64,
        bounds: RangeInclusive<u64>,
    ) -> Duration {
        self.time(key, default, bounds, (Duration::from_millis, "milliseconds"))
    }

    /// A time. Default, bounds and a bare number are in this unit.
    fn time(
        &mut self,
        key: &'static str,
        default: u64,
        bounds: RangeInclusive<u64>,
        (of, unit): (fn(u64) -> Duration, &str),
    ) -> Duration {
        let (low, high) = (of(*bounds.start()), of(*bounds.end()));
        self.parsed(key, of(default), |text| {
            duration(text, of(1)).filter(|time| (low..=high).contains(time)).ok_or_else(|| {
                format!("must be a time from {low:?} to {high:?}: {unit}, or a number with ms, s, m, h or d")
            })
        })
    }
}
