//! The outboxes of a database, with the rights that the role of this session has on them.

use crate::problem::{Ending, Problem};
use crate::session::Session;

/// The outbox of a service.
#[derive(Clone, Debug)]
pub struct Outbox {
    /// The service that sends.
    pub sender: String,
    /// Its schema, quoted for a statement.
    pub schema: String,
    /// True if states and targets may be read.
    pub states: bool,
    /// True if messages and replies may be read with their bodies.
    pub bodies: bool,
}

/// Only tables and views of tpro_owner are read. Those of another owner could run code with the
/// rights of this session.
const OUTBOXES: &str = "\
    SELECT left(n.nspname::text, -8), quote_ident(n.nspname),
           has_schema_privilege(n.oid, 'USAGE') AND has_column_privilege(v.oid, 'target', 'SELECT'),
           has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(p.oid, 'SELECT') AND has_table_privilege(r.oid, 'SELECT')
      FROM pg_namespace n
      JOIN pg_class v ON v.relnamespace = n.oid AND v.relname = 'mq_status' AND v.relkind = 'v'
      JOIN pg_class p ON p.relnamespace = n.oid AND p.relname = 'mq_publish' AND p.relkind = 'p'
      JOIN pg_class r ON r.relnamespace = n.oid AND r.relname = 'mq_reply' AND r.relkind = 'p'
      JOIN pg_roles o ON o.rolname = 'tpro_owner'
     WHERE n.nspname ~ '_service$' AND n.nspowner = o.oid AND v.relowner = o.oid AND p.relowner = o.oid AND r.relowner = o.oid
     ORDER BY 1";

/// All outboxes, in the order of their names.
async fn all(session: &Session) -> Result<Vec<Outbox>, Problem> {
    let rows = session.query(OUTBOXES, &[]).await?;
    let outbox = |row: &tokio_postgres::Row| Outbox {
        sender: row.get(0),
        schema: row.get(1),
        states: row.get(2),
        bodies: row.get(3),
    };
    Ok(rows.iter().map(outbox).collect())
}

/// The named outbox, or all outboxes that may be read.
pub async fn readable(session: &Session, named: Option<&str>) -> Result<Vec<Outbox>, Problem> {
    let all = all(session).await?;
    let role = &session.role;
    let remedy = format!("GRANT tpro_reader TO {role};");
    match named {
        Some(name) => {
            let outbox = one(all, name)?;
            if outbox.states {
                return Ok(vec![outbox]);
            }
            let what = format!("role {role} may not read the messages of {name}");
            Err(Problem::new(Ending::Unreachable, what, remedy))
        }
        None => {
            let none = all.is_empty();
            let readable: Vec<Outbox> = all.into_iter().filter(|outbox| outbox.states).collect();
            if none || !readable.is_empty() {
                return Ok(readable);
            }
            let what = format!("role {role} may read the messages of no service");
            Err(Problem::new(Ending::Unreachable, what, remedy))
        }
    }
}

/// The service whose outbox is meant: the named one, else the one of `tpro.sender`, else the only
/// one.
pub async fn sender(session: &Session, named: Option<&str>) -> Result<String, Problem> {
    let mut all = all(session).await?;
    match named.or(session.sender.as_deref()) {
        Some(name) => Ok(one(all, name)?.sender),
        None if all.len() == 1 => Ok(all.remove(0).sender),
        None => Err(Problem::usage(
            format!("an id belongs to the outbox of a service, and there are several: {}", names(&all)),
            "name one: --sender NAME",
        )),
    }
}

/// The statement that lets a role read messages and replies with their bodies.
pub fn grant(schema: &str, role: &str) -> String {
    format!("GRANT SELECT ON {schema}.mq_publish, {schema}.mq_reply TO {role};")
}

fn one(all: Vec<Outbox>, name: &str) -> Result<Outbox, Problem> {
    let names = names(&all);
    let found = all.into_iter().find(|outbox| outbox.sender == name);
    found.ok_or_else(|| {
        let there = if names.is_empty() { "none".to_owned() } else { names };
        Problem::usage(
            format!("there is no service {name}; there are: {there}"),
            "tpro health says what is wrong with one that is missing",
        )
    })
}

fn names(all: &[Outbox]) -> String {
    all.iter().map(|outbox| outbox.sender.as_str()).collect::<Vec<_>>().join(", ")
}
