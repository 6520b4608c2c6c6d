//! What a partition holds: ids of messages, or days of uids.

use uuid::Uuid;

/// The end of the last range: nothing is beyond it.
pub(super) const MAX: i64 = i64::MAX;
/// A day of a uuid v7, whose first 48 bits are milliseconds since 1970.
const DAY_MS: u128 = 86_400_000;
/// The bits of a uuid below its time.
const BELOW_TIME: u32 = 80;

/// What a table is partitioned by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// `id`, a number.
    Id,
    /// `uid`, a uuid v7: by the days of its time, counted since 1970 in UTC.
    Day,
}

/// From `low` to below `high`; 0 stands for MINVALUE, [`MAX`] for MAXVALUE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Range {
    pub low: i64,
    pub high: i64,
}

impl Range {
    pub fn new(low: i64, high: i64) -> Self {
        Self { low, high }
    }

    /// Whether it is the range for what comes after those that are made ahead.
    pub fn is_rest(&self) -> bool {
        self.high == MAX
    }

    pub fn overlaps(&self, other: &Self) -> bool {
        self.low < other.high && other.low < self.high
    }
}

impl Key {
    /// The name of the partition of `table` with this range: `mq_publish_p000001000000_000002000000`,
    /// `mq_receive_p20260130_20260131`, `mq_publish_rest`.
    pub fn name(self, table: &str, range: &Range) -> String {
        if range.is_rest() {
            return format!("{table}_rest");
        }
        format!("{table}_p{}_{}", self.label(range.low), self.label(range.high))
    }

    /// The range that such a name says; none for another table.
    pub fn named(self, table: &str, name: &str) -> Option<Range> {
        let (low, high) = name.strip_prefix(table)?.strip_prefix("_p")?.split_once('_')?;
        Some(Range { low: self.unlabel(low)?, high: self.unlabel(high)? })
    }

    /// A bound in SQL, for FOR VALUES.
    pub fn bound(self, at: i64) -> String {
        match (at, self) {
            (0, _) => "MINVALUE".to_owned(),
            (MAX, _) => "MAXVALUE".to_owned(),
            (id, Self::Id) => format!("'{id}'"),
            (day, Self::Day) => format!("'{}'", uid_of(day)),
        }
    }

    /// The same as a condition of a column.
    pub fn condition(self, column: &str, range: &Range) -> String {
        let kind = match self {
            Self::Id => "bigint",
            Self::Day => "uuid",
        };
        let low = (range.low > 0).then(|| format!("{column} >= {}::{kind}", self.bound(range.low)));
        let high = (range.high < MAX).then(|| format!("{column} < {}::{kind}", self.bound(range.high)));
        let both: Vec<String> = low.into_iter().chain(high).collect();
        if both.is_empty() { "true".to_owned() } else { both.join(" AND ") }
    }

    /// The range of PostgreSQL's `FOR VALUES FROM (...) TO (...)`.
    pub fn read(self, text: &str) -> Option<Range> {
        let (low, high) = text.strip_prefix("FOR VALUES FROM (")?.strip_suffix(')')?.split_once(") TO (")?;
        Some(Range { low: self.read_bound(low)?, high: self.read_bound(high)? })
    }

    /// In words, for a person.
    pub fn words(self, range: &Range) -> String {
        let what = match self {
            Self::Id => "ids",
            Self::Day => "days",
        };
        let at = |at: i64| match self {
            Self::Id => at.to_string(),
            Self::Day => self.label(at),
        };
        match (range.low, range.high) {
            (0, high) => format!("{what} below {}", at(high)),
            (low, MAX) => format!("{what} from {}", at(low)),
            (low, high) => format!("{what} from {} to below {}", at(low), at(high)),
        }
    }

    fn read_bound(self, text: &str) -> Option<i64> {
        match (text, self) {
            ("MINVALUE", _) => Some(0),
            ("MAXVALUE", _) => Some(MAX),
            (text, Self::Id) => text.trim_matches('\'').parse().ok(),
            (text, Self::Day) => {
                let uid = Uuid::parse_str(text.trim_matches('\'')).ok()?;
                i64::try_from((uid.as_u128() >> BELOW_TIME) / DAY_MS).ok()
            }
        }
    }

    fn label(self, at: i64) -> String {
        match (at, self) {
            (id, Self::Id) => format!("{id:012}"),
            (0, Self::Day) => "0".repeat(8),
            (day, Self::Day) => {
                let (year, month, day) = date_of(day);
                format!("{year:04}{month:02}{day:02}")
            }
        }
    }

    fn unlabel(self, label: &str) -> Option<i64> {
        let number: i64 = label.parse().ok()?;
        match self {
            Self::Id => Some(number),
            Self::Day if number == 0 => Some(0),
            Self::Day => Some(day_of(number / 10_000, number / 100 % 100, number % 100)),
        }
    }
}

/// The least uid of a day.
fn uid_of(day: i64) -> Uuid {
    Uuid::from_u128((u128::from(day.unsigned_abs()) * DAY_MS) << BELOW_TIME)
}

/// Year, month and day of a day since 1970. (Howard Hinnant, "chrono-compatible low-level date algorithms": years begin in
/// March, so that the leap day is the last.)
fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, of_year - (153 * shifted + 2) / 5 + 1)
}

/// The reverse of it.
fn day_of(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
    era * 146_097 + of_era - 719_468
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_says_what_is_in_the_partition() {
        let ids = Range::new(1_000_000, 2_000_000);
        assert_eq!(Key::Id.name("mq_publish", &ids), "mq_publish_p000001000000_000002000000");
        let day = Range::new(20_483, 20_484);
        assert_eq!(Key::Day.name("mq_receive", &day), "mq_receive_p20260130_20260131");
        assert_eq!(Key::Day.name("mq_receive", &Range::new(0, 20_483)), "mq_receive_p00000000_20260130");
        assert_eq!(Key::Id.name("mq_reply", &Range::new(7, MAX)), "mq_reply_rest");
        assert_eq!(Key::Id.named("mq_reply", "mq_reply_fault"), None);
        assert_eq!(Key::Id.named("mq_reply", "mq_reply_rest"), None);
    }

    #[test]
    fn bounds_are_read_as_postgresql_writes_them() {
        let read = |key: Key, text| key.read(text);
        assert_eq!(
            read(Key::Id, "FOR VALUES FROM (MINVALUE) TO ('1000000')"),
            Some(Range::new(0, 1_000_000))
        );
        assert_eq!(
            read(Key::Id, "FOR VALUES FROM ('4000000') TO (MAXVALUE)"),
            Some(Range::new(4_000_000, MAX))
        );
        assert_eq!(read(Key::Id, "DEFAULT"), None);
        let day = format!("FOR VALUES FROM ({}) TO ({})", Key::Day.bound(20_483), Key::Day.bound(20_484));
        assert_eq!(read(Key::Day, &day), Some(Range::new(20_483, 20_484)));
    }

    proptest! {
        #[test]
        fn names_and_bounds_tell_the_range_back(low in 0i64..60_000, width in 1i64..60_000) {
            let range = Range::new(low, low + width);
            for key in [Key::Id, Key::Day] {
                prop_assert_eq!(key.named("mq_x", &key.name("mq_x", &range)), Some(range));
                let text = format!("FOR VALUES FROM ({}) TO ({})", key.bound(range.low), key.bound(range.high));
                prop_assert_eq!(key.read(&text), Some(range));
            }
        }
    }
}
