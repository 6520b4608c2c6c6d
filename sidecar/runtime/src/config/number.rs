//! Whole numbers, with the bounds they must keep.

use std::{fmt::Display, ops::RangeInclusive, str::FromStr};

use super::reader::Reader;

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
}
