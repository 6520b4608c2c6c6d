//! Times and ages: RFC 3339 for programs, short words for people.

use std::fmt;

use serde::{Serialize, Serializer};
use tokio_postgres::types::{FromSql, Type, accepts};

/// The days from 1970 to 2000, where PostgreSQL's microseconds begin.
const DAYS_TO_2000: i64 = 10_957;
const DAY: i64 = 86_400_000_000;

/// A moment as PostgreSQL has it: microseconds since 2000 in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub i64);

impl Moment {
    /// The moment in the first 48 bits of a uuid of version 7.
    pub fn of_uid(uid: uuid::Uuid) -> Self {
        let milliseconds = i64::try_from(uid.as_u128() >> 80).unwrap_or(i64::MAX / 1_000);
        Self(milliseconds * 1_000 - DAYS_TO_2000 * DAY)
    }

    /// Date and time of day in UTC, for a table.
    pub fn to_seconds(self) -> String {
        let text = self.to_string();
        text.split('.').next().unwrap_or_default().replace('T', " ")
    }

    /// So many seconds later, or earlier.
    pub fn plus_seconds(self, seconds: i64) -> Self {
        self.plus_micros(seconds.saturating_mul(1_000_000))
    }

    /// So many microseconds later, or earlier.
    pub fn plus_micros(self, micros: i64) -> Self {
        Self(self.0.saturating_add(micros))
    }
}

impl fmt::Display for Moment {
    /// RFC 3339 in UTC. PostgreSQL has years beyond four digits; they get a sign, as in ISO 8601.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, rest) = (self.0.div_euclid(DAY) + DAYS_TO_2000, self.0.rem_euclid(DAY));
        let (year, month, day) = date(days);
        match year {
            0..=9_999 => write!(f, "{year:04}")?,
            _ => write!(f, "{year:+07}")?,
        }
        let (seconds, micros) = (rest / 1_000_000, rest % 1_000_000);
        let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
        write!(f, "-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
    }
}

/// Year, month and day of a number of days since 1970. It counts in eras of 400 years from March
/// on.
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'a> FromSql<'a> for Moment {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(i64::from_be_bytes(raw.try_into()?)))
    }

    accepts!(TIMESTAMPTZ);
}

/// An age for people: the two largest units.
pub fn age(seconds: f64) -> String {
    // A clock that was set back makes an age negative.
    let whole = seconds.max(0.0) as u64;
    let (days, hours, minutes) = (whole / 86_400, whole / 3_600 % 24, whole / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{whole}s"),
        (0, 0, _) => format!("{minutes}m{:02}s", whole % 60),
        (0, _, _) => format!("{hours}h{minutes:02}m"),
        _ => format!("{days}d{hours:02}h"),
    }
}

/// `90`, `90s`, `15m`, `2h` or `7d`, in seconds.
pub fn seconds(text: &str) -> Option<i64> {
    let (number, unit) = match text.as_bytes().last()? {
        b's' => (&text[..text.len() - 1], 1),
        b'm' => (&text[..text.len() - 1], 60),
        b'h' => (&text[..text.len() - 1], 3_600),
        b'd' => (&text[..text.len() - 1], 86_400),
        _ => (text, 1),
    };
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| number.parse::<i64>().ok()?.checked_mul(unit))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_by_rfc_3339() {
        for (micros, text) in [
            (0, "2000-01-01T00:00:00.000000Z"),
            (-1, "1999-12-31T23:59:59.999999Z"),
            (849_093_858_123_456, "2026-11-27T11:24:18.123456Z"),
            (5_097_600_000_000, "2000-02-29T00:00:00.000000Z"),
            (-63_082_281_600_000_000, "0001-01-01T00:00:00.000000Z"),
            (9_223_371_331_199_999_999, "+294276-12-31T23:59:59.999999Z"),
            (-211_813_488_000_000_000, "-004713-11-24T00:00:00.000000Z"),
        ] {
            assert_eq!(Moment(micros).to_string(), text);
        }
    }

    #[test]
    fn a_uid_says_its_moment() {
        let uid = "019acac2-0000-7000-8000-000000000000".parse().unwrap();
        assert_eq!(Moment::of_uid(uid).to_string(), "2025-11-28T13:58:22.976000Z");
        assert!(Moment::of_uid(uuid::Uuid::max()) > Moment(0));
    }

    #[test]
    fn an_age_has_its_two_largest_units() {
        for (seconds, text) in
            [(-3.0, "0s"), (59.9, "59s"), (61.0, "1m01s"), (3_725.0, "1h02m"), (100_000.0, "1d03h")]
        {
            assert_eq!(age(seconds), text);
        }
    }

    #[test]
    fn a_span_of_time_has_one_unit() {
        for (text, wanted) in [("90", Some(90)), ("15m", Some(900)), ("7d", Some(604_800)), ("0s", Some(0))] {
            assert_eq!(seconds(text), wanted);
        }
        for text in ["", "m", "-1s", "1.5h", "1w", "99999999999999999999d", "999999999999999999d", "1é"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
