//! The time that a requester waits.

use std::time::Duration;

use crate::limits::MAX_TIMEOUT;

/// The time that a message has, from the first send to the reply. A budget of zero makes it an
/// event, which has no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Budget(Duration);

/// A timeout outside 0 to 86,400 seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a timeout is 0 to 86400 seconds")]
pub struct BudgetError;

impl Budget {
    /// The longest budget: a day.
    pub const MAX: Self = Self(Duration::from_secs(MAX_TIMEOUT as u64));

    /// From the column `timeout`, in seconds: 0 to 86,400.
    pub fn from_seconds(seconds: i32) -> Result<Self, BudgetError> {
        match u64::try_from(seconds) {
            Ok(positive) if seconds <= MAX_TIMEOUT => Ok(Self(Duration::from_secs(positive))),
            _ => Err(BudgetError),
        }
    }

    /// From the header `Tpro-Budget-Ms`: decimal digits, milliseconds. More than a day is taken as
    /// a day, since no service gives more.
    pub fn parse_ms(text: &str) -> Option<Self> {
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        // Digits that do not fit are a number all the same, and more than a day.
        let ms = text.parse().unwrap_or(u64::MAX);
        Some(Self(Duration::from_millis(ms)).min(Self::MAX))
    }

    /// A budget of this length, at most a day.
    pub fn from_duration(duration: Duration) -> Self {
        Self(duration).min(Self::MAX)
    }

    /// As a duration.
    pub fn duration(self) -> Duration {
        self.0
    }

    /// In whole milliseconds.
    pub fn ms(self) -> u64 {
        // At most 86,400,000.
        self.0.as_millis() as u64
    }

    /// True if nobody waits: the message is an event.
    pub fn is_event(self) -> bool {
        self.0.is_zero()
    }

    /// The rest of the budget after this time. It is never less than nothing.
    pub fn minus(self, elapsed: Duration) -> Self {
        Self(self.0.saturating_sub(elapsed))
    }
}
