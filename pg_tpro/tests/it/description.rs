//! What the catalogue says of the extension and of a service, a fact a line, to be compared with another database's.

use std::collections::BTreeSet;
use std::fmt;

use tokio_postgres::Client;
use tpro_testkit::Outcome;

/// The facts, without the service's name.
pub struct Description(BTreeSet<String>);

impl Description {
    /// As a superuser sees it.
    pub async fn of(admin: &Client, service: &str) -> Outcome<Description> {
        // Names of other schemas are shown in full.
        admin.batch_execute("SET search_path = pg_catalog").await?;
        let rows = admin.query(include_str!("description.sql"), &[&service]).await?;
        let facts = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
        admin.batch_execute("RESET search_path").await?;
        Ok(Description(facts))
    }

    /// How many facts there are.
    pub fn facts(&self) -> usize {
        self.0.len()
    }

    /// What is in one of both only.
    pub fn difference<'a>(&'a self, fresh: &'a Description) -> Difference<'a> {
        Difference {
            missing: fresh.0.difference(&self.0).map(String::as_str).collect(),
            surplus: self.0.difference(&fresh.0).map(String::as_str).collect(),
        }
    }
}

/// Where two descriptions differ.
pub struct Difference<'a> {
    missing: Vec<&'a str>,
    surplus: Vec<&'a str>,
}

impl Difference<'_> {
    /// Whether they do not.
    pub fn is_none(&self) -> bool {
        self.missing.is_empty() && self.surplus.is_empty()
    }
}

impl fmt::Display for Difference<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines: Vec<(&str, char)> = self.missing.iter().map(|fact| (*fact, '-')).collect();
        lines.extend(self.surplus.iter().map(|fact| (*fact, '+')));
        lines.sort();
        lines.iter().try_for_each(|(fact, side)| writeln!(f, "{side} {fact}"))
    }
}
