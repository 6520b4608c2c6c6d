//! The leader's session: every statement the dispatcher runs, by name.
//!
//! The session is the leadership: whoever lost it can write nothing. So all of these run on it and on nothing else, each a
//! transaction of its own, pipelined as they come.

use std::time::SystemTime;

use tokio_postgres::{Client, Row, Statement, error::SqlState, types::ToSql};
use tpro_runtime::db::{is_refusal, is_shortage, plain};
use tpro_wire::{name::ServiceName, uid::Uid};
use uuid::Uuid;

use super::{
    reader::Window,
    settled::Settled,
    snapshot::{Snapshot, Xid},
    stuck::{SWALLOWED, Stuck},
};

/// A statement of the leader's session failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum OutboxError {
    /// A statement could not be prepared: most likely the extension or the schema is of another version, or gone.
    #[error("{name} cannot be prepared: {}", plain(source))]
    Prepare {
        /// The statement.
        name: &'static str,
        /// What the server says.
        source: tokio_postgres::Error,
    },
    /// A statement failed.
    #[error("{name} failed: {}", plain(source))]
    Run {
        /// The statement.
        name: &'static str,
        /// What the server says.
        source: tokio_postgres::Error,
    },
    /// The guard of `outbox.read` found a transaction id where there must be none.
    #[error(
        "outbox.read returned nothing, not even its snapshot: its transaction had an id of its own, which is a bug"
    )]
    Guard,
}

impl OutboxError {
    /// Whether the server lacks room (53: disk, memory), which may pass while the session stays.
    pub fn is_shortage(&self) -> bool {
        match self {
            Self::Prepare { source, .. } | Self::Run { source, .. } => is_shortage(source),
            Self::Guard => false,
        }
    }
}

/// Every statement here finds its rows by an index. A partition that is empty when a statement is planned, and was vacuumed,
/// looks as if it were best scanned whole, and the plan stays while a million rows come into it; so the planner is not asked.
/// Nor is it asked whether a range of ids that it does not know is a better way to rows in the order of (tx, id) than their index.
const PLANS: &str = "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; \
    SET enable_sort = off; SET enable_bitmapscan = off";

/// Where reading begins: the durable cursor.
#[derive(Clone, Debug)]
pub(super) struct Cursor {
    /// Everything visible in it has been read.
    pub snapshot: Snapshot,
    /// What was read and had no reply then.
    pub pending: Vec<i64>,
    /// Nothing that is not visible in the snapshot has been sent by anybody.
    pub clean: bool,
}

/// cursor.read
const CURSOR: &str = "/* cursor.read */ SELECT snapshot, pending, clean FROM {schema}.mq_cursor";
/// cursor.move: written by the leader's session only, so that nothing else needs to be guarded.
const MOVE_CURSOR: &str = "/* cursor.move */ UPDATE {schema}.mq_cursor \
    SET snapshot = $1, pending = $2, clean = $3, moved_at = clock_timestamp()";

/// outbox.drawn: the last id that was given out.
const DRAWN: &str =
    "/* outbox.drawn */ SELECT last_value - 1 + is_called::int FROM {schema}.mq_publish_id_seq";

/// backlog.note: how much waits, and up to which id that holds: all that is given out, when nothing is left to be read, or
/// else what was read last. Guard: nothing is written when nothing has changed.
const NOTE_BACKLOG: &str = "/* backlog.note */ \
    WITH s AS MATERIALIZED (SELECT last_value FROM {schema}.mq_publish_id_seq) \
    UPDATE {schema}.mq_backlog b \
    SET unsettled = $1::bigint, upto = CASE WHEN $2::boolean THEN s.last_value ELSE greatest(b.upto, $3::bigint) END \
    FROM s WHERE (b.unsettled, b.upto) IS DISTINCT FROM \
        ($1, CASE WHEN $2 THEN s.last_value ELSE greatest(b.upto, $3) END)";

/// reply.try: writes a reply for the newest message and takes it back, so that constraints, partitions and rights are asked as
/// `reply.settle` asks them. It leaves one dead row. What has to wait for somebody is not refused, and the next leader begins
/// soon: so it has a second, by a setting that ends with the transaction of both statements. Where the newest message has a reply
/// already, the id after it shows whether something takes replies away.
const TRY_SETTLE: &str = "/* reply.try */ SET LOCAL statement_timeout = '1s'; DO $$ DECLARE newest bigint; tried bigint; BEGIN \
    PERFORM set_config('lock_timeout', '20ms', true); \
    SELECT last_value INTO newest FROM {schema}.mq_publish_id_seq; \
    FOREACH tried IN ARRAY ARRAY[newest, newest + 1] LOOP \
        INSERT INTO {schema}.mq_reply (mq_id, uid, status) VALUES (tried, tpro.uuid7(), 'ok') ON CONFLICT DO NOTHING; \
        IF FOUND THEN RAISE SQLSTATE 'TP000'; END IF; \
        IF NOT EXISTS (SELECT FROM {schema}.mq_reply r WHERE r.mq_id = tried) THEN \
            RAISE EXCEPTION '{swallowed}'; \
        END IF; \
    END LOOP; \
    EXCEPTION WHEN SQLSTATE 'TP000' OR lock_not_available THEN NULL; \
        WHEN check_violation THEN IF tried = newest THEN RAISE; END IF; END $$";

/// The statements, prepared on the leader's session.
pub(super) struct Outbox {
    client: Client,
    service: String,
    read: Statement,
    look_back: Statement,
    drawn: Statement,
    fetch: Statement,
    unsettled: Statement,
    settled: Statement,
    settle: Statement,
    settle_unsettled: Statement,
    cursor: Statement,
    move_cursor: Statement,
    note_backlog: Statement,
    sleep: Statement,
    wake: Statement,
    heartbeat: Statement,
    /// Text, since a DO takes no parameters and is not prepared.
    try_settle: String,
    stuck: Stuck,
}

impl Outbox {
    /// Prepares everything on a session that leads.
    pub async fn new(client: Client, service: &ServiceName) -> Result<Self, OutboxError> {
        let settings = client.batch_execute(PLANS).await;
        settings.map_err(|source| OutboxError::Run { name: "leader.settings", source })?;
        let schema = service.schema();
        let prepare = async |name, sql: &str| {
            let sql = sql.replace("{schema}", &schema);
            client.prepare(&sql).await.map_err(|source| OutboxError::Prepare { name, source })
        };
        Ok(Self {
            read: prepare("outbox.read", include_str!("read.sql")).await?,
            look_back: prepare("outbox.look_back", include_str!("look_back.sql")).await?,
            drawn: prepare("outbox.drawn", DRAWN).await?,
            fetch: prepare("outbox.fetch", include_str!("fetch.sql")).await?,
            unsettled: prepare("outbox.unsettled", include_str!("unsettled.sql")).await?,
            settled: prepare("outbox.settled", include_str!("settled.sql")).await?,
            settle: prepare("reply.settle", include_str!("settle.sql")).await?,
            settle_unsettled: prepare("reply.settle_unsettled", include_str!("settle_unsettled.sql")).await?,
            cursor: prepare("cursor.read", CURSOR).await?,
            move_cursor: prepare("cursor.move", MOVE_CURSOR).await?,
            note_backlog: prepare("backlog.note", NOTE_BACKLOG).await?,
            sleep: prepare("bell.sleep", "/* bell.sleep */ SELECT tpro.sleep($1)").await?,
            wake: prepare("bell.wake", "/* bell.wake */ SELECT tpro.wake($1)").await?,
            heartbeat: prepare("leader.heartbeat", "/* leader.heartbeat */ SELECT clock_timestamp()").await?,
            service: service.to_string(),
            try_settle: TRY_SETTLE.replace("{schema}", &schema).replace("{swallowed}", SWALLOWED),
            stuck: Stuck::default(),
            client,
        })
    }

    /// Those who cannot write replies: as long as there are any, nothing more is to be sent.
    pub fn stuck(&self) -> &Stuck {
        &self.stuck
    }

    /// From now on the bell reaches this session, and the word that messages were cancelled.
    pub async fn listen(&self, service: &ServiceName) -> Result<(), OutboxError> {
        // The name of a service is a plain identifier.
        let sql = format!("LISTEN {}; LISTEN {}", service.channel(), service.cancel_channel());
        self.client
            .batch_execute(&sql)
            .await
            .map_err(|source| OutboxError::Run { name: "bell.listen", source })
    }

    /// A page of the outbox from the id `first` on, and the snapshot it was read in. `closed` are the lanes whose rows come
    /// without bodies, none for all of them.
    pub async fn read(
        &self,
        window: &Window,
        first: i64,
        rows: i64,
        closed: Option<&[String]>,
    ) -> Result<(Snapshot, Vec<Row>), OutboxError> {
        let Window { seen, until, after: (tx, id) } = window;
        let result =
            self.client.query(&self.read, &[seen, until, tx, id, &rows, &closed, &first, &i64::MAX]).await;
        let run = |source| OutboxError::Run { name: "outbox.read", source };
        let mut rows = result.map_err(run)?;
        let last = rows.pop().ok_or(OutboxError::Guard)?;
        Ok((last.try_get(0).map_err(run)?, rows))
    }

    /// A page of what became visible between two snapshots, `last` being the last id of it: which rows have no reply, their
    /// lanes, and the last row of a full page.
    pub async fn look_back(
        &self,
        (seen, until): (&Snapshot, &Snapshot),
        last: i64,
        after: Option<(Xid, i64)>,
        rows: i64,
    ) -> Result<(Vec<(i64, String)>, Option<(Xid, i64)>), OutboxError> {
        let run = |source| OutboxError::Run { name: "outbox.look_back", source };
        let (tx, id) = after.unwrap_or((Xid(seen.xmin().saturating_sub(1)), i64::MAX));
        let found =
            self.client.query(&self.look_back, &[seen, until, &last, &tx, &id, &rows]).await.map_err(run)?;
        let mut unsettled = Vec::new();
        let mut place = None;
        for row in &found {
            let id = row.try_get(1).map_err(run)?;
            place = Some((row.try_get(0).map_err(run)?, id));
            if row.try_get::<_, Option<bool>>(3).map_err(run)?.is_none() {
                unsettled.push((id, row.try_get(2).map_err(run)?));
            }
        }
        let full = i64::try_from(found.len()).is_ok_and(|found| found == rows);
        Ok((unsettled, place.filter(|_| full)))
    }

    /// The last id that was given out.
    pub async fn drawn(&self) -> Result<i64, OutboxError> {
        let result = self.client.query_one(&self.drawn, &[]).await.and_then(|row| row.try_get(0));
        result.map_err(|source| OutboxError::Run { name: "outbox.drawn", source })
    }

    /// The rows of these ids, whole.
    pub async fn fetch(&self, ids: &[i64]) -> Result<Vec<Row>, OutboxError> {
        let (least, greatest) = ends(ids);
        let result = self.client.query(&self.fetch, &[&ids, &least, &greatest]).await;
        result.map_err(|source| OutboxError::Run { name: "outbox.fetch", source })
    }

    /// Which of these have no reply, and their lanes.
    pub async fn unsettled(&self, ids: &[i64]) -> Result<Vec<(i64, String)>, OutboxError> {
        let run = |source| OutboxError::Run { name: "outbox.unsettled", source };
        let (least, greatest) = ends(ids);
        let rows = self.client.query(&self.unsettled, &[&ids, &least, &greatest]).await.map_err(run)?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect::<Result<_, _>>().map_err(run)
    }

    /// Which of these have a reply, in order.
    pub async fn settled(&self, ids: &[i64]) -> Result<Vec<i64>, OutboxError> {
        let run = |source| OutboxError::Run { name: "outbox.settled", source };
        let (least, greatest) = ends(ids);
        let rows = self.client.query(&self.settled, &[&ids, &least, &greatest]).await.map_err(run)?;
        rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>().map_err(run)
    }

    /// Writes outcomes; the first reply of a row wins.
    pub async fn settle(&self, batch: &[Settled]) -> Result<u64, tokio_postgres::Error> {
        let ids: Vec<i64> = column(batch, |s| s.settlement.id);
        let uids: Vec<Uuid> = column(batch, |s| Uid::uuid(&s.settlement.uid));
        let status: Vec<&str> = column(batch, |s| s.settlement.status.as_str());
        let result: Vec<Option<&str>> = column(batch, |s| s.settlement.result.as_deref());
        let error: Vec<Option<&str>> = column(batch, |s| s.settlement.error.as_deref());
        let headers: Vec<Option<&str>> = column(batch, |s| s.settlement.headers.as_deref());
        let attempts: Vec<i32> = column(batch, |s| s.settlement.attempts);
        let sent_at = column(batch, |s| s.settlement.sent_at);
        let responder: Vec<Option<&str>> = column(batch, |s| s.settlement.responder.as_deref());
        let columns: [&(dyn ToSql + Sync); 9] =
            [&ids, &uids, &status, &result, &error, &headers, &attempts, &sent_at, &responder];
        match self.client.execute(&self.settle, &columns).await {
            Err(error) if error.code() == Some(&SqlState::UNIQUE_VIOLATION) => {
                self.client.execute(&self.settle_unsettled, &columns).await
            }
            result => result,
        }
    }

    /// Whether replies can be written at all; if not, why.
    pub async fn try_to_settle(&self) -> Result<Option<String>, OutboxError> {
        match self.client.batch_execute(&self.try_settle).await {
            Ok(()) => Ok(None),
            Err(error) if error.code() == Some(&SqlState::QUERY_CANCELED) => Ok(None),
            Err(error) if is_refusal(&error) || is_shortage(&error) => Ok(Some(plain(&error))),
            Err(source) => Err(OutboxError::Run { name: "reply.try", source }),
        }
    }

    /// The durable cursor.
    pub async fn cursor(&self) -> Result<Cursor, OutboxError> {
        let run = |source| OutboxError::Run { name: "cursor.read", source };
        let row = self.client.query_one(&self.cursor, &[]).await.map_err(run)?;
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
        let result = self.client.execute(&self.move_cursor, &[&to.snapshot, &to.pending, &to.clean]).await;
        result.map(drop).map_err(|source| OutboxError::Run { name: "cursor.move", source })
    }

    /// Notes how much waits; `whole` says that nothing is left to be read, and `read` is the last id that was.
    pub async fn note_backlog(&self, unsettled: i64, whole: bool, read: i64) -> Result<(), OutboxError> {
        let result = self.client.execute(&self.note_backlog, &[&unsettled, &whole, &read]).await;
        result.map(drop).map_err(|source| OutboxError::Run { name: "backlog.note", source })
    }

    /// Takes the bell; false when a publisher is about to commit.
    pub async fn sleep(&self) -> Result<bool, OutboxError> {
        let result =
            self.client.query_one(&self.sleep, &[&self.service]).await.and_then(|row| row.try_get(0));
        result.map_err(|source| OutboxError::Run { name: "bell.sleep", source })
    }

    /// Lets the bell go.
    pub async fn wake(&self) -> Result<(), OutboxError> {
        let result = self.client.execute(&self.wake, &[&self.service]).await;
        result.map(drop).map_err(|source| OutboxError::Run { name: "bell.wake", source })
    }

    /// Shows that this session lives, and tells the database's time.
    pub async fn heartbeat(&self) -> Result<SystemTime, OutboxError> {
        let result = self.client.query_one(&self.heartbeat, &[]).await.and_then(|row| row.try_get(0));
        result.map_err(|source| OutboxError::Run { name: "leader.heartbeat", source })
    }
}

/// The least and the greatest of these.
fn ends(ids: &[i64]) -> (i64, i64) {
    (ids.iter().copied().min().unwrap_or(0), ids.iter().copied().max().unwrap_or(0))
}

fn column<'a, T>(batch: &'a [Settled], of: impl Fn(&'a Settled) -> T) -> Vec<T> {
    batch.iter().map(of).collect()
}

#[cfg(test)]
mod tests;
