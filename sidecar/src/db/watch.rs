//! Looks every few seconds whether the database is there, for the readiness check.

use std::{sync::Arc, time::Duration};

use deadpool_postgres::{PoolError, Timeouts};

use super::{Pool, plain, pool::plain_pool_error, prepare::CHECK};
use crate::{
    health::Health,
    metrics::{Metrics, Reason},
    shutdown::Stop,
};

/// How often.
const INTERVAL: Duration = Duration::from_secs(2);
/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(3);

/// Watches until the process is told to stop.
///
/// Through the handlers' pool and not by a connection of its own: it is their way to the database that matters. When all
/// connections are at work there is nothing to ask; the database is plainly there.
pub(crate) async fn watch(pool: Pool, health: Health, metrics: Arc<Metrics>, stop: Stop) {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.soft.cancelled() => return,
            _ = ticks.tick() => {}
        }
        count(&pool, &metrics);
        match ask(&pool).await {
            Ok(()) => health.ok(CHECK),
            Err(reason) => health.fail(CHECK, reason),
        }
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

async fn ask(pool: &Pool) -> Result<(), String> {
    let timeouts = Timeouts { wait: Some(Duration::ZERO), create: Some(LIMIT), recycle: Some(LIMIT) };
    let client = match pool.timeout_get(&timeouts).await {
        Ok(client) => client,
        Err(PoolError::Timeout(deadpool_postgres::TimeoutType::Wait) | PoolError::Closed) => return Ok(()),
        Err(error) => return Err(format!("not reachable: {}", plain_pool_error(&error))),
    };
    match tokio::time::timeout(LIMIT, client.simple_query("SELECT 1")).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(format!("not reachable: {}", plain(&error))),
        Err(_) => {
            // Its answer may still come; the next one to use it must not get it.
            drop(deadpool_postgres::Object::take(client));
            Err(format!("does not answer within {} s", LIMIT.as_secs()))
        }
    }
}
