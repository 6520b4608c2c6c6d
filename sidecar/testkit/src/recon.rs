//! The oracle: when the faults are over and the queues are empty, was the promise kept?
//!
//! It looks with a superuser's eyes at the tables, and believes no process.

use tokio_postgres::Client;

use crate::eventually::eventually_within;
use crate::failure::{Context, Failure, Outcome};
use std::time::Duration;

/// The longest time for a queue to become empty. It covers the longest budgets and a restart of
/// everything.
const DRAIN: Duration = Duration::from_secs(120);

/// The state of the tables of one database.
#[derive(Clone, Debug, Default)]
pub struct Recon {
    /// Committed outbox rows, over all services.
    pub published: i64,
    /// Replies.
    pub settled: i64,
    /// The contradictions of the promise, a line each.
    pub violations: Vec<String>,
}

impl Recon {
    /// Waits until every outbox row of the services has a reply.
    pub async fn drained(admin: &Client, services: &[String]) -> Outcome {
        for service in services {
            let unsettled = format!(
                "SELECT count(*), min(p.id) FROM {service}_service.mq_publish p
                 WHERE NOT EXISTS (SELECT FROM {service}_service.mq_reply r WHERE r.mq_id = p.id)"
            );
            // A message that is to be sent within a minute is on its way, too.
            let later = format!(
                "SELECT count(*) FROM {service}_service.mq_later WHERE send_at < now() + interval '1 minute'"
            );
            let has_later = format!(
                "SELECT count(*) FROM pg_class WHERE oid = to_regclass('{service}_service.mq_later')"
            );
            let has_later = one(admin, &has_later).await? == 1;
            let mut left = (0, None::<i64>);
            eventually_within(DRAIN, &format!("{service}'s outbox is settled"), async || {
                let due = if has_later { one(admin, &later).await? } else { 0 };
                let row = admin.query_one(&unsettled, &[]).await?;
                left = (row.get::<_, i64>(0), row.get(1));
                Ok((left.0 == 0 && due == 0).then_some(()))
            })
            .await
            .context(format!("{} rows of {service} are unsettled, the first is {:?}", left.0, left.1))?;
        }
        Ok(())
    }

    /// Looks at all tables of the services once.
    pub async fn look(admin: &Client, services: &[String]) -> Outcome<Recon> {
        let mut recon = Recon::default();
        for service in services {
            let schema = format!("{service}_service");
            let count = |table: &str| format!("SELECT count(*) FROM {schema}.{table}");
            recon.published += one(admin, &count("mq_publish")).await?;
            recon.settled += one(admin, &count("mq_reply")).await?;
            for (fault, query) in [
                (
                    "outbox rows have no reply with their uid",
                    format!(
                        "SELECT count(*) FROM {schema}.mq_publish p WHERE NOT EXISTS
                           (SELECT FROM {schema}.mq_reply r WHERE r.mq_id = p.id AND r.uid = p.uid)"
                    ),
                ),
                (
                    "replies have no committed outbox row",
                    format!(
                        "SELECT count(*) FROM {schema}.mq_reply r WHERE NOT EXISTS
                           (SELECT FROM {schema}.mq_publish p WHERE r.mq_id = p.id AND r.uid = p.uid)"
                    ),
                ),
                (
                    "uids are in the outbox more than once",
                    format!("SELECT count(*) - count(DISTINCT uid) FROM {schema}.mq_publish"),
                ),
                (
                    "uids have more than one reply",
                    format!("SELECT count(*) - count(DISTINCT uid) FROM {schema}.mq_reply"),
                ),
                (
                    "outcomes were never accepted",
                    format!(
                        "SELECT count(*) FROM {schema}.mq_outcome o WHERE NOT EXISTS
                           (SELECT FROM {schema}.mq_receive i WHERE i.uid = o.uid)"
                    ),
                ),
            ] {
                let found = one(admin, &query).await?;
                if found != 0 {
                    recon.violations.push(format!("{service}: {found} {fault}"));
                }
            }
        }
        effects(admin, services, &mut recon.violations).await?;
        Ok(recon)
    }

    /// A failure if anything contradicts the promise.
    pub fn clean(self) -> Outcome<Recon> {
        if self.violations.is_empty() {
            return Ok(self);
        }
        Err(Failure::new(format!("the promise was broken: {}", self.violations.join("; "))))
    }
}

/// The number of effects that a transactional handler must have had with the outcome `o`: one for
/// each request of a batch, whose result is an array.
const REQUESTS: &str = "CASE jsonb_typeof(o.answer->'result') WHEN 'array' THEN jsonb_array_length(o.answer->'result') ELSE 1 END";

/// Checks the effects of the test's own service, where the database has its table
/// `public.effect(uid, what)`.
///
/// A handler notes `effect` under the uid of its request. A reply handler notes another word under
/// the uid of its own service's row.
async fn effects(admin: &Client, services: &[String], violations: &mut Vec<String>) -> Outcome {
    let table = "SELECT count(*) FROM pg_attribute
        WHERE attrelid = to_regclass('public.effect') AND attname IN ('uid', 'what') AND NOT attisdropped";
    if one(admin, table).await? != 2 {
        return Ok(());
    }
    // Of all services: it is one handler's table, and its service does not matter here.
    let all = |table: &str, columns: &str| {
        let each: Vec<String> = services
            .iter()
            .map(|service| format!("SELECT {columns} FROM {service}_service.{table}"))
            .collect();
        format!("({})", each.join(" UNION ALL "))
    };
    let inbox = all("mq_receive", "uid, target");
    let outcomes = all("mq_outcome", "uid, answer");
    let outbox = all("mq_publish", "uid, entity");
    let replies = all("mq_reply", "uid");
    for (fault, query) in [
        (
            "messages have more than one effect of a transactional handler",
            format!(
                "SELECT count(*) FROM (SELECT e.uid FROM public.effect e LEFT JOIN {outcomes} o USING (uid)
                   WHERE e.what = 'effect' AND e.uid IN
                   (SELECT i.uid FROM {inbox} i WHERE i.target LIKE '%.transactional.%')
                   GROUP BY e.uid, o.answer HAVING count(*) > {REQUESTS}) AS twice"
            ),
        ),
        (
            "messages have a result of a transactional handler and not its effect",
            format!(
                "SELECT count(*) FROM {outcomes} o WHERE o.answer ? 'result' AND o.uid IN
                   (SELECT i.uid FROM {inbox} i WHERE i.target LIKE '%.transactional.effect')
                   AND (SELECT count(*) FROM public.effect e WHERE e.uid = o.uid) < {REQUESTS}"
            ),
        ),
        (
            "effects have no inbox row",
            format!(
                "SELECT count(*) FROM public.effect e WHERE e.what = 'effect'
                   AND NOT EXISTS (SELECT FROM {inbox} i WHERE i.uid = e.uid)
                   AND NOT EXISTS (SELECT FROM {outbox} p WHERE p.uid = e.uid AND p.entity = 'stateless')"
            ),
        ),
        (
            "effects of reply handlers have no reply",
            format!(
                "SELECT count(*) FROM public.effect e WHERE e.what <> 'effect'
                   AND NOT EXISTS (SELECT FROM {replies} r WHERE r.uid = e.uid)"
            ),
        ),
        (
            "replies were handled more than once",
            "SELECT count(*) FROM (SELECT uid FROM public.effect WHERE what <> 'effect'
               GROUP BY uid HAVING count(*) > 1) AS twice"
                .to_owned(),
        ),
    ] {
        let found = one(admin, &query).await?;
        if found != 0 {
            violations.push(format!("{found} {fault}"));
        }
    }
    Ok(())
}

async fn one(admin: &Client, query: &str) -> Outcome<i64> {
    Ok(admin.query_one(query, &[]).await.context("asking the oracle")?.get(0))
}
