//! A moment of the database, as PostgreSQL keeps it.

use std::time::{Duration, SystemTime};

/// The begin of 2000, from which PostgreSQL counts, in seconds since 1970.
const EPOCH: Duration = Duration::from_secs(946_684_800);

/// A finite `timestamptz`: microseconds since the begin of 2000 (UTC).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(pub i64);

impl Moment {
    /// The time from `now` until then; none if it has passed.
    pub fn after(self, now: SystemTime) -> Duration {
        let since = now.duration_since(SystemTime::UNIX_EPOCH + EPOCH).unwrap_or_default();
        let now = i64::try_from(since.as_micros()).unwrap_or(i64::MAX);
        Duration::from_micros(u64::try_from(self.0.saturating_sub(now)).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_counts_from_the_begin_of_2000() {
        let begin = SystemTime::UNIX_EPOCH + EPOCH;
        assert_eq!(Moment(1_500_000).after(begin), Duration::from_micros(1_500_000));
        assert_eq!(Moment(1_500_000).after(begin + Duration::from_secs(1)), Duration::from_micros(500_000));
        assert_eq!(Moment(1_500_000).after(begin + Duration::from_secs(2)), Duration::ZERO);
        assert_eq!(Moment(i64::MIN).after(begin), Duration::ZERO);
    }
}
