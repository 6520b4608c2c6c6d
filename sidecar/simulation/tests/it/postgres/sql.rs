//! The product's statements as SQL: its own files, prepared, and the texts that lie in its sources.

use tpro_simulation::postgres::{Holding, Outcome, Reply, Statement, Taking};

use super::text::{Translation, array, text, uuid};

/// The service of the scripts.
pub const SERVICE: &str = "main";

/// What each session prepares: name, types, and the product's text.
const PREPARED: &[(&str, &str, &str)] = &[
    (
        "read",
        "pg_snapshot, pg_snapshot, xid8, bigint, bigint, text[], bigint, bigint",
        include_str!("../../../../dispatcher/src/driver/sql/read.sql"),
    ),
    (
        "look_back",
        "pg_snapshot, pg_snapshot, bigint, xid8, bigint, bigint",
        include_str!("../../../../dispatcher/src/driver/sql/look_back.sql"),
    ),
    ("fetch", "bigint[], bigint, bigint", include_str!("../../../../dispatcher/src/driver/sql/fetch.sql")),
    (
        "unsettled",
        "bigint[], bigint, bigint",
        include_str!("../../../../dispatcher/src/driver/sql/unsettled.sql"),
    ),
    (
        "settled",
        "bigint[], bigint, bigint",
        include_str!("../../../../dispatcher/src/driver/sql/settled.sql"),
    ),
    ("owed", "bigint[], bigint, bigint", include_str!("../../../../dispatcher/src/driver/sql/owed.sql")),
    (
        "forward",
        "bigint[], bigint, bigint",
        include_str!("../../../../dispatcher/src/driver/sql/forward.sql"),
    ),
    ("fetch_range", "bigint, bigint", include_str!("../../../../dispatcher/src/driver/sql/fetch_range.sql")),
    (
        "settled_range",
        "bigint, bigint",
        include_str!("../../../../dispatcher/src/driver/sql/settled_range.sql"),
    ),
    ("settle", REPLIES, include_str!("../../../../dispatcher/src/driver/sql/settle.sql")),
    (
        "settle_unsettled",
        REPLIES,
        concat!(include_str!("../../../../dispatcher/src/driver/sql/settle.sql"), "ON CONFLICT DO NOTHING"),
    ),
    ("settle_holding", HOLDING, include_str!("../../../../dispatcher/src/driver/sql/settle_holding.sql")),
    ("holds", "bigint, bigint", include_str!("../../../../dispatcher/src/driver/sql/holds.sql")),
    ("holds_of", "bigint[]", include_str!("../../../../dispatcher/src/driver/sql/holds_of.sql")),
    ("settle_own", "bigint, uuid, text, text, text, int", SETTLE_OWN),
    (
        "accept",
        "uuid[], int[], text[], text[], int[], bigint[], text[], int",
        include_str!("../../../../service/src/inbox/accept.sql"),
    ),
    ("known", "uuid[], text, int", include_str!("../../../../service/src/inbox/known.sql")),
    ("finish", "uuid[], int[], text[]", include_str!("../../../../service/src/inbox/finish.sql")),
    (
        "finish_accepted",
        "uuid[], int[], text[], int",
        include_str!("../../../../service/src/inbox/finish_accepted.sql"),
    ),
    ("outcome", "uuid[]", include_str!("../../../../service/src/inbox/outcome.sql")),
    ("begun", "uuid", include_str!("../../../../service/src/inbox/counted.sql")),
    (
        "count_repeat",
        "uuid, int, text, text, int, bigint, text",
        include_str!("../../../../service/src/inbox/count_repeat.sql"),
    ),
];

const REPLIES: &str =
    "bigint[], uuid[], text[], text[], text[], text[], int[], timestamptz[], text[], bigint";
const HOLDING: &str = "bigint[], uuid[], text[], text[], text[], text[], int[], timestamptz[], text[], bigint, \
    text[], text[], text[], text";

/// As the product's, but for columns that stay empty.
const SETTLE_OWN: &str = "INSERT INTO {schema}.mq_reply (mq_id, uid, status, result, error, attempts) \
    SELECT $1, $2, $3, $4::jsonb, $5::jsonb, $6 \
    WHERE EXISTS (SELECT FROM {schema}.mq_publish p WHERE p.id = $1 AND p.uid = $2) ON CONFLICT DO NOTHING";

/// What a session begins with.
pub fn prepare() -> String {
    let mut sql =
        String::from("SET plan_cache_mode = force_generic_plan; SET jit = off; SET tpro.sender = 'main';");
    for (name, types, body) in PREPARED {
        sql += &format!(
            "PREPARE tpro_{name} ({types}) AS {};\n",
            body.trim().replace("{schema}", "main_service")
        );
    }
    sql
}

/// A statement as SQL.
pub fn write(statement: &Statement, translation: &Translation) -> String {
    match statement {
        Statement::Begin => "BEGIN".into(),
        Statement::Commit => "COMMIT".into(),
        Statement::Rollback => "ROLLBACK".into(),
        Statement::Prepare(name) => format!("PREPARE TRANSACTION '{name}'"),
        Statement::CommitPrepared(name) => format!("COMMIT PREPARED '{name}'"),
        Statement::RollbackPrepared(name) => format!("ROLLBACK PREPARED '{name}'"),
        Statement::SetPatience(patience) => {
            format!("SET LOCAL lock_timeout = {}", patience.map_or(0, |patience| patience.as_millis()))
        }
        Statement::TakeXid => "SELECT pg_current_xact_id()".into(),
        Statement::Snapshot => "SELECT pg_current_snapshot()".into(),
        Statement::Heartbeat
        | Statement::Identity
        | Statement::TryToSettle(_)
        | Statement::Depose(_)
        | Statement::PublishLater(..)
        | Statement::Callbacks(_)
        | Statement::NameCallbacks(..)
        | Statement::SendDue(..) => {
            panic!("{statement:?} is no part of a script")
        }
        Statement::Listen(channel) => format!("LISTEN {channel}"),
        Statement::Notify(channel, payload) => format!("NOTIFY {channel}, '{payload}'"),
        Statement::Publish(_, messages) => {
            let rows: Vec<String> = messages
                .iter()
                .map(|new| {
                    let id = new.id.map_or("DEFAULT".to_owned(), |id| id.to_string());
                    let service = new.lane.rsplit('.').next().unwrap_or_default();
                    let label = if new.reply_to { "'a'" } else { "NULL" };
                    format!(
                        "({id}, '{}', '{service}', 'example', 'x', {}, {label}, {})",
                        uuid(new.uid),
                        new.direct,
                        new.priority
                    )
                })
                .collect();
            format!(
                "INSERT INTO main_service.mq_publish (id, uid, service_name, entity, method_name, direct, reply_to, priority) VALUES {} RETURNING id",
                rows.join(", ")
            )
        }
        Statement::Draw(_) => "SELECT nextval('main_service.mq_publish_id_seq')".into(),
        Statement::Drawn(_) => {
            "SELECT last_value - 1 + is_called::int FROM main_service.mq_publish_id_seq".into()
        }
        Statement::Read(_, window) => {
            let closed = window.closed.as_ref();
            let closed =
                closed.map_or("NULL".to_owned(), |lanes| array(lanes, "text", |lane| text(Some(lane))));
            let until = window.until.as_ref().map_or("NULL".to_owned(), |until| translation.snapshot(until));
            let (tx, id) = window.after;
            format!(
                "EXECUTE tpro_read ({}, {until}, '{}', {id}, {}, {closed}, {}, 9223372036854775807)",
                translation.snapshot(&window.seen),
                translation.xid(tx),
                window.rows,
                window.first
            )
        }
        Statement::LookBack(_, seen, until, last, (tx, id), rows) => format!(
            "EXECUTE tpro_look_back ({}, {}, {last}, '{}', {id}, {rows})",
            translation.snapshot(seen),
            translation.snapshot(until),
            translation.xid(*tx)
        ),
        Statement::Fetch(_, ids) if between(ids) <= ids.len() as u64 => {
            format!("EXECUTE tpro_fetch_range ({})", ends(ids))
        }
        Statement::Fetch(_, ids) => format!("EXECUTE tpro_fetch ({})", ids_and_ends(ids)),
        Statement::Unsettled(_, ids) => format!("EXECUTE tpro_unsettled ({})", ids_and_ends(ids)),
        // A range that others lie in, too, as the product asks where it is dense.
        Statement::Settled(_, ids) if between(ids) <= 2 * ids.len() as u64 => {
            format!("EXECUTE tpro_settled_range ({})", ends(ids))
        }
        Statement::Settled(_, ids) => format!("EXECUTE tpro_settled ({})", ids_and_ends(ids)),
        Statement::Owed(_, ids) => format!("EXECUTE tpro_owed ({})", ids_and_ends(ids)),
        Statement::Forward(_, ids) => format!("EXECUTE tpro_forward ({})", ids_and_ends(ids)),
        Statement::Settle(_, replies, number) => {
            format!("EXECUTE tpro_settle ({}, {number})", columns(replies))
        }
        Statement::SettleUnsettled(_, replies, number) => {
            format!("EXECUTE tpro_settle_unsettled ({}, {number})", columns(replies))
        }
        Statement::SettleHolding(_, replies, number, holds) => {
            let key = |reply: &Reply| holds.iter().find(|hold| hold.id == reply.mq_id).map(|hold| &*hold.key);
            format!(
                "EXECUTE tpro_settle_holding ({}, {number}, {}, {}, {}, '{SERVICE}')",
                columns(replies),
                array(replies, "text", |_| text(Some("tpro"))),
                array(replies, "text", |_| text(Some("co"))),
                array(replies, "text", |reply| text(key(reply)))
            )
        }
        Statement::Holds(_, holding) => self::holding(holding),
        Statement::SettleOwn(_, reply) => format!(
            "EXECUTE tpro_settle_own ({}, {}, '{}', {}, {}, {})",
            reply.mq_id,
            quoted(reply.uid),
            reply.status,
            text(reply.result.as_deref()),
            text(reply.error.as_deref()),
            reply.attempts
        ),
        Statement::Cancel(_, id) => format!("SELECT tpro.cancel({id}, 'main')"),
        Statement::Cursor(_) => "SELECT snapshot, pending, clean FROM main_service.mq_cursor".into(),
        Statement::MoveCursor(_, cursor) => format!(
            "UPDATE main_service.mq_cursor SET snapshot = {}, pending = {}, clean = {}, moved_at = clock_timestamp()",
            translation.snapshot(&cursor.snapshot),
            array(&cursor.pending, "bigint", i64::to_string),
            cursor.clean
        ),
        Statement::NoteBacklog(_, unsettled, whole, read) => format!(
            "WITH s AS MATERIALIZED (SELECT last_value FROM main_service.mq_publish_id_seq) UPDATE main_service.mq_backlog b \
             SET unsettled = {unsettled}, upto = CASE WHEN {whole} THEN s.last_value ELSE greatest(b.upto, {read}) END \
             FROM s WHERE (b.unsettled, b.upto) IS DISTINCT FROM \
             ({unsettled}, CASE WHEN {whole} THEN s.last_value ELSE greatest(b.upto, {read}) END)"
        ),
        Statement::Lead(_) => "SELECT tpro.lead('main')".into(),
        Statement::Sleep(_) => "SELECT tpro.sleep('main')".into(),
        Statement::Wake(_) => "SELECT tpro.wake('main')".into(),
        Statement::Present(_, key) => format!("SELECT tpro.present('main', {key})"),
        Statement::IsPresent(_, key) => format!("SELECT tpro.is_present('main', {key})"),
        Statement::IsLed(_, pid) => format!(
            "SELECT EXISTS (SELECT FROM tpro.locks l WHERE l.lock = 'leader' AND l.pid = {} \
             AND l.schema_oid = 'main_service'::regnamespace)",
            translation.pids.get(pid).copied().unwrap_or_default()
        ),
        Statement::Accept(_, key, takings) => format!("EXECUTE tpro_accept ({}, {key})", takings_of(takings)),
        Statement::Known(_, key, uids) => {
            format!("EXECUTE tpro_known ({}, '{SERVICE}', {key})", array(uids, "uuid", |uid| quoted(*uid)))
        }
        Statement::Finish(_, outcomes) => format!("EXECUTE tpro_finish ({})", finished(outcomes)),
        Statement::FinishAccepted(_, key, outcomes) => {
            format!("EXECUTE tpro_finish_accepted ({}, {key})", finished(outcomes))
        }
        Statement::Outcomes(_, uids) => {
            format!("EXECUTE tpro_outcome ({})", array(uids, "uuid", |uid| quoted(*uid)))
        }
        Statement::Begun(_, uid) => format!("EXECUTE tpro_begun ({})", quoted(*uid)),
        Statement::CountRepeat(_, key, taking) => format!(
            "EXECUTE tpro_count_repeat ({}, {key}, {}, '{}', {}, {}, {})",
            quoted(taking.uid),
            text(taking.source.as_deref()),
            taking.target,
            taking.attempt,
            taking.budget.as_millis(),
            text(taking.proof.as_deref())
        ),
        Statement::Effect(_, uid) => format!("INSERT INTO effects (uid) VALUES ({})", quoted(*uid)),
    }
}

/// As the product's statements on `mq_hold`.
fn holding(holding: &Holding) -> String {
    match holding {
        Holding::Behind(id, rows) => format!("EXECUTE tpro_holds ({id}, {rows})"),
        Holding::Of(ids) => format!("EXECUTE tpro_holds_of ({})", array(ids, "bigint", i64::to_string)),
        Holding::Add(hold) => format!(
            "INSERT INTO main_service.mq_hold (id, space_name, service_name, ordering_key) \
             VALUES ({}, 'tpro', 'co', '{}') ON CONFLICT DO NOTHING",
            hold.id, hold.key
        ),
        Holding::LetGo(id) => format!("SELECT tpro.end_holds('main', ARRAY[{id}::bigint])"),
        Holding::Release(_, key) => format!("SELECT tpro.release('{key}', 'co', 'main')"),
        Holding::Copy(..) => panic!("{holding:?} is no part of a script"),
    }
}

fn quoted(uid: u128) -> String {
    format!("'{}'", uuid(uid))
}

fn ids_and_ends(ids: &[i64]) -> String {
    format!("{}, {}", array(ids, "bigint", i64::to_string), ends(ids))
}

/// The least and the greatest.
fn ends(ids: &[i64]) -> String {
    format!("{}, {}", ids.iter().min().unwrap_or(&0), ids.iter().max().unwrap_or(&0))
}

/// The ids from the least to the greatest.
fn between(ids: &[i64]) -> u64 {
    let ends = ids.iter().max().zip(ids.iter().min());
    ends.map_or(0, |(greatest, least)| greatest.abs_diff(*least) + 1)
}

fn finished(outcomes: &[Outcome]) -> String {
    format!(
        "{}, {}, {}",
        array(outcomes, "uuid", |outcome| quoted(outcome.uid)),
        array(outcomes, "int", |outcome| outcome.run.to_string()),
        array(outcomes, "text", |outcome| text(Some(&outcome.answer)))
    )
}

fn columns(replies: &[Reply]) -> String {
    [
        array(replies, "bigint", |reply| reply.mq_id.to_string()),
        array(replies, "uuid", |reply| quoted(reply.uid)),
        array(replies, "text", |reply| text(Some(&reply.status))),
        array(replies, "text", |reply| text(reply.result.as_deref())),
        array(replies, "text", |reply| text(reply.error.as_deref())),
        array(replies, "text", |_| text(None)),
        array(replies, "int", |reply| reply.attempts.to_string()),
        array(replies, "timestamptz", |_| text(None)),
        array(replies, "text", |_| text(None)),
    ]
    .join(", ")
}

fn takings_of(takings: &[Taking]) -> String {
    [
        array(takings, "uuid", |taking| quoted(taking.uid)),
        array(takings, "int", |taking| taking.run.to_string()),
        array(takings, "text", |taking| text(taking.source.as_deref())),
        array(takings, "text", |taking| text(Some(&taking.target))),
        array(takings, "int", |taking| taking.attempt.to_string()),
        array(takings, "bigint", |taking| taking.budget.as_millis().to_string()),
        array(takings, "text", |taking| text(taking.proof.as_deref())),
    ]
    .join(", ")
}
