//! Takes off what is old. What is taken off the sweep looks at once more, and drops.

use std::time::Duration;

use super::{
    outbox::{self, Kept},
    range::Range,
    run::Report,
    session::{MaintenanceError, Session},
    table::{OUTCOME, PUBLISH, RECEIVE, REPLY, Table, USERS},
};

/// Ranges of the outbox that are settled and old enough.
pub(super) async fn publish(
    session: &Session,
    report: &mut Report,
    retention: Duration,
) -> Result<(), MaintenanceError> {
    let next = outbox::next_id(session).await?;
    for range in PUBLISH.ranges(session).await? {
        if range.high > next || outbox::is_young(session, &range, retention).await? {
            continue;
        }
        // Whoever uses the table now may have a row in this range that is not committed, or be about to: the sequence passed
        // it, but a statement may still be on its way with an id. After them it is seen what there is.
        if !session.outlast_users_of(&PUBLISH.full(session), USERS).await? {
            report.put_off(&PUBLISH, &range, "open transactions use the table");
            continue;
        }
        match outbox::kept(session, &range, retention).await? {
            Some(Kept::Young) => {}
            Some(Kept::Unsettled) => report.unsettled(&range),
            None => take_off(session, report, &PUBLISH, &range).await?,
        }
    }
    Ok(())
}

/// Ranges of replies whose messages are gone.
pub(super) async fn reply(session: &Session, report: &mut Report) -> Result<(), MaintenanceError> {
    let next = outbox::next_id(session).await?;
    let mut messages = PUBLISH.ranges(session).await?;
    messages.extend(PUBLISH.taken_off(session).await?);
    for range in REPLY.ranges(session).await? {
        if range.high <= next && !messages.iter().any(|messages| messages.overlaps(&range)) {
            take_off(session, report, &REPLY, &range).await?;
        }
    }
    Ok(())
}

/// Days of the inbox that no repeat can come from any more. Without an outcome a message would run again, but for that it must
/// be accepted first, and for its day there is no range to accept it in.
pub(super) async fn inbox(
    session: &Session,
    report: &mut Report,
    first: i64,
) -> Result<(), MaintenanceError> {
    for table in [OUTCOME, RECEIVE] {
        for range in table.ranges(session).await? {
            if range.high <= first {
                take_off(session, report, &table, &range).await?;
            }
        }
    }
    Ok(())
}

async fn take_off(
    session: &Session,
    report: &mut Report,
    table: &Table,
    range: &Range,
) -> Result<(), MaintenanceError> {
    match table.take_off(session, range).await {
        Ok(true) => {}
        Ok(false) => report.put_off(table, range, "open transactions use the table"),
        // Begun, and to be finished by the next run.
        Err(error) if error.is_held() => report.put_off(table, range, "open transactions use the table"),
        Err(error) => return Err(error),
    }
    Ok(())
}
