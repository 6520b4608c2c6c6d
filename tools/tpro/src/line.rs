//! The part of a message that a member of `tpro_reader` may see.

use serde::Serialize;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::outbox::Outbox;
use crate::problem::Problem;
use crate::session::Session;
use crate::time::Moment;

/// A message, without what it holds.
#[derive(Debug, Serialize)]
pub struct Line {
    /// The service that sent it.
    pub sender: String,
    /// Its number in the outbox.
    pub id: i64,
    /// When it was published.
    pub created_at: Moment,
    /// `<space>.<service>.<entity>.<method>`.
    pub target: String,
    /// `later` until it is sent, `waiting`, or the status of its reply.
    pub status: String,
    /// Since its publish.
    pub age_seconds: f64,
    /// The number of attempts, as the reply has it.
    pub attempts: Option<i32>,
    /// Its trace.
    pub trace_id: String,
}

/// Messages with ids from `low` to below `below`, newest first.
pub async fn read(
    session: &Session,
    outbox: &Outbox,
    low: i64,
    below: i64,
    rows: usize,
) -> Result<Vec<Line>, Problem> {
    let statement = format!(
        "SELECT s.id, s.created_at, s.target, s.status::text, extract(epoch FROM s.age)::float8, s.attempts, s.trace_id
           FROM {}.mq_status s WHERE s.id >= $1 AND s.id < $2 ORDER BY s.id DESC LIMIT {rows}",
        outbox.schema
    );
    let line = |row: &Row| Line {
        sender: outbox.sender.clone(),
        id: row.get(0),
        created_at: row.get(1),
        target: row.get(2),
        status: row.get(3),
        age_seconds: row.get(4),
        attempts: row.get(5),
        trace_id: row.get(6),
    };
    Ok(session
        .query(&statement, &[(&low, Type::INT8), (&below, Type::INT8)])
        .await?
        .iter()
        .map(line)
        .collect())
}
