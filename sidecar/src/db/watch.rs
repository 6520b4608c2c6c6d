//! Looks every few seconds whether the database is there, for the readiness check, what time it is there, and how full its
//! NOTIFY queue is.

use std::{
    sync::atomic::Ordering,
    time::{Duration, SystemTime},
};

use deadpool_postgres::{PoolError, Timeouts};

use super::{Pool, plain, pool::plain_pool_error, prepare::CHECK};
use crate::{
    app::App,
    clock, failpoint,
    metrics::{Metrics, Reason},
};

/// How often.
const INTERVAL: Duration = Duration::from_secs(2);
/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(3);

const QUESTION: &str = "SELECT clock_timestamp(), pg_notification_queue_usage(), tpro.max_body()";
/// The readiness check of the NOTIFY queue, and the share of it that may be used.
const QUEUE_CHECK: &str = "notify-queue";
const QUEUE_MOST: f64 = 0.5;

/// Watches until the process is told to stop.
///
/// Through the handlers' pool and not by a connection of its own: it is their way to the database that matters. When all
/// connections are at work there is nothing to ask; the database is plainly there.
pub(crate) async fn watch(app: App) {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = app.stop.soft.cancelled() => return,
            _ = ticks.tick() => {}
        }
        count(&app.pool, &app.metrics);
        match app.stop.soft.run_until_cancelled(ask_time(&app)).await {
            None => return,
            Some(Ok(())) => app.health.ok(CHECK),
            Some(Err(reason)) => app.health.fail(CHECK, reason),
        }
    }
}

/// Sets the clock by the database's, unless all connections are at work.
pub(crate) async fn ask_time(app: &App) -> Result<(), String> {
    if let Some((theirs, queue, max_body)) = ask(&app.pool).await? {
        // A session has the value of its start; what was set for the database since then is seen by the next one.
        app.max_body.store(usize::try_from(max_body).unwrap_or_default(), Ordering::Relaxed);
        app.clock.set(theirs);
        app.metrics.dispatcher.clock_skew_ms.set(clock::host_ahead_ms(theirs));
        look_at_queue(app, queue);
    }
    Ok(())
}

/// Says when the NOTIFY queue fills up: our bells are few and carry nothing, so it is others', but when it is full no
/// bell can be rung and no publisher that rings can commit.
fn look_at_queue(app: &App, used: f64) {
    app.metrics.notify_queue.set(used);
    let most = failpoint::number("db.notify_queue_ppm").map_or(QUEUE_MOST, |ppm| ppm as f64 / 1e6);
    if used > most {
        let percent = used * 100.0;
        app.health.fail(
            QUEUE_CHECK,
            format!(
                "the NOTIFY queue of the database is {percent:.1} % full: some session listens and stays in a transaction; \
                 find it in pg_stat_activity by its xact_start and end it"
            ),
        );
    } else {
        app.health.ok(QUEUE_CHECK);
    }
}

fn count(pool: &Pool, metrics: &Metrics) {
    let status = pool.status();
    for (reason, connections) in
        [("open", status.size), ("idle", status.available), ("waited", status.waiting)]
    {
        metrics.pool.get_or_create(&Reason { reason }).set(i64::try_from(connections).unwrap_or(i64::MAX));
    }
}

async fn ask(pool: &Pool) -> Result<Option<(SystemTime, f64, i32)>, String> {
    let timeouts = Timeouts { wait: Some(Duration::ZERO), create: Some(LIMIT), recycle: Some(LIMIT) };
    let client = match pool.timeout_get(&timeouts).await {
        Ok(client) => client,
        Err(PoolError::Timeout(deadpool_postgres::TimeoutType::Wait) | PoolError::Closed) => {
            return Ok(None);
        }
        Err(error) => return Err(format!("not reachable: {}", plain_pool_error(&error))),
    };
    match tokio::time::timeout(LIMIT, client.query_typed_one(QUESTION, &[])).await {
        Ok(Ok(row)) => Ok(Some((row.get(0), row.get(1), row.get(2)))),
        Ok(Err(error)) => Err(format!("not reachable: {}", plain(&error))),
        Err(_) => {
            // Its answer may still come; the next one to use it must not get it.
            drop(deadpool_postgres::Object::take(client));
            Err(format!("does not answer within {} s", LIMIT.as_secs()))
        }
    }
}
