//! The timing of the dispatcher.

use std::time::Duration;

use super::reader::Reader;

/// The timing of the dispatcher.
#[derive(Clone, Debug)]
pub struct Dispatch {
    /// `POLL_INTERVAL_MS`: the slow poll behind the bell, default 5 s; 0 turns it off.
    pub slow_poll: Option<Duration>,
    /// `PARK_AFTER_MS`: messages are rare for this long before the dispatcher sleeps, default 50
    /// ms.
    pub park_after: Duration,
    /// `ATTEMPT_TIMEOUT_MS`: the wait for the reply to one attempt before the next one, default 5
    /// s.
    pub attempt_timeout: Duration,
    /// `PAGE_ROWS`: rows per read, default 500.
    pub page: i64,
    /// `LEAD_INTERVAL_MS`: the pause of a follower between tries to lead, default 500 ms.
    pub lead_interval: Duration,
    /// `HEARTBEAT_MS`: the leader runs a statement at least this often, default 5 s.
    pub heartbeat: Duration,
}

pub(super) fn read(reader: &mut Reader) -> Dispatch {
    let slow_poll = reader.milliseconds("POLL_INTERVAL_MS", 5000, 0..=3_600_000);
    Dispatch {
        slow_poll: (!slow_poll.is_zero()).then_some(slow_poll),
        park_after: reader.milliseconds("PARK_AFTER_MS", 50, 0..=60_000),
        attempt_timeout: reader.milliseconds("ATTEMPT_TIMEOUT_MS", 5000, 50..=3_600_000),
        page: reader.number("PAGE_ROWS", 500, 1..=100_000),
        lead_interval: reader.milliseconds("LEAD_INTERVAL_MS", 500, 50..=60_000),
        // Followers take a leader that is idle for 12 s as frozen (`tpro.depose`), so it must speak
        // well before.
        heartbeat: reader.milliseconds("HEARTBEAT_MS", 5000, 50..=10_000),
    }
}
