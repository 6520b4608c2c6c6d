//! The statements of the leader's session, prepared.

use tokio_postgres::{Client, Statement};

use super::{OutboxError, callbacks};
use crate::core::SWALLOWED;

/// Every statement here finds its rows by an index. A partition that is empty when a statement is
/// planned, and was vacuumed, looks as if it were best scanned whole, and the plan stays while a
/// million rows come into it; so the planner is not asked. Nor is it asked whether a range of ids
/// that it does not know is a better way to rows in the order of (tx, id) than their index.
pub(crate) const PLANS: &str = "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; \
    SET enable_sort = off; SET enable_bitmapscan = off";

/// cursor.read
const CURSOR: &str = "/* cursor.read */ SELECT snapshot, pending, clean FROM {schema}.mq_cursor";
/// cursor.move: written by the leader's session only, so that nothing else needs to be guarded.
const MOVE_CURSOR: &str = "/* cursor.move */ UPDATE {schema}.mq_cursor \
    SET snapshot = $1, pending = $2, clean = $3, moved_at = clock_timestamp()";

/// outbox.drawn: the last id that was given out.
const DRAWN: &str =
    "/* outbox.drawn */ SELECT last_value - 1 + is_called::int FROM {schema}.mq_publish_id_seq";

/// backlog.note: how much waits, and up to which id that holds: all that is given out, when nothing
/// is left to be read, or else what was read last. Guard: nothing is written when nothing has
/// changed.
const NOTE_BACKLOG: &str = "/* backlog.note */ \
    WITH s AS MATERIALIZED (SELECT last_value FROM {schema}.mq_publish_id_seq) \
    UPDATE {schema}.mq_backlog b \
    SET unsettled = $1::bigint, upto = CASE WHEN $2::boolean THEN s.last_value ELSE greatest(b.upto, $3::bigint) END \
    FROM s WHERE (b.unsettled, b.upto) IS DISTINCT FROM \
        ($1, CASE WHEN $2 THEN s.last_value ELSE greatest(b.upto, $3) END)";

/// outbox.send_due: what is due goes into the outbox.
const SEND_DUE: &str = "/* outbox.send_due */ \
    SELECT sent, least_id, upto, next_in_ms, refused FROM tpro.send_due($1, $2, $3)";

/// bell.sleep: takes the bell, and counts who is woken by a notification at least.
const SLEEP: &str = "/* bell.sleep */ \
    SELECT tpro.sleep($1), (SELECT count(*) FROM tpro.locks l WHERE l.lock = 'leader')";

/// reply.try: writes a reply for the newest message and takes it back, so that constraints,
/// partitions and rights are asked as `reply.settle` asks them. It leaves one dead row. What has to
/// wait for somebody is not refused, and the next leader begins soon: so it has a second, by a
/// setting that ends with the transaction of both statements. Where the newest message has a reply
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

/// reply.settle_unsettled: as reply.settle, leaving out what has a reply. Guard: the first reply of
/// a row wins, so the same batch may be written again by a leader that did not learn whether it was
/// committed.
const SETTLE_UNSETTLED: &str =
    concat!("/* reply.settle_unsettled */\n", include_str!("../sql/settle.sql"), "ON CONFLICT DO NOTHING");

/// The statements.
pub(crate) struct Statements {
    pub read: Statement,
    pub read_short: Statement,
    pub look_back: Statement,
    pub drawn: Statement,
    pub fetch: Statement,
    pub fetch_range: Statement,
    pub unsettled: Statement,
    pub settled: Statement,
    pub settled_range: Statement,
    pub owed: Statement,
    pub forward: Statement,
    pub settle: Statement,
    pub settle_unsettled: Statement,
    pub settle_holding: Statement,
    pub holds: Statement,
    pub holds_of: Statement,
    pub callbacks: Statement,
    pub replied: Statement,
    pub cursor: Statement,
    pub move_cursor: Statement,
    pub note_backlog: Statement,
    pub sleep: Statement,
    pub wake: Statement,
    pub send_due: Statement,
    pub heartbeat: Statement,
    /// Text, since a DO takes no parameters and is not prepared.
    pub try_settle: String,
}

impl Statements {
    /// Prepares all of them on a session that leads, and has them planned as they must be.
    pub async fn prepare(client: &Client, schema: &str) -> Result<Self, OutboxError> {
        let settings = client.batch_execute(PLANS).await;
        settings.map_err(|source| OutboxError::Run { name: "leader.settings", source })?;
        let prepare = async |name, sql: &str| {
            let sql = sql.replace("{schema}", schema);
            client.prepare(&sql).await.map_err(|source| OutboxError::Prepare { name, source })
        };
        Ok(Self {
            read: prepare("outbox.read", include_str!("../sql/read.sql")).await?,
            read_short: prepare("outbox.read_short", include_str!("../sql/read_short.sql")).await?,
            look_back: prepare("outbox.look_back", include_str!("../sql/look_back.sql")).await?,
            drawn: prepare("outbox.drawn", DRAWN).await?,
            fetch: prepare("outbox.fetch", include_str!("../sql/fetch.sql")).await?,
            fetch_range: prepare("outbox.fetch_range", include_str!("../sql/fetch_range.sql")).await?,
            unsettled: prepare("outbox.unsettled", include_str!("../sql/unsettled.sql")).await?,
            settled: prepare("outbox.settled", include_str!("../sql/settled.sql")).await?,
            settled_range: prepare("outbox.settled_range", include_str!("../sql/settled_range.sql")).await?,
            owed: prepare("outbox.owed", include_str!("../sql/owed.sql")).await?,
            forward: prepare("outbox.forward", include_str!("../sql/forward.sql")).await?,
            settle: prepare("reply.settle", include_str!("../sql/settle.sql")).await?,
            settle_unsettled: prepare("reply.settle_unsettled", SETTLE_UNSETTLED).await?,
            settle_holding: prepare("reply.settle_holding", include_str!("../sql/settle_holding.sql"))
                .await?,
            holds: prepare("holds.read", include_str!("../sql/holds.sql")).await?,
            holds_of: prepare("holds.of", include_str!("../sql/holds_of.sql")).await?,
            callbacks: prepare("callbacks.read", callbacks::READ).await?,
            replied: prepare("reply.tell", "/* reply.tell */ SELECT tpro.replied($1, $2)").await?,
            cursor: prepare("cursor.read", CURSOR).await?,
            move_cursor: prepare("cursor.move", MOVE_CURSOR).await?,
            note_backlog: prepare("backlog.note", NOTE_BACKLOG).await?,
            sleep: prepare("bell.sleep", SLEEP).await?,
            wake: prepare("bell.wake", "/* bell.wake */ SELECT tpro.wake($1)").await?,
            send_due: prepare("outbox.send_due", SEND_DUE).await?,
            heartbeat: prepare("leader.heartbeat", "/* leader.heartbeat */ SELECT clock_timestamp()").await?,
            try_settle: TRY_SETTLE.replace("{schema}", schema).replace("{swallowed}", SWALLOWED),
        })
    }
}
