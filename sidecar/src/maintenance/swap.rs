//! Changes the ranges ahead: in one transaction, so that at any moment every key has its range.
//!
//! The new tables are made before the lock is asked for, and the old ones dropped after it is let go ([`super::sweep`]); under
//! the lock there are only changes of the catalogue, some milliseconds of them.
//!
//! An overflow range that has rows cannot be cut; it becomes a range like the others, with an upper bound. That all of its rows
//! are below the bound is proved beforehand, by a CHECK that is validated beside everything else, so that ATTACH has nothing to
//! look through while others wait. The bound is far enough above what is given out that nobody comes to it before it is gone.

use std::time::Duration;

use super::{
    plan::Plan,
    range::Range,
    session::{MaintenanceError, Session},
    table::Table,
};
use crate::failpoint;

/// Tries to get the lock in one run, and the pause between: others get a turn, and a moment without users may come.
const TRIES: usize = 10;
const PAUSE: Duration = Duration::from_millis(300);
/// What the changes may take under the lock.
const LIMIT: &str = "80ms";
/// The constraint that proves the bound.
const PROOF: &str = "tpro_bound";

/// Carries a plan out. An error that [is held](MaintenanceError::is_held) is for another time.
pub(super) async fn swap(session: &Session, table: &Table, plan: &Plan) -> Result<(), MaintenanceError> {
    if let Some(fill) = &plan.fill {
        prove(session, table, fill).await?;
    }
    session.execute("BEGIN").await?;
    let swapped = change(session, table, plan).await;
    session.execute(if swapped.is_ok() { "COMMIT" } else { "ROLLBACK" }).await?;
    swapped
}

/// Proves that all rows of the overflow range are below its new bound.
async fn prove(session: &Session, table: &Table, fill: &Range) -> Result<(), MaintenanceError> {
    let rest = table.rest(session);
    let condition = table.key.condition(table.column, fill);
    // One that an earlier run has left may have another bound.
    patiently(session, &format!("ALTER TABLE {rest} DROP CONSTRAINT IF EXISTS {PROOF}")).await?;
    let add = format!("ALTER TABLE {rest} ADD CONSTRAINT {PROOF} CHECK ({condition}) NOT VALID");
    patiently(session, &add).await?;
    session.execute(&format!("ALTER TABLE {rest} VALIDATE CONSTRAINT {PROOF}")).await
}

/// Tries some times, each for as long as a lock may be waited for.
async fn patiently(session: &Session, sql: &str) -> Result<(), MaintenanceError> {
    let mut tries = 1;
    loop {
        match session.execute(sql).await {
            Err(error) if error.is_held() && tries < TRIES => tries += 1,
            ended => return ended,
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn change(session: &Session, table: &Table, plan: &Plan) -> Result<(), MaintenanceError> {
    let (full, rest) = (table.full(session), table.rest(session));
    let open = Range::new(plan.rest, super::range::MAX);
    let next = format!("{}_next", table.name);
    for range in &plan.new {
        session.execute(&table.make(session, &table.key.name(table.name, range), range)).await?;
    }
    if plan.fill.is_some() {
        session.execute(&table.make(session, &next, &open)).await?;
    }
    lock(session, &full).await?;
    session.execute(&format!("SET LOCAL statement_timeout = '{LIMIT}'")).await?;
    // What was empty a moment ago may not be any more.
    for range in &plan.replace {
        still_empty(session, &table.part(session, range)).await?;
    }
    if plan.fill.is_none() {
        still_empty(session, &rest).await?;
    }
    let mut steps: Vec<String> = plan
        .replace
        .iter()
        .map(|range| format!("ALTER TABLE {full} DETACH PARTITION {}", table.part(session, range)))
        .collect();
    steps.push(format!("ALTER TABLE {full} DETACH PARTITION {rest}"));
    if let Some(fill) = &plan.fill {
        let part = table.part(session, fill);
        steps.push(format!("ALTER TABLE {rest} RENAME TO {}", table.key.name(table.name, fill)));
        steps.push(table.put_on(session, fill));
        steps.push(format!("ALTER TABLE {part} DROP CONSTRAINT {PROOF}"));
        steps.push(format!("COMMENT ON TABLE {part} IS '{}, {}'", table.name, table.key.words(fill)));
        steps.push(format!("ALTER TABLE {}.{next} RENAME TO {}_rest", session.schema, table.name));
    } else {
        steps.push(format!("COMMENT ON TABLE {rest} IS '{}, {}'", table.name, table.key.words(&open)));
    }
    steps.extend(plan.new.iter().map(|range| table.put_on(session, range)));
    steps.push(table.put_on(session, &open));
    session.execute(&steps.join("; ")).await?;
    failpoint::pass("maintenance.swapped");
    Ok(())
}

/// The table for ourselves. Each try is short, since whoever comes behind us waits as long.
async fn lock(session: &Session, full: &str) -> Result<(), MaintenanceError> {
    for tried in 1.. {
        session.execute("SAVEPOINT lock").await?;
        // ONLY: the parts that are changed are locked when they are changed.
        match session.execute(&format!("LOCK TABLE ONLY {full} IN ACCESS EXCLUSIVE MODE")).await {
            Err(error) if error.is_held() && tried < TRIES => {}
            ended => return ended,
        }
        session.execute("ROLLBACK TO SAVEPOINT lock").await?;
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

async fn still_empty(session: &Session, part: &str) -> Result<(), MaintenanceError> {
    match session.exists(part).await? {
        false => Ok(()),
        true => Err(MaintenanceError::Used(part.to_owned())),
    }
}
