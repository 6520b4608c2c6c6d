//! Looks every few seconds whether the database is there, for the readiness check, and what time it is there.

use std::time::{Duration, SystemTime};

use deadpool_postgres::{PoolError, Timeouts};

use super::{Pool, plain, pool::plain_pool_error, prepare::CHECK};
use crate::{
    app::App,
    clock,
    metrics::{Metrics, Reason},
};

/// How often.
const INTERVAL: Duration = Duration::from_secs(2);
/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(3);

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
        match ask_time(&app).await {
            Ok(()) => app.health.ok(CHECK),
            Err(reason) => app.health.fail(CHECK, reason),
        }
    }
}

/// Sets the clock by the database's, unless all connections are at work.
pub(crate) async fn ask_time(app: &App) -> Result<(), String> {
    if let Some(theirs) = ask(&app.pool).await? {
        app.clock.set(theirs);
        app.metrics.dispatcher.clock_skew_ms.set(clock::host_ahead_ms(theirs));
    }
    Ok(())
}

fn count(pool: &Pool, metrics: &Metrics) {
    let status = pool.status();
    for (reason, connections) in
        [("open", status.size), ("idle", status.available), ("waited", status.waiting)]
    {
        metrics.pool.get_or_create(&Reason { reason }).set(i64::try_from(connections).unwrap_or(i64::MAX));
    }
}

async fn ask(pool: &Pool) -> Result<Option<SystemTime>, String> {
    let timeouts = Timeouts { wait: Some(Duration::ZERO), create: Some(LIMIT), recycle: Some(LIMIT) };
    let client = match pool.timeout_get(&timeouts).await {
        Ok(client) => client,
        Err(PoolError::Timeout(deadpool_postgres::TimeoutType::Wait) | PoolError::Closed) => {
            return Ok(None);
        }
        Err(error) => return Err(format!("not reachable: {}", plain_pool_error(&error))),
    };
    match tokio::time::timeout(LIMIT, client.query_typed_one("SELECT clock_timestamp()", &[])).await {
        Ok(Ok(row)) => Ok(Some(row.get(0))),
        Ok(Err(error)) => Err(format!("not reachable: {}", plain(&error))),
        Err(_) => {
            // Its answer may still come; the next one to use it must not get it.
            drop(deadpool_postgres::Object::take(client));
            Err(format!("does not answer within {} s", LIMIT.as_secs()))
        }
    }
}
