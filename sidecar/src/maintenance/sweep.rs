//! Looks at what is taken off once more: it goes, or it is put on again.

use super::{
    outbox,
    range::Range,
    run::Report,
    session::{MaintenanceError, Session},
    table::{OUTCOME, PUBLISH, RECEIVE, REPLY, Table},
};
use crate::failpoint;

/// Everything that is taken off; `first` is the first day that the inbox keeps. Messages go before their replies: without
/// replies they would look unsettled.
pub(super) async fn sweep(
    session: &Session,
    report: &mut Report,
    first: i64,
) -> Result<(), MaintenanceError> {
    for range in PUBLISH.taken_off(session).await? {
        if outbox::unsettled(session, &range).await? {
            let sql =
                [PUBLISH.put_on(session, &range), outbox::unsettled_rows_anew(session, &range)].join("; ");
            session.execute(&sql).await?;
            report.put_off(&PUBLISH, &range, "it has got unsettled messages while it was taken off");
        } else {
            drop_part(session, report, &PUBLISH, &range).await?;
        }
    }
    let messages = PUBLISH.ranges(session).await?;
    for range in REPLY.taken_off(session).await? {
        let wanted = messages.iter().any(|messages| messages.overlaps(&range));
        drop_unless(session, report, &REPLY, &range, wanted).await?;
    }
    for table in [OUTCOME, RECEIVE] {
        for range in table.taken_off(session).await? {
            drop_unless(session, report, &table, &range, range.high > first).await?;
        }
    }
    Ok(())
}

async fn drop_unless(
    session: &Session,
    report: &mut Report,
    table: &Table,
    range: &Range,
    wanted: bool,
) -> Result<(), MaintenanceError> {
    if wanted && session.exists(table.part(session, range)).await? {
        return session.execute(&table.put_on(session, range)).await;
    }
    drop_part(session, report, table, range).await
}

async fn drop_part(
    session: &Session,
    report: &mut Report,
    table: &Table,
    range: &Range,
) -> Result<(), MaintenanceError> {
    failpoint::pass("maintenance.drop");
    // Most of them have rows; one that was replaced before it got any is not worth a word.
    let had_rows = session.exists(table.part(session, range)).await?;
    match session.execute(&format!("DROP TABLE {}", table.part(session, range))).await {
        Ok(()) if had_rows => report.dropped(table, range),
        Ok(()) => {}
        Err(error) if error.is_held() => report.put_off(table, range, "somebody reads what is taken off"),
        Err(error) => return Err(error),
    }
    Ok(())
}
