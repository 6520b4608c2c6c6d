//! Numbers and times, with the bounds they must keep.

use std::{fmt::Display, ops::RangeInclusive, str::FromStr, time::Duration};

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

/// `90`, `500ms`, `25s`, `15m`, `2h` or `2d`.
fn duration(text: &str, bare: Duration) -> Option<Duration> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let unit = match unit.trim_start() {
        "" => bare,
        "ms" => Duration::from_millis(1),
        "s" => Duration::from_secs(1),
        "m" => Duration::from_secs(60),
        "h" => Duration::from_secs(3600),
        "d" => Duration::from_secs(86_400),
        _ => return None,
    };
    unit.checked_mul(number.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_unit_or_the_units_of_its_key() {
        let second = Duration::from_secs(1);
        assert_eq!(duration("25", second), Some(Duration::from_secs(25)));
        assert_eq!(duration("25", Duration::from_millis(1)), Some(Duration::from_millis(25)));
        assert_eq!(duration("500ms", second), Some(Duration::from_millis(500)));
        assert_eq!(duration("2 d", second), Some(Duration::from_secs(172_800)));
        for bad in ["", "s", "-1", "1.5", "1w", "99999999999d", "1 s s"] {
            assert_eq!(duration(bad, second), None, "{bad}");
        }
    }
}
