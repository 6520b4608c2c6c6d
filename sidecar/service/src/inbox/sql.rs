//! The statements of the inbox, for the schema of one service.

use tokio_postgres::{Client, Error, Statement};

use crate::handler::journal;

/// The texts.
pub(super) struct Texts {
    pub(super) accept: String,
    pub(super) known: String,
    pub(super) finish: String,
    pub(super) outcome: String,
    pub(super) record: String,
    pub(super) counted: String,
    pub(super) count_repeat: String,
}

impl Texts {
    /// For this schema, whose name needs no quotes.
    pub(super) fn of(schema: &str) -> Self {
        let of = |text: &str| text.replace("{schema}", schema);
        Self {
            accept: of(include_str!("accept.sql")),
            known: of(include_str!("known.sql")),
            finish: of(include_str!("finish.sql")),
            outcome: of(include_str!("outcome.sql")),
            record: journal::statement(schema),
            counted: of(include_str!("counted.sql")),
            count_repeat: of(include_str!("count_repeat.sql")),
        }
    }
}

/// The statements, prepared in the writer's session.
pub(super) struct Prepared {
    pub(super) accept: Statement,
    pub(super) known: Statement,
    pub(super) finish: Statement,
    pub(super) outcome: Statement,
    pub(super) record: Statement,
}

impl Prepared {
    pub(super) async fn new(client: &Client, texts: &Texts) -> Result<Self, Error> {
        Ok(Self {
            accept: client.prepare(&texts.accept).await?,
            known: client.prepare(&texts.known).await?,
            finish: client.prepare(&texts.finish).await?,
            outcome: client.prepare(&texts.outcome).await?,
            record: client.prepare(&texts.record).await?,
        })
    }
}
