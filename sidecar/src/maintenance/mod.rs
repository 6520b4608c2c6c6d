//! Makes partitions ahead, puts the overflow range right, and drops what is settled and old enough.
//!
//! It runs on a connection of its own, in every copy that has an interval, one run at a time (`tpro.maintain` is a lock of the
//! session), and by hand (the subcommand `maintain`). Everything it does can be done again: a run that was killed leaves at
//! most a partition that is taken off or half taken off, and the next run finds it by its name.
//!
//! **Nobody waits for it.** Three kinds of locks occur. Partitions are made beside everything else. A range is taken off by
//! `DETACH CONCURRENTLY`, which waits for the transactions that use the table and lets nobody wait; it is begun only when there
//! is none that would keep it waiting for long. Moving the bound of the overflow range needs the table for itself, for some
//! milliseconds: `lock_timeout` is 50 ms, and what was not to be had is tried again later. ([`swap`])
//!
//! **Nothing unsettled goes.** A range of the outbox is a candidate when the sequence has passed it. Then the transactions that
//! use the outbox at that moment are waited for: any row of the range is committed or gone after that, so that what is seen to
//! be settled then is all there is. It is looked at again when it is taken off, and put back if somebody has written to it by
//! hand meanwhile; its unsettled rows then get a new transaction id, by which the dispatcher reads them. ([`retire`], [`sweep`])
//!
//! **Who may.** `DETACH CONCURRENTLY` runs in no function, so that none with its owner's rights can do it for the sidecar. The
//! partitioned tables belong to a role of their own, `<service>_maintainer`, which the sidecar becomes by `SET ROLE` for this
//! connection only; by itself it may no DDL. Where the sidecar's login shall not be able to at all, the membership is revoked
//! and another login runs the subcommand.

mod faults;
pub mod metrics;
mod outbox;
mod plan;
mod range;
mod retire;
mod run;
mod session;
mod swap;
mod sweep;
mod table;

use std::time::Duration;

use tokio::time::Instant;

pub use self::{
    run::{Report, run},
    session::MaintenanceError,
};
use crate::{app::App, backoff::jittered};

/// When the first run is, after the start: soon, since `PARTITION_ROWS` may be another than before.
const FIRST: Duration = Duration::from_secs(1);

/// Starts it on the tracker, if it is wanted.
pub fn start(app: &App) {
    if let Some(interval) = app.config.maintenance.interval {
        app.stop.tasks.spawn(keep(app.clone(), interval));
    }
}

/// A run now and then, until the process is told to stop. A run in the middle is dropped then, as if it were killed.
async fn keep(app: App, interval: Duration) {
    let metrics = &app.metrics.maintenance;
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
        metrics.count(&ended);
        let said = match &ended {
            Ok(report) => report.news(),
            Err(error) => format!("failed: {error}"),
        };
        // What goes on as before is said once.
        if !said.is_empty() && said != before {
            match &ended {
                Ok(_) => tracing::info!("maintenance: {said}"),
                Err(_) => tracing::warn!("maintenance: {said}"),
            }
        }
        before = said;
    }
}
