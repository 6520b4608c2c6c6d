//! `tpro release`.

use serde::Serialize;
use tokio_postgres::types::Type;

use crate::options::Release;
use crate::outbox;
use crate::paper::Paper;
use crate::problem::{Ending, OPERATE, Problem};
use crate::session::Session;

/// The outcome for all keys.
#[derive(Debug, Serialize)]
pub struct Released {
    /// The service that sent the messages.
    sender: String,
    /// The keys.
    keys: Vec<One>,
}

/// The outcome for one key.
#[derive(Debug, Serialize)]
struct One {
    key: String,
    /// The number of services to which its messages go on; 0: it was not held.
    services: i64,
}

/// Lets ordering keys go.
pub async fn release(session: &Session, asked: &Release) -> Result<Released, Problem> {
    let sender = outbox::sender(session, asked.sender.as_deref()).await?;
    session.may_write().await?;
    let mut keys = Vec::new();
    for key in &asked.keys {
        let arguments =
            [(key as _, Type::TEXT), (&asked.service as _, Type::TEXT), (&sender as _, Type::TEXT)];
        let rows = session.query_as(OPERATE, "SELECT tpro.release($1, $2, $3)", &arguments).await?;
        session.rest().await?;
        let services = rows.first().map_or(0, |row| row.get(0));
        keys.push(One { key: key.clone(), services });
    }
    Ok(Released { sender, keys })
}

impl Released {
    /// Ill if one of them was not held.
    pub fn ending(&self) -> Ending {
        if self.keys.iter().all(|one| one.services > 0) { Ending::Well } else { Ending::Ill }
    }

    /// For a person.
    pub fn write(&self, paper: &mut Paper) {
        for One { key, services } in &self.keys {
            let words = if *services > 0 { "released" } else { "is not held" };
            paper.line(&format!("{} {key}: {words}", self.sender));
        }
    }
}
