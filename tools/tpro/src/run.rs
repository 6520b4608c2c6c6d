//! The runs of the handler of a message, by the inbox of the service that answers.

use serde::Serialize;
use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::problem::Problem;
use crate::session::Session;
use crate::time::Moment;

/// A run.
#[derive(Debug, Serialize)]
pub struct Run {
    /// Its number: the next one begins when the copy of the one before has died.
    pub run: i32,
    /// The attempt of the requester that it began with.
    pub attempt: i32,
    /// When a copy accepted the message.
    pub accepted_at: Moment,
    /// When the copy stops at the latest.
    pub deadline: Moment,
    /// When its outcome was stored.
    pub outcome_at: Option<Moment>,
}

/// As with outboxes, only tables of tpro_owner are read.
const INBOX: &str = "\
    SELECT quote_ident(n.nspname)
      FROM pg_namespace n
      JOIN pg_class m ON m.relnamespace = n.oid AND m.relname = 'mq_receive' AND m.relkind = 'p'
      JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = 'mq_outcome' AND c.relkind = 'p'
      JOIN pg_roles o ON o.rolname = 'tpro_owner'
     WHERE n.nspname = split_part($1, '.', 2) || '_service' AND n.nspowner = o.oid AND m.relowner = o.oid AND c.relowner = o.oid
       AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(m.oid, 'SELECT') AND has_table_privilege(c.oid, 'SELECT')";

/// The runs of a message, if its target is a service of this database whose inbox may be read.
pub async fn of(session: &Session, target: &str, uid: &str) -> Result<Vec<Run>, Problem> {
    let inbox = session.query(INBOX, &[(&target, Type::TEXT)]).await?;
    let (Some(inbox), Ok(uid)) = (inbox.first(), uid.parse::<Uuid>()) else { return Ok(Vec::new()) };
    let schema: &str = inbox.get(0);
    let statement = format!(
        "SELECT m.run, m.attempt, m.at, m.deadline, (SELECT o.at FROM {schema}.mq_outcome o WHERE o.uid = $1 AND o.run = m.run)
           FROM {schema}.mq_receive m WHERE m.uid = $1 ORDER BY m.run"
    );
    let rows = session.query(&statement, &[(&uid, Type::UUID)]).await?;
    let run = |row: &tokio_postgres::Row| Run {
        run: row.get(0),
        attempt: row.get(1),
        accepted_at: row.get(2),
        deadline: row.get(3),
        outcome_at: row.get(4),
    };
    Ok(rows.iter().map(run).collect())
}
