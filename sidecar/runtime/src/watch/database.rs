//! Asks the database every few seconds: for the readiness check, for its time, and for the use of
//! its NOTIFY queue.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant, SystemTime},
};

use deadpool_postgres::{Object, PoolError, Timeouts};
use tokio_postgres::types::{ToSql, Type};

use crate::{
    app::App,
    db::{DATABASE, DbCounts, Pool, plain, plain_pool_error},
    failpoint,
    metrics::Reason,
};

/// The pause between two questions of a copy that is ready. A check that begins to fail ends it.
const INTERVAL: Duration = Duration::from_secs(10);
/// The pause while a check fails, so that its end is seen soon.
const SOON: Duration = Duration::from_secs(2);
/// The longest time for an answer.
const LIMIT: Duration = Duration::from_secs(3);

const QUESTION: &str = "SELECT clock_timestamp(), pg_notification_queue_usage(), tpro.max_body()";
/// The readiness check of the NOTIFY queue, and the share of it that may be used.
const QUEUE_CHECK: &str = "notify-queue";
const QUEUE_MOST: f64 = 0.5;

/// The readiness check of the service's tables, the pause between its questions, and the number of
/// findings that are told.
const TABLES_CHECK: &str = "tables";
const TABLES_EVERY: Duration = Duration::from_secs(10);
const TABLES_EVERY_WHILE_READY: Duration = Duration::from_secs(30);
const TABLES_MOST: usize = 5;
const TABLES_QUESTION: &str = "/* tables.faults */ SELECT thing, problem, remedy FROM tpro.faults($1::text)";

/// Watches until the process is told to stop.
///
/// It goes through the handlers' pool, since their way to the database matters. When all
/// connections are at work there is nothing to ask: the database is plainly there.
pub(super) async fn watch(app: App) {
    let mut tables_at: Option<Instant> = None;
    loop {
        let is_ready = app.health.failing().is_empty();
        let every = if is_ready { TABLES_EVERY_WHILE_READY } else { TABLES_EVERY };
        if tables_at.is_none_or(|at| at.elapsed() >= every) {
            tables_at = Some(Instant::now());
            app.stop.soft.run_until_cancelled(look_at_tables(&app)).await;
        }
        count(&app.pool, &app.db_counts);
        match app.stop.soft.run_until_cancelled(ask_time(&app)).await {
            None => return,
            Some(Ok(())) => app.health.ok(DATABASE),
            Some(Err(reason)) => app.health.fail(DATABASE, reason),
        }
        if app.stop.soft.run_until_cancelled(pause(&app)).await.is_none() {
            return;
        }
    }
}

/// Waits for the time of the next question. A check that begins to fail may be the first sign that
/// the database has gone, and one that fails is to be over soon after its cause.
async fn pause(app: &App) {
    tokio::time::sleep(SOON).await;
    let _ = tokio::time::timeout(INTERVAL - SOON, app.health.failure()).await;
}

/// Sets the clock by the database's, unless all connections are at work.
pub async fn ask_time(app: &App) -> Result<(), String> {
    if let Some((theirs, queue, max_body)) = ask(&app.pool).await? {
        // A session has the value of its start. The next session sees a value that was set for the
        // database since then.
        app.max_body.store(usize::try_from(max_body).unwrap_or_default(), Ordering::Relaxed);
        app.clock.set(theirs);
        look_at_queue(app, queue);
    }
    Ok(())
}

/// Says which of the service's tables differ from the template: a difference may keep messages from
/// moving while nothing fails.
async fn look_at_tables(app: &App) {
    // Another check says that a database cannot be asked.
    let Ok(Some(client)) = take(&app.pool).await else { return };
    let service = app.config.service.as_str();
    let parameters: [(&(dyn ToSql + Sync), Type); 1] = [(&service, Type::TEXT)];
    let asked = client.query_typed(TABLES_QUESTION, &parameters);
    let rows = match tokio::time::timeout(LIMIT, asked).await {
        Ok(Ok(rows)) => rows,
        // The extension is to be updated, or the schema is gone; the parts that need it say so.
        Ok(Err(_)) => return,
        Err(_) => return drop(deadpool_postgres::Object::take(client)),
    };
    let mut told: Vec<String> = rows
        .iter()
        .take(TABLES_MOST)
        .filter_map(|row| {
            let text = |column| row.try_get::<_, String>(column).ok();
            Some(format!("{} {}: {}", text(0)?, text(1)?, text(2)?))
        })
        .collect();
    if rows.len() > TABLES_MOST {
        told.push(format!("and {} more: SELECT * FROM tpro.faults('{service}')", rows.len() - TABLES_MOST));
    }
    match told.is_empty() {
        true => app.health.ok(TABLES_CHECK),
        false => app.health.fail(TABLES_CHECK, told.join("; ")),
    }
}

/// Says when the NOTIFY queue fills up. Our bells are few and carry nothing, so it fills by others.
/// When it is full, no bell can be rung and no publisher that rings can commit.
fn look_at_queue(app: &App, used: f64) {
    app.db_counts.notify_queue.set(used);
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

fn count(pool: &Pool, counts: &DbCounts) {
    let status = pool.status();
    for (reason, connections) in
        [("open", status.size), ("idle", status.available), ("waited", status.waiting)]
    {
        counts.pool.get_or_create(&Reason { reason }).set(i64::try_from(connections).unwrap_or(i64::MAX));
    }
}

/// A connection of the pool; none when all are at work.
async fn take(pool: &Pool) -> Result<Option<Object>, String> {
    let timeouts = Timeouts { wait: Some(Duration::ZERO), create: Some(LIMIT), recycle: Some(LIMIT) };
    match pool.look(&timeouts).await {
        Ok(client) => Ok(Some(client)),
        Err(PoolError::Timeout(deadpool_postgres::TimeoutType::Wait) | PoolError::Closed) => Ok(None),
        Err(error) => Err(format!("not reachable: {}", plain_pool_error(&error))),
    }
}

async fn ask(pool: &Pool) -> Result<Option<(SystemTime, f64, i32)>, String> {
    let Some(client) = take(pool).await? else { return Ok(None) };
    match tokio::time::timeout(LIMIT, client.query_typed_one(QUESTION, &[])).await {
        Ok(Ok(row)) => Ok(Some((row.get(0), row.get(1), row.get(2)))),
        Ok(Err(error)) => Err(format!("not reachable: {}", plain(&error))),
        Err(_) => {
            // Its answer may still come, and the next user of the connection must not get it.
            drop(deadpool_postgres::Object::take(client));
            Err(format!("does not answer within {} s", LIMIT.as_secs()))
        }
    }
}
