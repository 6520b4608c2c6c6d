//! `tpro cancel`.

use serde::Serialize;

use crate::act::{Done, Outcome, each};
use crate::options::Act;
use crate::problem::Problem;
use crate::session::Session;

/// A message that was taken back.
#[derive(Debug, Serialize)]
pub struct Cancelled {
    /// False if it was settled before.
    cancelled: bool,
}

/// Takes messages back.
pub async fn cancel(session: &Session, act: &Act) -> Result<Done<Cancelled>, Problem> {
    each(session, act, "SELECT tpro.cancel($1, $2)", |row| Cancelled { cancelled: row.get(0) }).await
}

impl Outcome for Cancelled {
    fn done(&self) -> bool {
        self.cancelled
    }

    fn words(&self) -> String {
        if self.cancelled { "cancelled".to_owned() } else { "was settled before; its reply stays".to_owned() }
    }
}
