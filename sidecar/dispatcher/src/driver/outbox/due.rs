//! Messages that are sent at their time: they are put into the outbox when they are due.

use std::time::Duration;

use tokio_postgres::Row;

use super::{Outbox, OutboxError};
use crate::core::{AT_MOST, Moment, Sent};

impl Outbox {
    /// Puts what is due into the outbox. None if the server has refused it, which is told in the
    /// log: the session goes on.
    pub(crate) async fn send_due(&self, from: Option<Moment>) -> Result<Option<Sent>, OutboxError> {
        let run = |source| OutboxError::Run { name: "outbox.send_due", source };
        let rows = match self.client.query(&self.statements.send_due, &[&self.service, &from, &AT_MOST]).await
        {
            Ok(rows) => rows,
            Err(source) if source.as_db_error().is_some() && !self.client.is_closed() => {
                tracing::warn!("{}; messages that are due wait", run(source));
                return Ok(None);
            }
            Err(source) => return Err(run(source)),
        };
        // A service of an earlier release has nothing to be sent later.
        let Some(row) = rows.first() else { return Ok(Some(Sent::default())) };
        sent(row).map(Some).map_err(run)
    }
}

/// The end of a call of `tpro.send_due`. A message that could not go is told in the log.
fn sent(row: &Row) -> Result<Sent, tokio_postgres::Error> {
    let refused: Option<&str> = row.try_get(4)?;
    if let Some(refused) = refused {
        tracing::error!("due, but cannot go into the outbox as it is: {refused}");
    }
    let next: Option<i64> = row.try_get(3)?;
    Ok(Sent {
        rows: row.try_get::<_, i64>(0)?.unsigned_abs(),
        least: row.try_get(1)?,
        upto: row.try_get(2)?,
        next: next.map(|next| Duration::from_millis(next.unsigned_abs())),
    })
}

/// The moment in the word of a commit: microseconds since the begin of 2000. Anybody may notify,
/// and say anything.
pub(crate) fn told(payload: &str) -> Option<Moment> {
    payload.parse().ok().map(Moment)
}
