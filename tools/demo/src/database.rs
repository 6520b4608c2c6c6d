//! The database as the user `main` sees it: publish, wait, read.

use std::time::Duration;

use serde_json::Value;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls};

/// Between the message's own limit and the reply's row.
const SLACK: Duration = Duration::from_secs(10);
/// SQLSTATE of an id that no row has (PL/pgSQL's `no_data_found`).
const UNKNOWN_ID: &str = "P0002";
const CONNECT: Duration = Duration::from_secs(5);

/// One session.
pub struct Database {
    client: Client,
}

/// A row of the outbox.
pub struct Published {
    /// Its number in this outbox.
    pub id: i64,
    /// 32 hexadecimal digits.
    pub trace_id: String,
}

/// A row of the replies.
pub struct Reply {
    /// The end of the message: `ok`, `error`, `unavailable`...
    pub status: String,
    /// The answer.
    pub result: Value,
    /// Or the error.
    pub error: Value,
    /// From the outbox row to the reply row, by the database's clock.
    pub took_ms: f64,
    /// The copy that answered: service, version, copy.
    pub responder: Option<String>,
}

/// A refusal of PostgreSQL.
pub struct Refusal {
    /// SQLSTATE.
    pub code: String,
    /// The message with its detail, hint and context: all that would be in a log.
    pub all: String,
    /// The message alone.
    pub message: String,
}

/// An error of the demo's own work with the database.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connection.
    #[error("cannot connect to the database of DATABASE_URL: {0}")]
    Connect(String),
    /// A statement failed that should not.
    #[error("{}", shown(.0))]
    Statement(#[from] tokio_postgres::Error),
    /// Nothing came back.
    #[error("message {0} has no reply, long after its time")]
    NoReply(i64),
    /// Text from the database that is no JSON.
    #[error("the reply is not JSON: {0}")]
    Json(#[from] serde_json::Error),
}

fn shown(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(error) => format!("{}: {}", error.code().code(), error.message()),
        None => error.to_string(),
    }
}

impl Database {
    /// Opens the session.
    pub async fn connect(url: &str) -> Result<Self, Error> {
        let connecting = tokio::time::timeout(CONNECT, tokio_postgres::connect(url, NoTls));
        let (client, connection) = connecting
            .await
            .map_err(|_| Error::Connect(format!("no answer within {} s", CONNECT.as_secs())))?
            .map_err(|error| Error::Connect(shown(&error)))?;
        // Ends with the client; its error, if any, is that of the statement that was under way.
        tokio::spawn(connection);
        client.batch_execute("SET tpro.sender = 'main'").await?;
        Ok(Self { client })
    }

    /// Sends a statement to the letter.
    pub async fn execute(&self, statement: &str) -> Result<(), Error> {
        Ok(self.client.batch_execute(statement).await?)
    }

    /// Sends an INSERT and learns what it made.
    pub async fn publish(&self, insert: &str) -> Result<Published, Error> {
        self.execute(insert).await?;
        self.last_published().await
    }

    /// The last message that this session has published.
    pub async fn last_published(&self) -> Result<Published, Error> {
        let row =
            self.client.query_one("SELECT id, tpro.trace_id(id, 'main') FROM lastval() AS id", &[]).await?;
        Ok(Published { id: row.get(0), trace_id: row.get(1) })
    }

    /// Waits for the reply to a message with this budget in seconds.
    pub async fn wait(&self, id: i64, budget_s: i32) -> Result<Reply, Error> {
        const WAIT: &str = "SELECT r.status::text, r.result::text, r.error::text, r.responder::text,
                   (extract(epoch FROM r.replied_at - s.created_at) * 1000)::float8
              FROM tpro.wait($1, $2, 'main') AS r JOIN main_service.mq_status AS s ON s.id = $1";
        let limit = budget_s.saturating_add(SLACK.as_secs().try_into().unwrap_or(0));
        let row = self.client.query_opt(WAIT, &[&id, &limit]).await?.ok_or(Error::NoReply(id))?;
        let json = |text: Option<&str>| text.map_or(Ok(Value::Null), serde_json::from_str);
        Ok(Reply {
            status: row.get(0),
            result: json(row.get(1))?,
            error: json(row.get(2))?,
            responder: row.get(3),
            took_ms: row.get(4),
        })
    }

    /// True if the outbox knows a message.
    pub async fn knows(&self, id: i64) -> Result<bool, Error> {
        match self.client.query_opt("SELECT FROM tpro.reply($1, 'main')", &[&id]).await {
            Ok(_) => Ok(true),
            Err(error) if error.code().map(SqlState::code) == Some(UNKNOWN_ID) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Sends a statement that must be refused; none if it was not.
    pub async fn refused(&self, statement: &str) -> Result<Option<Refusal>, Error> {
        let Err(error) = self.client.batch_execute(statement).await else { return Ok(None) };
        let Some(db) = error.as_db_error() else { return Err(error.into()) };
        let further = [db.detail(), db.hint(), db.where_()];
        Ok(Some(Refusal {
            code: db.code().code().to_owned(),
            message: db.message().to_owned(),
            all: further.into_iter().flatten().fold(db.message().to_owned(), |all, text| all + " " + text),
        }))
    }

    /// Hour and minute by the database's clock.
    pub async fn clock(&self) -> Result<(i64, i64), Error> {
        const CLOCK: &str = "SELECT extract(hour FROM now())::bigint, extract(minute FROM now())::bigint";
        let row = self.client.query_one(CLOCK, &[]).await?;
        Ok((row.get(0), row.get(1)))
    }
}
