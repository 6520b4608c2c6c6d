//! Findings: each is a problem with its remedy.

use serde::Serialize;

use crate::overview::Service;
use crate::problem::Problem;
use crate::session::Session;
use crate::table::{Column, Table};
use crate::time::age;

/// A problem with its remedy.
#[derive(Debug, Serialize)]
pub struct Finding {
    /// The kind: `adopted`, `extension`, `release`, `tables`, `leader`, `backlog`,
    /// `hold` or `age`.
    pub kind: &'static str,
    /// The service; none where it is the database.
    pub service: Option<String>,
    /// The problem.
    pub problem: String,
    /// The remedy.
    pub remedy: String,
}

const ADOPTED: &str = "SELECT tpro.adopted()";

const EXTENSION: &str = "\
    SELECT a.installed_version, a.default_version FROM pg_available_extensions a
     WHERE a.name = 'pg_tpro' AND a.installed_version <> a.default_version";

const TABLES: &str = "\
    SELECT s.name, f.thing, f.problem, f.remedy
      FROM tpro.service_schemas s CROSS JOIN LATERAL tpro.faults(s.name) f ORDER BY 1, 2, 3";

const RELEASE: &str = "\
    SELECT DISTINCT s.name, o.what
      FROM tpro.service_schemas s CROSS JOIN LATERAL tpro.outdated(s.name) o ORDER BY 1, 2";

/// The setting is known when the library is loaded, and the first call of `tpro.backlog` loads it.
const BACKLOG: &str = "\
    SELECT b.name, b.unsettled, m.most
      FROM (SELECT s.name, tpro.backlog(s.name) AS unsettled FROM tpro.service_schemas s) b
     CROSS JOIN LATERAL (SELECT current_setting('tpro.max_backlog', true)::int8 AS most WHERE b.unsettled >= 0) m
     WHERE m.most > 0 AND b.unsettled >= m.most ORDER BY b.name";

/// Those whose table of holds is there and may be read.
const HOLDING: &str = "\
    SELECT s.name FROM tpro.service_schemas s
     WHERE has_table_privilege(to_regclass(format('%I.mq_hold', s.name || '_service')), 'SELECT') ORDER BY 1";

/// All findings. A message is old when it has waited for `max_age` seconds; 0: never.
pub async fn look(session: &Session, services: &[Service], max_age: i64) -> Result<Vec<Finding>, Problem> {
    let mut findings = Vec::new();
    let mut find = |kind, service: Option<&str>, problem: String, remedy: String| {
        findings.push(Finding { kind, service: service.map(str::to_owned), problem, remedy });
    };
    for row in session.query(ADOPTED, &[]).await? {
        if !row.get::<_, bool>(0) {
            let problem = "this database was restored or copied, and nothing is sent from it".to_owned();
            let remedy = "if it is to send from now on, as a member of tpro_operator: SELECT tpro.adopt();";
            find("adopted", None, problem, remedy.into());
        }
    }
    for row in session.query(EXTENSION, &[]).await? {
        let (is, could): (&str, &str) = (row.get(0), row.get(1));
        let problem = format!("the extension is of release {is}, and the server has {could}");
        let remedy = "as a superuser: ALTER EXTENSION pg_tpro UPDATE; CALL tpro.upgrade_services();";
        find("extension", None, problem, remedy.into());
    }
    for row in session.query(RELEASE, &[]).await? {
        let name: &str = row.get(0);
        let remedy = format!("as a member of tpro_owner: SELECT tpro.upgrade_service('{name}');");
        find("release", Some(name), format!("of an earlier release: {}", row.get::<_, &str>(1)), remedy);
    }
    for row in session.query(TABLES, &[]).await? {
        let (name, thing, problem): (&str, &str, &str) = (row.get(0), row.get(1), row.get(2));
        find("tables", Some(name), format!("{thing} {problem}"), row.get(3));
    }
    for service in services.iter().filter(|service| service.leader.is_none() && !session.database.standby) {
        let problem = match service.unsettled {
            0 => "no copy leads: published messages are not sent".to_owned(),
            many => format!("no copy leads: {many} messages are not sent"),
        };
        let remedy = "start a copy of it (make up-NAME), or see /readyz of those that run";
        find("leader", Some(&service.name), problem, remedy.replace("NAME", &service.name));
    }
    // A standby has no publishers, and cannot run that function.
    let backlog = if session.database.standby { Vec::new() } else { session.query(BACKLOG, &[]).await? };
    for row in backlog {
        let (unsettled, most): (i64, i64) = (row.get(1), row.get(2));
        let problem = format!(
            "publishers are refused: about {unsettled} messages wait, and tpro.max_backlog is {most}"
        );
        let remedy = "start copies of the services it waits for, or raise tpro.max_backlog";
        find("backlog", Some(row.get(0)), problem, remedy.into());
    }
    for row in session.query(HOLDING, &[]).await? {
        let name: &str = row.get(0);
        let holds = format!(
            "SELECT count(DISTINCT (space_name, service_name, ordering_key)), min(id),
                    extract(epoch FROM now() - min(since))::float8 FROM {name}_service.mq_hold"
        );
        for row in session.query(&holds, &[]).await?.iter().filter(|row| row.get::<_, i64>(0) > 0) {
            let (keys, id, seconds): (i64, i64, f64) = (row.get(0), row.get(1), row.get(2));
            let problem = format!(
                "messages of {keys} ordering keys wait, since one before them has failed, the first {} ago",
                age(seconds)
            );
            let remedy = format!(
                "see SELECT * FROM {name}_service.mq_hold, then: tpro retry {id} --sender {name}, or tpro release KEY"
            );
            find("hold", Some(name), problem, remedy);
        }
    }
    for service in services {
        for waiting in service.waiting.iter().filter(|_| max_age > 0) {
            if waiting.oldest_age_seconds > max_age as f64 {
                let problem = format!(
                    "{} messages for {} wait, the oldest for {}",
                    waiting.messages,
                    waiting.target,
                    age(waiting.oldest_age_seconds)
                );
                let remedy = "see if its target runs and keeps up: start another copy of it";
                find("age", Some(&service.name), problem, remedy.into());
            }
        }
    }
    Ok(findings)
}

/// The findings as a table.
pub fn table(findings: &[Finding]) -> Table {
    let mut table = Table::new(&[Column::Left("SERVICE"), Column::Text("PROBLEM"), Column::Text("REMEDY")]);
    for finding in findings {
        let service = finding.service.clone().unwrap_or_else(|| "-".to_owned());
        table.row([service, finding.problem.clone(), finding.remedy.clone()]);
    }
    table
}
