//! The end of a message.

use std::fmt;
use std::str::FromStr;

/// The one final status of a message, column `status` of `mq_reply`. The set is closed.
///
/// ```
/// # use tpro_wire as tpro_sidecar;
/// use tpro_sidecar::Status;
///
/// assert_eq!("timeout".parse(), Ok(Status::Timeout));
/// let names = Status::ALL.map(Status::as_str);
/// assert_eq!(names.join(" "), "ok error timeout unavailable expired cancelled");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// Answered with a result; for an event, taken by the NATS server.
    Ok,
    /// Answered with an error, or with a reply that is no answer.
    Error,
    /// Sent, and not answered within the budget.
    Timeout,
    /// Nobody runs the service, even if others listen to its subject. Or no copy of it takes more
    /// work.
    Unavailable,
    /// Its time was over before it was sent.
    Expired,
    /// Called off before it was answered.
    Cancelled,
}

/// A text that names no [`Status`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a status is ok, error, timeout, unavailable, expired or cancelled")]
pub struct StatusError;

impl Status {
    /// All of them, in the order of their definition.
    pub const ALL: [Self; 6] =
        [Self::Ok, Self::Error, Self::Timeout, Self::Unavailable, Self::Expired, Self::Cancelled];

    /// As the column has it: `ok`, `error`, ...
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Timeout => "timeout",
            Self::Unavailable => "unavailable",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
        }
    }
}

impl FromStr for Status {
    type Err = StatusError;

    fn from_str(text: &str) -> Result<Self, StatusError> {
        Self::ALL.into_iter().find(|status| status.as_str() == text).ok_or(StatusError)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
