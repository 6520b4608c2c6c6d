//! What was noted beside replies that are gone. It is one table, since there is little of it.

use super::{
    session::{MaintenanceError, Session},
    table::PUBLISH,
};

/// Deletes what belongs to messages that are gone.
pub(super) async fn delete(session: &Session) -> Result<(), MaintenanceError> {
    let first = PUBLISH.ranges(session).await?.first().map_or(0, |range| range.low);
    session.delete(&format!("DELETE FROM {}.mq_reply_fault WHERE mq_id < {first}", session.schema)).await?;
    Ok(())
}
