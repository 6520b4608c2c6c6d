//! The counts of the maintenance.

use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::{report::Report, session::MaintenanceError};

/// One of the four partitioned tables.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Partitioned {
    /// `mq_publish`, ...
    pub table: &'static str,
}

/// Counters and gauges of the maintenance by this copy.
#[derive(Clone, Default)]
pub struct Counts {
    /// Partitions at the end of the last run.
    pub partitions: Family<Partitioned, Gauge>,
    /// Partitions dropped with their rows.
    pub dropped: Family<Partitioned, Counter>,
    /// Partitions of the outbox that are wholly ahead. At 0 messages go into the overflow
    /// partition, or will soon.
    pub ahead: Gauge,
    /// Steps that the last run put off.
    pub held: Gauge,
    /// The end of the last run without an error, in seconds since 1970.
    pub last: Gauge,
    /// Runs that failed, or that a table kept from something that only a person can make possible.
    pub errors: Counter,
}

impl Counts {
    /// All at zero, registered.
    pub fn new(r: &mut Registry) -> Self {
        let counts = Self::default();
        r.register("partitions", "Partitions of each table", counts.partitions.clone());
        r.register("partitions_dropped", "Partitions dropped with their rows", counts.dropped.clone());
        r.register(
            "partitions_ahead",
            "Partitions of the outbox that are wholly ahead",
            counts.ahead.clone(),
        );
        r.register("maintenance_held", "Steps the last maintenance had to put off", counts.held.clone());
        r.register(
            "maintenance_last_seconds",
            "When the last maintenance by this copy ended, in seconds since 1970",
            counts.last.clone(),
        );
        r.register("maintenance_errors", "Runs of the maintenance that failed", counts.errors.clone());
        counts
    }

    /// Counts a run.
    pub(super) fn count(&self, ended: &Result<Report, MaintenanceError>) {
        let report = match ended {
            Ok(report) if report.idle.is_none() => {
                if !report.failed.is_empty() {
                    self.errors.inc();
                }
                report
            }
            Ok(_) => return,
            Err(_) => {
                self.errors.inc();
                return;
            }
        };
        for table in &report.drops {
            self.dropped.get_or_create(&Partitioned { table }).inc();
        }
        for (table, parts) in &report.parts {
            self.partitions.get_or_create(&Partitioned { table }).set(number(*parts));
        }
        self.ahead.set(number(report.ahead));
        self.held.set(number(report.held));
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.last.set(i64::try_from(since.as_secs()).unwrap_or(i64::MAX));
    }
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
