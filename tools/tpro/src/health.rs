//! `tpro health`.

use serde::Serialize;

use crate::findings::Finding;
use crate::options::Health;
use crate::paper::Paper;
use crate::problem::{Ending, Problem};
use crate::session::{Database, Session};
use crate::status::{Status, about};

/// The findings of a database.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The database.
    pub database: Database,
    /// True if there are none.
    pub well: bool,
    /// The findings, each with its remedy.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Looks at all services, or at those that are named.
    pub async fn look(session: &Session, health: &Health) -> Result<Self, Problem> {
        let status = Status::look(session, health.max_age).await?;
        for name in &health.services {
            if !status.services.iter().any(|service| service.name == *name) {
                let there: Vec<&str> = status.services.iter().map(|service| service.name.as_str()).collect();
                return Err(Problem::usage(
                    format!("there is no service {name}; there are: {}", there.join(", ")),
                    "",
                ));
            }
        }
        let mut findings = status.findings;
        let asked = |name: &String| health.services.is_empty() || health.services.contains(name);
        findings.retain(|finding| finding.service.as_ref().is_none_or(asked));
        Ok(Self { database: status.database, well: findings.is_empty(), findings })
    }

    /// Ill if something was found.
    pub fn ending(&self) -> Ending {
        if self.well { Ending::Well } else { Ending::Ill }
    }

    /// For a person. Lines are not cut, so that a remedy can be copied.
    pub fn write(&self, paper: &mut Paper) {
        paper.title(&about(&self.database));
        if self.well {
            paper.line("well");
        }
        for finding in &self.findings {
            let service = finding.service.as_deref().unwrap_or("database");
            paper.line(&format!("{service}: {}: {}", finding.kind, finding.problem));
            paper.line(&format!("  {}", finding.remedy));
        }
    }
}
