//! The settings of the maintenance.

use std::time::Duration;

use super::reader::Reader;

/// The time for which messages are kept, and the portions in which they go.
#[derive(Clone, Debug)]
pub struct Maintenance {
    /// `MAINTENANCE_INTERVAL`: the pause between runs, default 60 s; none: only by the subcommand.
    pub interval: Option<Duration>,
    /// `RETENTION`: the least time that a message is kept after it was settled, default 7 days.
    pub retention: Duration,
    /// `PARTITION_ROWS`: ids in a partition of outbox and replies, default 1,000,000; they are
    /// dropped by partitions.
    pub partition_rows: i64,
}

pub(super) fn read(reader: &mut Reader) -> Maintenance {
    let interval = reader.seconds("MAINTENANCE_INTERVAL", 60, 0..=86_400);
    Maintenance {
        interval: (!interval.is_zero()).then_some(interval),
        retention: reader.seconds("RETENTION", 7 * 86_400, 1..=3650 * 86_400),
        partition_rows: reader.number("PARTITION_ROWS", 1_000_000, 1_000..=1_000_000_000),
    }
}
