//! `tpro status`.

use serde::Serialize;

use crate::findings::{self, Finding};
use crate::overview::{self, Service};
use crate::paper::Paper;
use crate::problem::Problem;
use crate::session::{Database, Session};
use crate::table::{Column, Table};
use crate::time::age;

/// The state of the services of a database.
#[derive(Debug, Serialize)]
pub struct Status {
    /// The database.
    pub database: Database,
    /// Its services.
    pub services: Vec<Service>,
    /// The findings.
    pub findings: Vec<Finding>,
}

impl Status {
    /// The state now. A message is old when it has waited for `max_age` seconds; 0: never.
    pub async fn look(session: &Session, max_age: i64) -> Result<Self, Problem> {
        let services = overview::look(session).await?;
        let findings = findings::look(session, &services, max_age).await?;
        Ok(Self { database: session.database.clone(), services, findings })
    }

    /// For a person.
    pub fn write(&self, paper: &mut Paper) {
        paper.title(&about(&self.database));
        paper.gap();
        paper.table(&services(&self.services));
        write_waiting(self.services.iter(), paper);
        if !self.findings.is_empty() {
            paper.gap();
            paper.table(&findings::table(&self.findings));
        }
    }
}

/// The database in a line.
pub fn about(database: &Database) -> String {
    let standby = if database.standby { ", a standby" } else { "" };
    format!("{}{standby}, pg_tpro {}, as {}", database.address, database.extension, database.role)
}

fn services(services: &[Service]) -> Table {
    let mut table = Table::new(&[
        Column::Left("SERVICE"),
        Column::Text("COPIES"),
        Column::Left("LEADER"),
        Column::Left("STATE"),
        Column::Right("UNSETTLED"),
        Column::Right("OLDEST"),
    ]);
    for service in services {
        let copies: Vec<String> = service.copies.iter().map(|copy| copy.copy.to_string()).collect();
        table.row([
            service.name.clone(),
            if copies.is_empty() { "-".to_owned() } else { copies.join(",") },
            leader(service),
            state(service).to_owned(),
            service.unsettled.to_string(),
            oldest(service),
        ]);
    }
    table
}

/// The age of the oldest message without a reply.
pub fn oldest(service: &Service) -> String {
    service.oldest_age_seconds.map_or_else(|| "-".to_owned(), age)
}

/// The copy that leads.
pub fn leader(service: &Service) -> String {
    match &service.leader {
        Some(leader) => {
            leader.copy.map_or_else(|| format!("pid {}", leader.pid), |copy| format!("copy {copy}"))
        }
        None => "nobody".to_owned(),
    }
}

fn state(service: &Service) -> &'static str {
    match (&service.leader, service.asleep) {
        (None, _) => "stopped",
        (Some(_), true) => "idle",
        (Some(_), false) => "at work",
    }
}

/// Writes the targets that messages wait for, if there are any.
pub fn write_waiting<'a>(services: impl Iterator<Item = &'a Service>, paper: &mut Paper) {
    let mut table = Table::new(&[
        Column::Left("FROM"),
        Column::Text("WAITS FOR"),
        Column::Right("MESSAGES"),
        Column::Right("OLDEST"),
    ]);
    let all: Vec<_> =
        services.flat_map(|service| service.waiting.iter().map(move |waiting| (service, waiting))).collect();
    if all.is_empty() {
        return;
    }
    for (service, waiting) in all {
        table.row([
            service.name.clone(),
            waiting.target.clone(),
            waiting.messages.to_string(),
            age(waiting.oldest_age_seconds),
        ]);
    }
    paper.gap();
    paper.table(&table);
}
