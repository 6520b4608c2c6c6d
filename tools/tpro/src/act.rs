//! A command that does something with each of some messages.

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

/// Runs a statement for each message, in a transaction of its own. If one fails, the others stay
/// done.
pub async fn each<T>(
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
