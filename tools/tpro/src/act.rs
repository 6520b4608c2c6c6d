//! `tpro cancel` and `tpro retry`.

use serde::Serialize;
use tokio_postgres::types::Type;

use crate::options::Act;
use crate::outbox;
use crate::paper::Paper;
use crate::problem::{Ending, OPERATE, Problem};
use crate::session::Session;

/// The outcome of a command for each message.
#[derive(Debug, Serialize)]
pub struct Done<T> {
    /// The service that sent them.
    sender: String,
    /// The messages.
    messages: Vec<One<T>>,
}

/// The outcome for one message.
#[derive(Debug, Serialize)]
struct One<T> {
    id: i64,
    #[serde(flatten)]
    outcome: Option<T>,
    /// The reason why nothing was done.
    problem: Option<String>,
}

/// A message that was taken back.
#[derive(Debug, Serialize)]
pub struct Cancelled {
    /// False if it was settled before.
    cancelled: bool,
}

/// A message that was sent again.
#[derive(Debug, Serialize)]
pub struct Retried {
    /// The number of the new message.
    new_id: i64,
}

/// Takes messages back.
pub async fn cancel(session: &Session, act: &Act) -> Result<Done<Cancelled>, Problem> {
    each(session, act, "SELECT tpro.cancel($1, $2)", |row| Cancelled { cancelled: row.get(0) }).await
}

/// Sends messages again.
pub async fn retry(session: &Session, act: &Act) -> Result<Done<Retried>, Problem> {
    each(session, act, "SELECT tpro.retry($1, $2)", |row| Retried { new_id: row.get(0) }).await
}

/// Runs a statement for each message, in a transaction of its own. If one fails, the others stay
/// done.
async fn each<T>(
    session: &Session,
    act: &Act,
    statement: &str,
    read: impl Fn(&tokio_postgres::Row) -> T,
) -> Result<Done<T>, Problem> {
    let sender = outbox::sender(session, act.sender.as_deref()).await?;
    session.may_write().await?;
    let mut messages = Vec::new();
    for id in &act.ids {
        match session.query_as(OPERATE, statement, &[(id, Type::INT8), (&sender, Type::TEXT)]).await {
            Ok(rows) => {
                session.rest().await?;
                messages.push(One { id: *id, outcome: rows.first().map(&read), problem: None });
            }
            Err(problem) if problem.ending == Ending::Ill => {
                messages.push(One { id: *id, outcome: None, problem: Some(problem.to_string()) });
            }
            Err(problem) => return Err(problem),
        }
    }
    Ok(Done { sender, messages })
}

impl<T: Outcome> Done<T> {
    /// Ill if one of them was not done.
    pub fn ending(&self) -> Ending {
        let done = self.messages.iter().all(|one| one.outcome.as_ref().is_some_and(Outcome::done));
        if done { Ending::Well } else { Ending::Ill }
    }

    /// For a person.
    pub fn write(&self, paper: &mut Paper) {
        for one in &self.messages {
            let words = one.outcome.as_ref().map(Outcome::words).or_else(|| one.problem.clone());
            let words = words.unwrap_or_default().replace("\n  ", "; ");
            paper.line(&format!("{} {}: {words}", self.sender, one.id));
        }
    }
}

/// The outcome for a message.
pub trait Outcome {
    /// True if it was done.
    fn done(&self) -> bool;
    /// In words.
    fn words(&self) -> String;
}

impl Outcome for Cancelled {
    fn done(&self) -> bool {
        self.cancelled
    }

    fn words(&self) -> String {
        if self.cancelled { "cancelled".to_owned() } else { "was settled before; its reply stays".to_owned() }
    }
}

impl Outcome for Retried {
    fn done(&self) -> bool {
        true
    }

    fn words(&self) -> String {
        format!("sent again as {}", self.new_id)
    }
}
