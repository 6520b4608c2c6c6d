//! What is settled and old enough.

use std::time::Duration;

use super::{
    range::Range,
    session::{MaintenanceError, Session},
    table::{PUBLISH, REPLY},
};

/// The first id that is not given out yet.
pub(super) async fn next_id(session: &Session) -> Result<i64, MaintenanceError> {
    let next = format!("SELECT last_value + is_called::int FROM {}.mq_publish_id_seq", session.schema);
    Ok(session.one(&next, &[]).await?.get(0))
}

/// What keeps a range from being dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// It has rows that were settled not so long ago.
    Young,
    /// It has unsettled rows.
    Unsettled,
}

/// Whether the last reply of a range is too young for the range to go: found by index, and mostly so.
pub(super) async fn is_young(
    session: &Session,
    range: &Range,
    retention: Duration,
) -> Result<bool, MaintenanceError> {
    let last = format!("{} ORDER BY r.mq_id DESC LIMIT 1", replies(session, range));
    session.exists(format!("(SELECT r.replied_at FROM {last}) r WHERE {}", young(retention))).await
}

/// Why a range whose ids are all given out must stay; none if it may go. It looks at every row.
pub(super) async fn kept(
    session: &Session,
    range: &Range,
    retention: Duration,
) -> Result<Option<Kept>, MaintenanceError> {
    if unsettled(session, range).await? {
        return Ok(Some(Kept::Unsettled));
    }
    let young = format!("{} AND {}", replies(session, range), young(retention));
    Ok(session.exists(young).await?.then_some(Kept::Young))
}

fn replies(session: &Session, range: &Range) -> String {
    format!("{} r WHERE {}", REPLY.full(session), REPLY.key.condition("r.mq_id", range))
}

fn young(retention: Duration) -> String {
    format!("r.replied_at > clock_timestamp() - interval '{} s'", retention.as_secs())
}

/// Whether a part, on the table or taken off, has unsettled rows.
pub(super) async fn unsettled(session: &Session, range: &Range) -> Result<bool, MaintenanceError> {
    session.exists(unsettled_rows(session, range)).await
}

/// Gives the unsettled rows of a part a new transaction id, by which the dispatcher reads them: it may have passed them while
/// they were off.
pub(super) fn unsettled_rows_anew(session: &Session, range: &Range) -> String {
    let part = PUBLISH.part(session, range);
    format!(
        "UPDATE {part} u SET tx = pg_current_xact_id() WHERE u.id IN (SELECT p.id FROM {})",
        unsettled_rows(session, range)
    )
}

fn unsettled_rows(session: &Session, range: &Range) -> String {
    // The condition on mq_id names the one part of the replies that can have them.
    format!(
        "{} p WHERE NOT EXISTS (SELECT FROM {} r WHERE r.mq_id = p.id AND {})",
        PUBLISH.part(session, range),
        REPLY.full(session),
        REPLY.key.condition("r.mq_id", range)
    )
}
