//! A statement that PostgreSQL refused.

use tokio_postgres::Client;
use tpro_testkit::{Context, Failure, Outcome};

/// What the user is told.
#[derive(Debug)]
pub struct Refusal {
    /// The SQLSTATE.
    pub state: String,
    /// The message.
    pub message: String,
    /// The hint.
    pub hint: String,
    /// Every text of the error.
    pub everything: String,
}

/// Runs statements that must be refused.
pub async fn refused(session: &Client, statements: &str) -> Outcome<Refusal> {
    let Err(error) = session.batch_execute(statements).await else {
        return Err(Failure::new(format!("accepted: {statements}")));
    };
    let error = error.as_db_error().context(format!("the connection broke at: {statements}"))?;
    let parts = [Some(error.message()), error.detail(), error.hint(), error.where_()];
    Ok(Refusal {
        state: error.code().code().to_owned(),
        message: error.message().to_owned(),
        hint: error.hint().unwrap_or_default().to_owned(),
        everything: parts.into_iter().flatten().collect::<Vec<_>>().join("\n"),
    })
}

/// Runs statements that must be refused with this SQLSTATE.
pub async fn refused_with(session: &Client, state: &str, statements: &str) -> Outcome<Refusal> {
    let refusal = refused(session, statements).await?;
    if refusal.state == state {
        return Ok(refusal);
    }
    Err(Failure::new(format!("{} {} instead of {state}: {statements}", refusal.state, refusal.everything)))
}
