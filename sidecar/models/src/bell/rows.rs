//! Rows, as a snapshot shows them.

/// Rows that are visible and were not read, or what a snapshot shows of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rows {
    /// Of transactions that ring if need be.
    pub(super) ringing: u8,
    /// Prepared while the dispatcher slept: PostgreSQL refuses a NOTIFY there, so the slow poll
    /// reads them.
    pub(super) silent: u8,
}

impl Rows {
    pub(super) fn any(self) -> bool {
        self != Self::default()
    }
}
