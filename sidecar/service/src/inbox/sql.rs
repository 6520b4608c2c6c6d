//! The statements of the inbox, for the schema of one service.

use tokio::time::Instant;
use tokio_postgres::{Client, Error, Statement};

use crate::handler::journal;

/// The texts.
pub(super) struct Texts {
    pub(super) accept: String,
    pub(super) known: String,
    pub(super) finish: String,
    pub(super) finish_accepted: String,
    pub(super) outcome: String,
    pub(super) record: String,
    pub(super) counted: String,
    pub(super) count_repeat: String,
    pub(super) put_off: String,
}

impl Texts {
    /// For this schema, whose name needs no quotes.
    pub(super) fn of(schema: &str) -> Self {
        let of = |text: &str| text.replace("{schema}", schema);
        Self {
            accept: of(include_str!("accept.sql")),
            known: of(include_str!("known.sql")),
            finish: of(include_str!("finish.sql")),
            finish_accepted: of(include_str!("finish_accepted.sql")),
            outcome: of(include_str!("outcome.sql")),
            record: journal::statement(schema),
            counted: of(include_str!("counted.sql")),
            count_repeat: of(include_str!("count_repeat.sql")),
            put_off: of(include_str!("put_off.sql")),
        }
    }
}

/// The statements, prepared in the writer's session.
pub(super) struct Prepared {
    /// When the session was opened.
    pub(super) since: Instant,
    pub(super) accept: Statement,
    pub(super) known: Statement,
    pub(super) finish: Statement,
    pub(super) finish_accepted: Statement,
    pub(super) outcome: Statement,
    pub(super) record: Statement,
}

impl Prepared {
    pub(super) async fn new(client: &Client, texts: &Texts) -> Result<Self, Error> {
        Ok(Self {
            since: Instant::now(),
            accept: client.prepare(&texts.accept).await?,
            known: client.prepare(&texts.known).await?,
            finish: client.prepare(&texts.finish).await?,
            finish_accepted: client.prepare(&texts.finish_accepted).await?,
            outcome: client.prepare(&texts.outcome).await?,
            record: client.prepare(&texts.record).await?,
        })
    }
}
