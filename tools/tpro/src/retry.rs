//! `tpro retry`.

use serde::Serialize;

use crate::act::{Done, Outcome, each};
use crate::options::Act;
use crate::problem::Problem;
use crate::session::Session;

/// A message that was sent again.
#[derive(Debug, Serialize)]
pub struct Retried {
    /// The number of the new message.
    new_id: i64,
}

/// Sends messages again.
pub async fn retry(session: &Session, act: &Act) -> Result<Done<Retried>, Problem> {
    each(session, act, "SELECT tpro.retry($1, $2)", |row| Retried { new_id: row.get(0) }).await
}

impl Outcome for Retried {
    fn done(&self) -> bool {
        true
    }

    fn words(&self) -> String {
        format!("sent again as {}", self.new_id)
    }
}
