//! The oracle of a run: the test kit's ([`Recon`]), the ledger of the publishers against the
//! outbox, and the effects of the handlers against both.

use std::collections::{BTreeMap, HashMap};
use std::time::SystemTime;

use tokio_postgres::Client;
use tpro_testkit::{Context as _, Outcome, Recon};

use crate::act::SERVICES;
use crate::ledger::{End, Entry};
use crate::traffic::Mark;

/// The number of contradictions of one kind that are printed.
const TOLD: usize = 20;

/// Counts that must be zero, each with its name.
const NONE: [(&str, &str); 16] = [
    (
        "messages were sent before their time",
        // A uid begins with the milliseconds at which it was made: when the message went.
        "SELECT count(*) FROM main_service.mq_publish p
          WHERE (p.headers ->> 'due')::int8 > ('x' || left(replace(p.uid::text, '-', ''), 12))::bit(48)::int8
            AND p.expires_at IS DISTINCT FROM 'epoch'",
    ),
    (
        "messages have more than one effect of a transactional handler",
        "SELECT count(*) FROM (SELECT e.uid FROM public.effect e WHERE EXISTS
            (SELECT FROM rogue_service.mq_receive i WHERE i.uid = e.uid AND i.target LIKE '%.transactional.%')
            GROUP BY e.uid HAVING count(*) > 1) AS twice",
    ),
    (
        "messages of one key have their effects in another order",
        "SELECT count(*) FROM (SELECT p.id, min(CASE r.status WHEN 'ok' THEN p.id END)
                OVER (PARTITION BY p.ordering_key ORDER BY e.n DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS later
            FROM public.effect e JOIN main_service.mq_publish p ON p.uid = e.uid
            JOIN main_service.mq_reply r ON r.mq_id = p.id WHERE p.ordering_key IS NOT NULL) o WHERE o.later < o.id",
    ),
    (
        "messages that failed have not held their key",
        "SELECT count(*) FROM main_service.mq_publish p JOIN main_service.mq_reply r ON r.mq_id = p.id
          WHERE p.headers #>> '{ordering,on_error}' = 'hold' AND r.status NOT IN ('ok', 'cancelled')
            AND NOT EXISTS (SELECT FROM public.released d WHERE d.mq_id = p.id)
            AND NOT EXISTS (SELECT FROM main_service.mq_hold h WHERE h.id = p.id)",
    ),
    (
        "messages were sent while one before them held their key",
        // A key is held for a second at least. The time of sending is by a clock that lags by as
        // much as its line to the database.
        "SELECT count(*) FROM public.released d JOIN main_service.mq_publish f ON f.id = d.mq_id
           JOIN main_service.mq_publish p ON p.ordering_key = f.ordering_key AND p.id > f.id
           JOIN main_service.mq_reply r ON r.mq_id = p.id WHERE r.sent_at < d.at - interval '0.8 seconds'",
    ),
    (
        "effects have no inbox row",
        "SELECT count(*) FROM public.effect e
          WHERE NOT EXISTS (SELECT FROM rogue_service.mq_receive i WHERE i.uid = e.uid)
            AND NOT EXISTS (SELECT FROM main_service.mq_publish p WHERE p.uid = e.uid AND p.entity = 'stateless')",
    ),
    (
        "effects have no committed publish",
        "SELECT count(*) FROM public.effect e JOIN rogue_service.mq_receive i ON i.uid = e.uid
          WHERE i.source LIKE 'main/%' AND NOT EXISTS (SELECT FROM main_service.mq_publish p WHERE p.uid = e.uid)",
    ),
    (
        "messages were answered `ok` by a handler whose effect is not there",
        "SELECT count(*) FROM main_service.mq_publish p JOIN main_service.mq_reply r ON r.mq_id = p.id
          WHERE p.service_name = 'rogue' AND p.method_name IN ('effect', 'tx') AND p.timeout > 0 AND r.status = 'ok'
            AND NOT EXISTS (SELECT FROM public.effect e WHERE e.uid = p.uid)",
    ),
    (
        "messages have an effect that their handler rolled back",
        "SELECT count(*) FROM main_service.mq_publish p WHERE p.body ->> 'end' = 'fault'
            AND (EXISTS (SELECT FROM public.effect e WHERE e.uid = p.uid)
              OR EXISTS (SELECT FROM main_service.mq_reply r WHERE r.mq_id = p.id AND r.status = 'ok'))",
    ),
    (
        "messages were answered with what is not their body",
        "SELECT count(*) FROM main_service.mq_publish p JOIN main_service.mq_reply r ON r.mq_id = p.id
          WHERE p.method_name = 'echo' AND r.status = 'ok' AND r.result IS DISTINCT FROM p.body",
    ),
    (
        "calls were answered with what is not theirs",
        "SELECT count(*) FROM main_service.mq_publish p JOIN main_service.mq_reply r ON r.mq_id = p.id
          WHERE p.body ->> 'target' = 'rogue.stateless.echo' AND r.status = 'ok'
            AND r.result IS DISTINCT FROM jsonb_build_array(p.body -> 'body', p.body -> 'body')",
    ),
    (
        "messages to a service that nobody runs have a reply as if somebody did",
        "SELECT count(*) FROM main_service.mq_publish p JOIN main_service.mq_reply r ON r.mq_id = p.id
          WHERE p.service_name = 'dead' AND r.status IN ('ok', 'error')",
    ),
    (
        "replies have no effect of their reply handler, and no fault of it",
        "SELECT count(*) FROM main_service.mq_publish p JOIN main_service.mq_reply r ON r.mq_id = p.id
          WHERE (p.service_name, p.entity, p.method_name) = ('rogue', 'transactional', 'effect')
            AND NOT EXISTS (SELECT FROM public.reply_effect e WHERE e.uid = p.uid)
            AND NOT EXISTS (SELECT FROM main_service.mq_reply_fault f WHERE f.mq_id = p.id)",
    ),
    (
        "messages have more than one effect of a reply handler",
        "SELECT count(*) FROM (SELECT FROM public.reply_effect e GROUP BY e.uid HAVING count(*) > 1) AS twice",
    ),
    (
        "effects of a reply handler have no reply",
        "SELECT count(*) FROM public.reply_effect e
          WHERE NOT EXISTS (SELECT FROM main_service.mq_reply r WHERE r.mq_id = e.mq_id AND r.uid = e.uid)",
    ),
    (
        "runs of a handler that publishes did not leave exactly one message",
        "SELECT abs((SELECT count(*) FROM rogue_service.mq_publish WHERE service_name = 'old' AND NOT direct)
            - (SELECT count(*) FROM rogue_service.mq_outcome o WHERE o.answer ? 'result' AND EXISTS
                (SELECT FROM rogue_service.mq_receive i WHERE i.uid = o.uid AND i.target LIKE '%.transactional.publish')))",
    ),
];

/// The verdict on a run.
pub struct Verdict {
    /// Rows in all outboxes.
    pub published: i64,
    /// Rows of `main` by status.
    pub settled: BTreeMap<String, i64>,
    /// Effects in the database.
    pub effects: i64,
    /// Attempts after the first, over all messages of `main`.
    pub repeats: i64,
    /// Ends of transactions that only the oracle could tell.
    pub resolved: usize,
    /// The contradictions of the promise, a line each.
    pub violations: Vec<String>,
}

/// Ends the transactions that publishers have left open: their sessions, and prepared transactions,
/// which are committed.
pub async fn tidy(admin: &Client) -> Outcome {
    let sessions = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'chaos/publisher'";
    let open = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'chaos/publisher'";
    tpro_testkit::eventually("the publishers' sessions are over", async || {
        admin.query_one(sessions, &[]).await?;
        Ok(admin.query_one(open, &[]).await?.get::<_, i64>(0) == 0)
    })
    .await?;
    for row in admin.query("SELECT gid FROM pg_prepared_xacts WHERE gid LIKE 'chaos-%'", &[]).await? {
        let gid: String = row.get(0);
        admin
            .batch_execute(&format!("COMMIT PREPARED '{gid}'"))
            .await
            .context(format!("committing {gid}"))?;
    }
    Ok(())
}

/// Messages that are not settled, and the last log lines of the leaders that should settle them:
/// the place to begin to look.
pub async fn unsettled(admin: &Client) -> Outcome<String> {
    let mut told = String::new();
    for service in SERVICES {
        let rows = format!(
            "SELECT format('%s %s tx %s at %s%s to %s.%s.%s, in the cursor: %s', '{service}', p.id, p.tx, p.created_at,
                    CASE WHEN p.direct THEN ' (direct)' END, p.service_name, p.entity, p.method_name,
                    CASE WHEN p.id = ANY (c.pending) THEN 'pending'
                         WHEN pg_visible_in_snapshot(p.tx, c.snapshot) THEN 'done' ELSE 'not read' END)
               FROM {service}_service.mq_publish p CROSS JOIN {service}_service.mq_cursor c
              WHERE NOT EXISTS (SELECT FROM {service}_service.mq_reply r WHERE r.mq_id = p.id) ORDER BY p.id LIMIT 10"
        );
        for row in admin.query(&rows, &[]).await? {
            told.push_str(&row.get::<_, String>(0));
            told.push_str("; ");
        }
    }
    Ok(told)
}

/// Asks everything. The outboxes must be settled, and the ends that publishers did not learn are
/// looked up.
pub async fn ask(admin: &Client, ledger: Vec<Entry>, downs: &[SystemTime]) -> Outcome<Verdict> {
    let services = SERVICES.map(str::to_owned);
    let recon = Recon::look(admin, &services).await?;
    let mut violations = recon.violations;
    for (what, query) in NONE {
        let found = one(admin, query).await?;
        if found != 0 {
            violations.push(format!("{found} {what}"));
        }
    }
    let resolved = compare(admin, ledger, downs, &mut violations).await?;
    let by_status = "SELECT status::text, count(*) FROM main_service.mq_reply GROUP BY 1";
    let settled = admin.query(by_status, &[]).await?.iter().map(|row| (row.get(0), row.get(1))).collect();
    Ok(Verdict {
        published: recon.published,
        settled,
        effects: one(admin, "SELECT count(*) FROM public.effect").await?,
        repeats: one(
            admin,
            "SELECT coalesce(sum(greatest(attempts - 1, 0)), 0)::int8 FROM main_service.mq_reply",
        )
        .await?,
        resolved,
        violations,
    })
}

/// Holds the outbox against the ledger; returns how many ends had to be looked up.
async fn compare(
    admin: &Client,
    ledger: Vec<Entry>,
    downs: &[SystemTime],
    violations: &mut Vec<String>,
) -> Outcome<usize> {
    let marks = "SELECT (headers ->> 'mark')::int8 FROM main_service.mq_publish WHERE headers ? 'mark'";
    let mut there: HashMap<Mark, u32> = HashMap::new();
    for row in admin.query(marks, &[]).await? {
        *there.entry(row.get::<_, i64>(0) as Mark).or_default() += 1;
    }
    let mut known: HashMap<Mark, ()> = HashMap::new();
    let mut resolved = 0;
    let (mut lost, mut risen, mut torn) = (Vec::new(), Vec::new(), Vec::new());
    for entry in ledger {
        let present = entry.kept.iter().filter(|mark| there.contains_key(mark)).count();
        let mut end = entry.end;
        if let (End::Unknown, Some(xid)) = (end, entry.xid) {
            // A row that is there has committed. The id of a missing row may be another's.
            let downs = if present == 0 { downs } else { &[] };
            end = status(admin, &entry, xid, downs).await?;
            resolved += 1;
        }
        match end {
            End::Committed if present < entry.kept.len() => lost.push(entry.clone()),
            End::RolledBack if present > 0 => risen.push(entry.clone()),
            // Nobody can say, but a transaction is there as a whole or not at all.
            End::Unknown if present != 0 && present != entry.kept.len() => torn.push(entry.clone()),
            _ => {}
        }
        if entry.gone.iter().any(|mark| there.contains_key(mark)) {
            risen.push(entry.clone());
        }
        known.extend(entry.kept.into_iter().chain(entry.gone).map(|mark| (mark, ())));
    }
    // Each of them, since the next one may have another cause.
    let mut say = |what: &str, entries: &[Entry]| {
        let number = entries.len();
        violations.extend(
            entries
                .iter()
                .zip(1..)
                .take(TOLD)
                .map(|(entry, nth)| format!("{number} transactions {what}, number {nth} is {entry:?}")),
        );
    };
    say("committed and are not in the outbox", &lost);
    say("were rolled back and are in the outbox", &risen);
    say("are in the outbox in part", &torn);
    let twice = there.values().filter(|count| **count > 1).count();
    if twice > 0 {
        violations.push(format!("{twice} rows are in the outbox more than once"));
    }
    let strange = there.keys().filter(|mark| !known.contains_key(mark)).count();
    if strange > 0 {
        violations.push(format!("{strange} rows of the outbox were published by nobody"));
    }
    Ok(resolved)
}

/// The end of a transaction, as the server tells it.
///
/// A crash takes with it all that was not flushed, ids of transactions included, and the server
/// hands them out again: a `committed` transaction under a repeated id is another one. Its time
/// shows that, since the server was down between the start of the one and the commit of the other.
async fn status(admin: &Client, entry: &Entry, xid: u64, downs: &[SystemTime]) -> Outcome<End> {
    let query = format!(
        "SELECT pg_xact_status('{xid}'::xid8), CASE pg_xact_status('{xid}'::xid8) WHEN 'committed'
            THEN pg_xact_commit_timestamp('{xid}'::xid8::xid) END"
    );
    let row = admin.query_one(&query, &[]).await.context("asking pg_xact_status")?;
    let (status, at): (Option<String>, Option<SystemTime>) = (row.get(0), row.get(1));
    let handed_out_again =
        !entry.prepared && at.is_some_and(|at| downs.iter().any(|down| entry.begun < *down && *down < at));
    Ok(match status.as_deref() {
        Some("committed") if handed_out_again => End::RolledBack,
        Some("committed") => End::Committed,
        Some("aborted") => End::RolledBack,
        _ => End::Unknown,
    })
}

async fn one(admin: &Client, query: &str) -> Outcome<i64> {
    Ok(admin.query_one(query, &[]).await.context(query)?.get(0))
}
