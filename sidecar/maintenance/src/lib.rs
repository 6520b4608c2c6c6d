//! Makes partitions ahead, puts the overflow partition right, and drops what is settled and old
//! enough.
//!
//! The partitions belong to `tpro_owner`, and so do the functions that change them
//! (`tpro.mend_partitions`, `tpro.make_partitions`, `tpro.drop_partition` in `sql/pg_tpro--*.sql`).
//! A sidecar may call these for its own service. They find out by themselves which messages are
//! settled, so a service's login cannot drop an unsettled message through them.
//!
//! It runs on a connection of its own, in every copy that has an interval, one run at a time
//! (`tpro.maintain` is a lock of the session), and by hand (the subcommand `maintain`). Each call
//! is one statement and one transaction. A run that is killed leaves nothing half done, and trouble
//! with one table does not hold up the other tables.
//!
//! **Nobody waits for it.** Partitions are made beside everything else. To attach them before the
//! overflow partition, and to take one off, the table is needed alone for some milliseconds. Each
//! try waits 50 ms, and a step that did not get the table is tried again later. A table that is in
//! use for long is not tried at all: [`session`] looks at its locks first, and takes none.
//!
//! **Dedup keys go row by row**, a bounded number in each statement. A primary key over partitions
//! would have to contain their bounds, and one key could be held in two of them.
//!
//! **Nobody's INSERT is refused.** An overflow partition with rows must end below a bound. Its
//! index proves that, while the table is held; no constraint stands there before or afterwards.
//!
//! **Nothing unsettled goes.** A partition of the outbox may go when the sequence has passed it,
//! nobody writes to it, all of it is settled, and nobody uses the outbox at that moment. An id that
//! was given out and not written yet is in use.
#![forbid(unsafe_code)]

pub mod bounds;
pub mod metrics;
mod report;
mod run;
mod session;

use std::time::Duration;

use tokio::time::Instant;
use tpro_runtime::{app::App, backoff::jittered};

pub use self::{report::Report, run::run, session::MaintenanceError};

/// The pause before the first run: short, since `PARTITION_ROWS` may have changed.
const FIRST: Duration = Duration::from_secs(1);
/// The readiness check: it complains of problems that only a person can solve.
const CHECK: &str = "maintenance";

/// Starts it on the tracker, if it is wanted.
pub fn start(app: &App, counts: metrics::Counts) {
    if let Some(interval) = app.config.maintenance.interval {
        app.stop.tasks.spawn(keep(app.clone(), counts, interval));
    }
}

/// Runs it at each interval, until the process is told to stop. A run under way is dropped then, as
/// if it were killed.
async fn keep(app: App, counts: metrics::Counts, interval: Duration) {
    let mut pause = FIRST.min(interval);
    let mut before = String::new();
    loop {
        // Jittered, so that copies do not come at the same moment.
        let next = Instant::now() + jittered(pause);
        pause = interval;
        let over = app.stop.soft.run_until_cancelled(async {
            tokio::time::sleep_until(next).await;
            run(&app.config, &app.servers).await
        });
        let Some(ended) = over.await else { return };
        counts.count(&ended);
        let said = match &ended {
            Ok(report) => report.news(),
            Err(error) => format!("failed: {error}"),
        };
        // A complaint that has not changed is logged once.
        if !said.is_empty() && said != before {
            match &ended {
                Ok(_) => tracing::info!("maintenance: {said}"),
                Err(_) => tracing::warn!("maintenance: {said}"),
            }
        }
        before = said;
        match ended {
            // Another copy runs it, and reports.
            Ok(report) if report.idle.is_some() => {}
            Ok(report) if report.failed.is_empty() => app.health.ok(CHECK),
            Ok(report) => app.health.fail(CHECK, report.failed.join("; ")),
            // The tables are not at fault. The check of the database sees an error that lasts.
            Err(_) => {}
        }
    }
}
