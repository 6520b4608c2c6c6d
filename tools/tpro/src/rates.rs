//! Messages a second, by the counters of the server.

use serde::Serialize;

use crate::problem::Problem;
use crate::session::Session;
use crate::time::Moment;

/// Every role may read these counters. They are a second late, and count rolled-back rows too.
const COUNTS: &str = "\
    SELECT s.name, clock_timestamp(),
           coalesce(sum(pg_stat_get_tuples_inserted(i.inhrelid)) FILTER (WHERE p.relname = 'mq_publish'), 0)::int8,
           coalesce(sum(pg_stat_get_tuples_inserted(i.inhrelid)) FILTER (WHERE p.relname = 'mq_reply'), 0)::int8,
           coalesce(sum(pg_stat_get_tuples_inserted(i.inhrelid)) FILTER (WHERE p.relname = 'mq_receive'), 0)::int8
      FROM tpro.service_schemas s
      LEFT JOIN pg_class p ON p.relnamespace = s.schema_oid AND p.relname IN ('mq_publish', 'mq_reply', 'mq_receive')
      LEFT JOIN pg_inherits i ON i.inhparent = p.oid
     GROUP BY s.name";

/// The counters of a service at a moment.
#[derive(Clone, Debug)]
pub struct Count {
    name: String,
    at: Moment,
    rows: [i64; 3],
}

/// Messages a second.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Rates {
    /// Into the outbox.
    pub published_per_second: f64,
    /// Out of it: replies.
    pub settled_per_second: f64,
    /// Into the inbox: requests of others.
    pub received_per_second: f64,
}

/// The counters as they are now.
pub async fn count(session: &Session) -> Result<Vec<Count>, Problem> {
    let rows = session.query(COUNTS, &[]).await?;
    let count = |row: &tokio_postgres::Row| Count {
        name: row.get(0),
        at: row.get(1),
        rows: [row.get(2), row.get(3), row.get(4)],
    };
    Ok(rows.iter().map(count).collect())
}

/// The rates of a service between two looks.
pub fn between(before: &[Count], now: &[Count], name: &str) -> Option<Rates> {
    let of = |counts: &[Count]| counts.iter().find(|count| count.name == name).cloned();
    let (before, now) = (of(before)?, of(now)?);
    let seconds = (now.at.0 - before.at.0) as f64 / 1_000_000.0;
    // A partition that was dropped takes its counters with it.
    let rate = |n: usize| (now.rows[n] - before.rows[n]).max(0) as f64 / seconds;
    (seconds > 0.0).then(|| Rates {
        published_per_second: rate(0),
        settled_per_second: rate(1),
        received_per_second: rate(2),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_of_the_time_between_two_looks() {
        let count = |at, rows| vec![Count { name: "main".into(), at: Moment(at), rows }];
        let rates = between(&count(0, [10, 10, 10]), &count(2_000_000, [30, 10, 5]), "main").unwrap();
        assert_eq!(
            (rates.published_per_second, rates.settled_per_second, rates.received_per_second),
            (10.0, 0.0, 0.0)
        );
        assert!(between(&count(0, [0; 3]), &count(0, [1; 3]), "main").is_none());
        assert!(between(&count(0, [0; 3]), &count(1, [1; 3]), "co").is_none());
    }
}
