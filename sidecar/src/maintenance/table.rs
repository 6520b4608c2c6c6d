//! A partitioned table and its parts.

use std::time::Duration;

use super::{
    plan::Part,
    range::{Key, MAX, Range},
    session::{MaintenanceError, Session},
};
use crate::failpoint;

/// How long the users of a table are waited for before a part is taken off; if there are some left, it is for another time.
pub(super) const USERS: Duration = Duration::from_secs(3);

/// One of the four tables.
#[derive(Clone, Copy)]
pub(super) struct Table {
    pub name: &'static str,
    /// What it is partitioned by.
    pub key: Key,
    pub column: &'static str,
}

pub(super) const PUBLISH: Table = Table { name: "mq_publish", key: Key::Id, column: "id" };
pub(super) const REPLY: Table = Table { name: "mq_reply", key: Key::Id, column: "mq_id" };
pub(super) const OUTCOME: Table = Table { name: "mq_outcome", key: Key::Day, column: "uid" };
pub(super) const RECEIVE: Table = Table { name: "mq_receive", key: Key::Day, column: "uid" };
pub(super) const ALL: [Table; 4] = [PUBLISH, REPLY, OUTCOME, RECEIVE];

impl Table {
    /// Its name with the schema.
    pub fn full(&self, session: &Session) -> String {
        format!("{}.{}", session.schema, self.name)
    }

    /// The name of one of its parts, with the schema.
    pub fn part(&self, session: &Session, range: &Range) -> String {
        format!("{}.{}", session.schema, self.key.name(self.name, range))
    }

    /// The parts that are on it, in order.
    pub async fn ranges(&self, session: &Session) -> Result<Vec<Range>, MaintenanceError> {
        let parts = "SELECT c.relname::text, pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits i
             JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = to_regclass($1) AND NOT i.inhdetachpending";
        let rows = session.all(parts, &[&self.full(session)]).await?;
        let mut ranges = Vec::with_capacity(rows.len());
        for row in &rows {
            let (name, bound): (&str, &str) = (row.get(0), row.get(1));
            let range = self.key.read(bound).filter(|range| self.key.name(self.name, range) == name);
            ranges.push(range.ok_or_else(|| {
                MaintenanceError::Odd(format!(
                    "{}.{name} has the bounds {bound}: not a partition of ours; detach it, or give it the name they say",
                    session.schema
                ))
            })?);
        }
        ranges.sort();
        match ranges.last() {
            Some(range) if range.is_rest() => Ok(ranges),
            _ => Err(MaintenanceError::Odd(format!("{} has no overflow range", self.full(session)))),
        }
    }

    /// The same, with a look into those that reach beyond `next`.
    pub async fn parts(&self, session: &Session, next: i64) -> Result<Vec<Part>, MaintenanceError> {
        let mut parts = Vec::new();
        for range in self.ranges(session).await? {
            let empty = range.high > next && !session.exists(self.part(session, &range)).await?;
            parts.push(Part { range, empty });
        }
        Ok(parts)
    }

    /// What was taken off and is still there.
    pub async fn taken_off(&self, session: &Session) -> Result<Vec<Range>, MaintenanceError> {
        let loose = "SELECT relname::text FROM pg_class
             WHERE relnamespace = to_regnamespace($1) AND relkind = 'r' AND NOT relispartition";
        let rows = session.all(loose, &[&session.schema]).await?;
        Ok(rows.iter().filter_map(|row| self.key.named(self.name, row.get(0))).collect())
    }

    /// Finishes what a run that was cut off has begun to take off.
    pub async fn finalize(&self, session: &Session) -> Result<(), MaintenanceError> {
        let pending = "SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
             WHERE i.inhparent = to_regclass($1) AND i.inhdetachpending";
        for row in session.all(pending, &[&self.full(session)]).await? {
            let (table, name): (_, &str) = (self.full(session), row.get(0));
            let sql = format!("ALTER TABLE {table} DETACH PARTITION {}.{name} FINALIZE", session.schema);
            session.execute_patiently(&sql).await?;
        }
        Ok(())
    }

    /// Takes a part off; false if somebody uses the table for so long that it must wait.
    pub async fn take_off(&self, session: &Session, range: &Range) -> Result<bool, MaintenanceError> {
        if !session.outlast_users_of(&self.full(session), USERS).await? {
            return Ok(false);
        }
        failpoint::pass("maintenance.detach");
        let (table, part) = (self.full(session), self.part(session, range));
        session
            .execute_patiently(&format!("ALTER TABLE {table} DETACH PARTITION {part} CONCURRENTLY"))
            .await?;
        failpoint::pass("maintenance.detached");
        Ok(true)
    }

    /// Puts a part on again, or a new one.
    pub fn put_on(&self, session: &Session, range: &Range) -> String {
        let (table, part) = (self.full(session), self.part(session, range));
        let (low, high) = (self.key.bound(range.low), self.key.bound(range.high));
        format!("ALTER TABLE {table} ATTACH PARTITION {part} FOR VALUES FROM ({low}) TO ({high})")
    }

    /// Makes the table of a part, which is not on yet.
    pub fn make(&self, session: &Session, name: &str, range: &Range) -> String {
        let (table, words) = (self.full(session), self.key.words(range));
        let name = format!("{}.{name}", session.schema);
        format!(
            "CREATE TABLE {name} (LIKE {table} INCLUDING ALL); COMMENT ON TABLE {name} IS '{}, {words}'",
            self.name
        )
    }

    /// The overflow range, wherever it begins.
    pub fn rest(&self, session: &Session) -> String {
        self.part(session, &Range::new(0, MAX))
    }
}
