//! One run, as a list of steps.

use std::time::Duration;

use tpro_runtime::{config::Config, db::Servers, failpoint};
use tpro_wire::limits::MAX_TIMEOUT;

use super::{
    report::Report,
    session::{MaintenanceError, Partition, Session},
};

const PUBLISH: &str = "mq_publish";
const REPLY: &str = "mq_reply";
/// The partitioned tables, in the order in which their partitions go. Outcomes go before the
/// messages that were accepted: a message without an outcome would run again, and a message that is
/// not there cannot.
const TABLES: [&str; 4] = [PUBLISH, REPLY, "mq_outcome", "mq_receive"];
/// The longest wait for the users of a table before a partition is taken off. If some are left, the
/// partition waits for the next run.
const USERS: Duration = Duration::from_secs(3);
const IN_USE: &str = "open transactions use the table";
/// The table of dedup keys, whose rows go one by one.
const DEDUP: &str = "mq_dedup";
/// Dedup keys that one statement drops: some ten milliseconds of work.
const KEYS: i32 = 10_000;

/// One run, if no other is under way.
pub async fn run(config: &Config, servers: &Servers) -> Result<Report, MaintenanceError> {
    let session = match Session::open(config, servers).await? {
        Ok(session) => session,
        Err(idle) => return Ok(Report::idle(idle)),
    };
    let mut report = Report::default();
    for table in TABLES {
        let mended = session.mend(table, keep(config, table)).await;
        for (held, words) in note(&mut report, table, mended)?.unwrap_or_default() {
            if held { report.put_off(words) } else { report.done(words) }
        }
    }
    for table in TABLES {
        let width = if is_by_id(table) { config.maintenance.partition_rows } else { 1 };
        let made = session.make(table, width).await;
        note(&mut report, table, made)?.unwrap_or_default().into_iter().for_each(|words| report.done(words));
    }
    failpoint::pass("maintenance.made");
    for table in TABLES {
        let retired = retire(&session, &mut report, table, keep(config, table)).await;
        note(&mut report, table, retired)?;
    }
    let dropped = drop_dedup_keys(&session).await;
    if let Some(keys @ 1..) = note(&mut report, DEDUP, dropped)? {
        report.routine(format!("dropped {keys} dedup keys that are no longer held"));
    }
    let (parts, next) = (session.partitions().await?, session.next_id().await?);
    for table in TABLES {
        report.parts.push((table, parts.iter().filter(|part| part.table == table).count()));
    }
    let ahead = |part: &&Partition| part.table == PUBLISH && part.bounds.is_ahead(next);
    report.ahead = parts.iter().filter(ahead).count();
    Ok(report)
}

/// Notes a step that must wait or needs a person, and goes on with the other tables.
fn note<T>(
    report: &mut Report,
    table: &'static str,
    done: Result<T, MaintenanceError>,
) -> Result<Option<T>, MaintenanceError> {
    match done {
        Ok(done) => Ok(Some(done)),
        Err(error) if error.is_held() => {
            report.put_off(format!("{table} is kept as it is until later: {IN_USE}"));
            Ok(None)
        }
        Err(error) if error.is_of_tables() => {
            report.failed.push(format!("{table}: {error}"));
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Takes off the partitions of a table that are settled, or beyond the window, and old enough.
async fn retire(
    session: &Session,
    report: &mut Report,
    table: &'static str,
    keep: i64,
) -> Result<(), MaintenanceError> {
    for part in candidates(session, table, keep).await? {
        let words = &part.words;
        // The users of the table are waited for without a lock, so that nobody waits behind a lock
        // of ours.
        if !session.outlast_users_of(table, USERS).await? {
            report.put_off(format!("kept {table}, {words}, until later: {IN_USE}"));
            return Ok(());
        }
        failpoint::pass("maintenance.drop");
        match session.drop(&part, keep).await?.as_str() {
            "dropped" => report.dropped(table, format!("dropped {table}, {words}")),
            "emptied" => report.dropped(table, format!("emptied {table}, {words}: {IN_USE}")),
            "unsettled" => report.kept(format!("kept {table}, {words}: it has unsettled messages")),
            "held" => {
                // The other partitions would have to wait for the same users.
                report.put_off(format!("kept {table}, {words}, until later: {IN_USE}"));
                return Ok(());
            }
            _ => {}
        }
    }
    Ok(())
}

/// Drops the dedup keys that are no longer held, a bounded number in each transaction.
async fn drop_dedup_keys(session: &Session) -> Result<i64, MaintenanceError> {
    let mut keys = 0;
    loop {
        let dropped = session.drop_dedup_keys(KEYS).await?;
        keys += dropped;
        if dropped < i64::from(KEYS) {
            return Ok(keys);
        }
    }
}

/// Partitions of a table that may be old enough, the oldest first.
async fn candidates(
    session: &Session,
    table: &'static str,
    keep: i64,
) -> Result<Vec<Partition>, MaintenanceError> {
    if table != REPLY {
        return session.old_partitions(table, keep).await;
    }
    // Replies go when their messages have gone.
    let (parts, next) = (session.partitions().await?, session.next_id().await?);
    let (replies, others): (Vec<_>, Vec<_>) = parts.into_iter().partition(|part| part.table == REPLY);
    let messages = || others.iter().filter(|part| part.table == PUBLISH).map(|part| part.bounds);
    Ok(replies.into_iter().filter(|reply| reply.bounds.have_outlived(messages(), next)).collect())
}

/// Seconds that rows are kept: after the reply, or in the inbox after the uid's time.
fn keep(config: &Config, table: &str) -> i64 {
    let kept = if is_by_id(table) {
        config.maintenance.retention
    } else {
        // A message that is accepted at the very end of the window may be at work for a budget
        // more.
        config.limits.inbox_window
            + Duration::from_secs(MAX_TIMEOUT.unsigned_abs().into())
            + Duration::from_secs(3_600)
    };
    i64::try_from(kept.as_secs()).unwrap_or(i64::MAX)
}

fn is_by_id(table: &str) -> bool {
    table == PUBLISH || table == REPLY
}
