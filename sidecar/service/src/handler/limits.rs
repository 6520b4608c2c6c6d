//! The limits of one method: its time, its handlers at once, and its retries.

use std::time::Duration;

/// The limits of one method. Without a limit, only those of the copy and of the message hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Limits {
    /// The longest time from the moment at which the copy takes a message.
    pub(crate) time: Option<Duration>,
    /// The most handlers that work at once in a copy.
    pub(crate) at_once: Option<usize>,
    /// The retries after an internal error.
    pub(crate) retry: Option<Retry>,
}

/// The retries after an internal error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Retry {
    /// The most of them for one delivery of a message.
    pub(crate) most: u32,
    /// The pause before the first; it doubles each time.
    pub(crate) back_off: Duration,
}
