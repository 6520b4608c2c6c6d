//! The leader's session: every statement the dispatcher runs, by name.
//!
//! The session is the leadership: a copy that has lost it can write nothing. So all of these run on
//! it and on nothing else, each a transaction of its own, pipelined as they come.

mod asked;
mod callbacks;
mod due;
mod error;
mod holds;
mod settle;
mod statements;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::SystemTime};

use tokio_postgres::{Client, Row};
use tpro_wire::{name::ServiceName, priority::Priority};

use self::{asked::Asked, statements::Statements};
pub(crate) use self::{callbacks::Callbacks, due::told, error::OutboxError};
use super::{forward, row};
use crate::core::{
    Forward, Unreplied,
    cursor::Cursor,
    published,
    reader::Window,
    snapshot::{Snapshot, Xid},
};

/// Rows that were looked back at.
#[derive(Default)]
pub(crate) struct Looked {
    /// Rows without a reply.
    pub found: Vec<Unreplied>,
    /// Rows with a reply that name a label for it.
    pub owed: Vec<i64>,
    /// The place of the last row of a full page.
    pub next: Option<(Xid, i64)>,
}

/// The leader's session.
pub(crate) struct Outbox {
    client: Client,
    service: String,
    statements: Statements,
    callbacks: Arc<Callbacks>,
}

impl Outbox {
    /// Prepares everything on a session that leads.
    pub async fn new(client: Client, service: &ServiceName) -> Result<Self, OutboxError> {
        let statements = Statements::prepare(&client, &service.schema()).await?;
        let outbox = Self { client, service: service.to_string(), statements, callbacks: Arc::default() };
        outbox.read_callbacks().await?;
        Ok(outbox)
    }

    /// The reply handlers in SQL.
    pub fn callbacks(&self) -> Arc<Callbacks> {
        self.callbacks.clone()
    }

    /// Reads the reply handlers in SQL once more, if there are any: who settles nothing without one
    /// does not see that they were taken back.
    pub async fn look_for_callbacks(&self) -> Result<(), OutboxError> {
        if !self.callbacks.is_empty() {
            self.read_callbacks().await?;
        }
        Ok(())
    }

    /// Reads the reply handlers in SQL. Returns their newest number.
    async fn read_callbacks(&self) -> Result<i64, OutboxError> {
        let rows = self.client.query(&self.statements.callbacks, &[]).await;
        rows.and_then(|rows| self.callbacks.read(&rows))
            .map_err(|source| OutboxError::Run { name: "callbacks.read", source })
    }

    /// From now on the bell reaches this session, also that of sessions with an older library, and
    /// the word that messages were cancelled or are due soon.
    pub async fn listen(&self, service: &ServiceName) -> Result<(), OutboxError> {
        // The name of a service is a plain identifier.
        let channels =
            [service.channel(), service.old_channel(), service.cancel_channel(), service.due_channel()];
        let sql = channels.map(|channel| format!("LISTEN {channel}")).join("; ");
        self.client
            .batch_execute(&sql)
            .await
            .map_err(|source| OutboxError::Run { name: "bell.listen", source })
    }

    /// A page of the outbox from the id `first` on, and the snapshot it was read in. `closed` are
    /// the lanes and priorities (`space.service.priority`) whose rows come without bodies, none for
    /// all of them.
    pub async fn read(
        &self,
        window: &Window,
        first: i64,
        rows: i64,
        closed: Option<&[String]>,
    ) -> Result<(Snapshot, Vec<Row>), OutboxError> {
        let Window { seen, until, after: (tx, id), .. } = window;
        let last = i64::MAX;
        let result = match window.is_short() {
            true => {
                self.client.query(&self.statements.read_short, &[seen, &rows, &closed, &first, &last]).await
            }
            false => {
                self.client
                    .query(&self.statements.read, &[seen, until, tx, id, &rows, &closed, &first, &last])
                    .await
            }
        };
        let run = |source| OutboxError::Run { name: "outbox.read", source };
        let mut rows = result.map_err(run)?;
        let last = rows.pop().ok_or(OutboxError::Guard)?;
        Ok((last.try_get(0).map_err(run)?, rows))
    }

    /// The rows of a page, parsed, and the snapshot it was read in.
    pub async fn page(
        &self,
        window: &Window,
        first: i64,
        rows: i64,
        closed: &[String],
    ) -> Result<(Snapshot, Vec<published::Row>), OutboxError> {
        let (cur, rows) = self.read(window, first, rows, Some(closed)).await?;
        let rows = row::rows(&rows).map_err(|source| OutboxError::Run { name: "outbox.read", source })?;
        Ok((cur, rows))
    }

    /// A page of what became visible between two snapshots, `last` being the last id of it.
    pub async fn look_back(
        &self,
        (seen, until): (&Snapshot, &Snapshot),
        last: i64,
        after: Option<(Xid, i64)>,
        rows: i64,
    ) -> Result<Looked, OutboxError> {
        let run = |source| OutboxError::Run { name: "outbox.look_back", source };
        let (tx, id) = after.unwrap_or((Xid(seen.xmin().saturating_sub(1)), i64::MAX));
        let found = self
            .client
            .query(&self.statements.look_back, &[seen, until, &last, &tx, &id, &rows])
            .await
            .map_err(run)?;
        let mut looked = Looked::default();
        let mut place = None;
        for row in &found {
            let id = row.try_get(1).map_err(run)?;
            place = Some((row.try_get(0).map_err(run)?, id));
            if row.try_get::<_, Option<bool>>(3).map_err(run)?.is_none() {
                looked.found.push(unreplied(row, (1, 2, 5, 6)).map_err(run)?);
            } else if row.try_get(4).map_err(run)? {
                looked.owed.push(id);
            }
        }
        let full = i64::try_from(found.len()).is_ok_and(|found| found == rows);
        looked.next = place.filter(|_| full);
        Ok(looked)
    }

    /// The last id that was given out.
    pub async fn drawn(&self) -> Result<i64, OutboxError> {
        let result = self.client.query_one(&self.statements.drawn, &[]).await.and_then(|row| row.try_get(0));
        result.map_err(|source| OutboxError::Run { name: "outbox.drawn", source })
    }

    /// The rows of these ids, whole.
    pub async fn fetch(&self, ids: &[i64]) -> Result<Vec<published::Row>, OutboxError> {
        let run = |source| OutboxError::Run { name: "outbox.fetch", source };
        let asked = Asked::of(ids);
        // A row between them that nobody asks for may have a large body: then each is looked up.
        let found = match asked.is_whole() {
            true => self.client.query(&self.statements.fetch_range, &[&asked.least, &asked.greatest]).await,
            false => self.client.query(&self.statements.fetch, &[&ids, &asked.least, &asked.greatest]).await,
        };
        found.and_then(|found| row::rows(&found)).map_err(run)
    }

    /// Those of these rows that have no reply.
    pub async fn unsettled(&self, ids: &[i64]) -> Result<Vec<Unreplied>, OutboxError> {
        let run = |source| OutboxError::Run { name: "outbox.unsettled", source };
        let (least, greatest) = ends(ids);
        let rows =
            self.client.query(&self.statements.unsettled, &[&ids, &least, &greatest]).await.map_err(run)?;
        rows.iter().map(|row| unreplied(row, (0, 1, 2, 3))).collect::<Result<_, _>>().map_err(run)
    }

    /// Those of these rows that have a reply, in order.
    pub async fn settled(&self, ids: &[i64]) -> Result<Vec<i64>, OutboxError> {
        let run = |source| OutboxError::Run { name: "outbox.settled", source };
        let asked = Asked::of(ids);
        let found = match asked.is_dense() {
            true => self.client.query(&self.statements.settled_range, &[&asked.least, &asked.greatest]).await,
            false => {
                self.client.query(&self.statements.settled, &[&ids, &asked.least, &asked.greatest]).await
            }
        };
        let found = found.map_err(run)?;
        let mut settled: Vec<i64> =
            found.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>().map_err(run)?;
        settled.retain(|id| asked.has(*id));
        Ok(settled)
    }

    /// Those of these rows, which have a reply, that name a label for it, in order.
    pub async fn owed(&self, ids: &[i64]) -> Result<Vec<i64>, OutboxError> {
        let run = |source| OutboxError::Run { name: "outbox.owed", source };
        let (least, greatest) = ends(ids);
        let rows = self.client.query(&self.statements.owed, &[&ids, &least, &greatest]).await.map_err(run)?;
        rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>().map_err(run)
    }

    /// The replies of these rows that name a label for it, in the order of ids.
    pub async fn forwards(&self, ids: &[i64]) -> Result<Vec<Forward>, OutboxError> {
        let run = |source| OutboxError::Run { name: "outbox.forward", source };
        let (least, greatest) = ends(ids);
        let rows = self.client.query(&self.statements.forward, &[&ids, &least, &greatest]).await;
        rows.and_then(|rows| forward::replies(&rows)).map_err(run)
    }

    /// The durable cursor.
    pub async fn cursor(&self) -> Result<Cursor, OutboxError> {
        let run = |source| OutboxError::Run { name: "cursor.read", source };
        let row = self.client.query_one(&self.statements.cursor, &[]).await.map_err(run)?;
        let read =
            || Ok(Cursor { snapshot: row.try_get(0)?, pending: row.try_get(1)?, clean: row.try_get(2)? });
        read().map_err(run)
    }

    /// The snapshot of this moment.
    pub async fn snapshot(&self) -> Result<Snapshot, OutboxError> {
        let sql = "/* cursor.now */ SELECT pg_current_snapshot()";
        let result = self.client.query_one(sql, &[]).await.and_then(|row| row.try_get(0));
        result.map_err(|source| OutboxError::Run { name: "cursor.now", source })
    }

    /// Moves the durable cursor.
    pub async fn move_cursor(&self, to: &Cursor) -> Result<(), OutboxError> {
        let result =
            self.client.execute(&self.statements.move_cursor, &[&to.snapshot, &to.pending, &to.clean]).await;
        result.map(drop).map_err(|source| OutboxError::Run { name: "cursor.move", source })
    }

    /// Notes how much waits; `whole` says that nothing is left to be read, and `read` is the last
    /// id that was.
    pub async fn note_backlog(&self, unsettled: i64, whole: bool, read: i64) -> Result<(), OutboxError> {
        let result = self.client.execute(&self.statements.note_backlog, &[&unsettled, &whole, &read]).await;
        result.map(drop).map_err(|source| OutboxError::Run { name: "backlog.note", source })
    }

    /// Takes the bell; false when a publisher is about to commit. Also tells how many services of
    /// the database are led.
    pub async fn sleep(&self) -> Result<(bool, u32), OutboxError> {
        let run = |source| OutboxError::Run { name: "bell.sleep", source };
        let row = self.client.query_one(&self.statements.sleep, &[&self.service]).await.map_err(run)?;
        let leaders: i64 = row.try_get(1).map_err(run)?;
        Ok((row.try_get(0).map_err(run)?, u32::try_from(leaders).unwrap_or(u32::MAX)))
    }

    /// Lets the bell go.
    pub async fn wake(&self) -> Result<(), OutboxError> {
        let result = self.client.execute(&self.statements.wake, &[&self.service]).await;
        result.map(drop).map_err(|source| OutboxError::Run { name: "bell.wake", source })
    }

    /// Shows that this session lives, and tells the database's time.
    pub async fn heartbeat(&self) -> Result<SystemTime, OutboxError> {
        let result =
            self.client.query_one(&self.statements.heartbeat, &[]).await.and_then(|row| row.try_get(0));
        result.map_err(|source| OutboxError::Run { name: "leader.heartbeat", source })
    }
}

/// A row without a reply, by the places of its id, its lane, its priority and its ordering key.
fn unreplied(
    row: &Row,
    (id, lane, priority, key): (usize, usize, usize, usize),
) -> Result<Unreplied, tokio_postgres::Error> {
    Ok(Unreplied {
        id: row.try_get(id)?,
        lane: row.try_get::<_, &str>(lane)?.into(),
        priority: Priority::of(row.try_get::<_, Option<i32>>(priority)?.unwrap_or_default()),
        key: row.try_get(key)?,
    })
}

/// The least and the greatest of these.
fn ends(ids: &[i64]) -> (i64, i64) {
    (ids.iter().copied().min().unwrap_or(0), ids.iter().copied().max().unwrap_or(0))
}
