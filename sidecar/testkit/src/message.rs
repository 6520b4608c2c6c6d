//! The message that a test publishes, and its reply.

use serde_json::{Value, json};
use tokio_postgres::{Client, Row};

use crate::failure::{Context, Failure, Outcome};

/// A row for `mq_publish`, with the column names as fields.
#[derive(Clone, Debug)]
pub struct Message {
    sender: String,
    protocol: String,
    space: String,
    service: String,
    entity: String,
    method: String,
    timeout: i32,
    headers: Value,
    body: Value,
    reply_to: Option<String>,
}

impl Message {
    /// A request of service `main` to `service.entity.method_name` in space `tpro`, with an empty
    /// body.
    pub fn to(target: &str) -> Message {
        let mut parts = target.splitn(3, '.').map(str::to_owned);
        let mut part = || parts.next().unwrap_or_default();
        Message {
            sender: "main".to_owned(),
            protocol: "jsonrpc".to_owned(),
            space: "tpro".to_owned(),
            service: part(),
            entity: part(),
            method: part(),
            timeout: 20,
            headers: json!({}),
            body: json!({}),
            reply_to: None,
        }
    }

    /// The service that asks.
    pub fn from(mut self, service: &str) -> Message {
        self.sender = service.to_owned();
        self
    }

    /// The body.
    pub fn body(mut self, body: Value) -> Message {
        self.body = body;
        self
    }

    /// The headers.
    pub fn headers(mut self, headers: Value) -> Message {
        self.headers = headers;
        self
    }

    /// The budget in seconds; 0 makes it an event.
    pub fn timeout(mut self, seconds: i32) -> Message {
        self.timeout = seconds;
        self
    }

    /// `jsonrpc` or `json`.
    pub fn protocol(mut self, protocol: &str) -> Message {
        self.protocol = protocol.to_owned();
        self
    }

    /// The first word of the subject.
    pub fn space(mut self, space: &str) -> Message {
        self.space = space.to_owned();
        self
    }

    /// The label to which the bare reply is published as well.
    pub fn reply_to(mut self, label: &str) -> Message {
        self.reply_to = Some(label.to_owned());
        self
    }

    /// Publishes it by `tpro.publish` and returns its id.
    pub async fn publish(&self, session: &Client) -> Outcome<i64> {
        let row = session
            .query_one(
                "SELECT tpro.publish(service_name => $1::text, entity => $2::text, method_name => $3::text,
                    body => $4::text::jsonb, headers => $5::text::jsonb, timeout => $6::int, protocol => $7::text,
                    sender => $8::text, space_name => $9::text, reply_to => $10::text)",
                &[
                    &self.service,
                    &self.entity,
                    &self.method,
                    &self.body.to_string(),
                    &self.headers.to_string(),
                    &self.timeout,
                    &self.protocol,
                    &self.sender,
                    &self.space,
                    &self.reply_to,
                ],
            )
            .await
            .context(format!("publishing to {}.{}.{}", self.service, self.entity, self.method))?;
        Ok(row.get(0))
    }

    /// Publishes it `count` times in one statement, as one INSERT of many rows.
    pub async fn publish_many(&self, session: &Client, count: i32) -> Outcome {
        let statement = format!(
            "INSERT INTO {}_service.mq_publish
                (protocol, space_name, service_name, entity, method_name, timeout, headers, body, reply_to)
             SELECT $1::text, $2::text, $3::text, $4::text, $5::text, $6::int, $7::text::jsonb, $8::text::jsonb, $9::text
             FROM generate_series(1, $10::int)",
            self.sender
        );
        session
            .execute(
                &statement,
                &[
                    &self.protocol,
                    &self.space,
                    &self.service,
                    &self.entity,
                    &self.method,
                    &self.timeout,
                    &self.headers.to_string(),
                    &self.body.to_string(),
                    &self.reply_to,
                    &count,
                ],
            )
            .await
            .context(format!(
                "publishing {count} rows to {}.{}.{}",
                self.service, self.entity, self.method
            ))?;
        Ok(())
    }

    /// The service that asks.
    pub fn sender(&self) -> &str {
        &self.sender
    }
}

/// A settled outbox row.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The end of the message: `ok`, `error`, `timeout`, ...
    pub status: String,
    /// The result; null unless `ok`.
    pub result: Value,
    /// The JSON-RPC error object; null if `ok`.
    pub error: Value,
    /// The number of attempts.
    pub attempts: i32,
    /// The copy that answered: `service/version/copy`.
    pub responder: Option<String>,
}

impl Reply {
    /// The columns of a reply, in the order [`Reply::read`] expects.
    pub const COLUMNS: &str =
        "status::text, result::text, error::text, coalesce(attempts, 0)::int, responder::text";

    /// Reads a row of [`Reply::COLUMNS`].
    pub fn read(row: &Row) -> Outcome<Reply> {
        let parse = |text: Option<String>| -> Outcome<Value> {
            text.map_or(Ok(Value::Null), |text| Ok(serde_json::from_str(&text)?))
        };
        Ok(Reply {
            status: row.get(0),
            result: parse(row.get(1))?,
            error: parse(row.get(2))?,
            attempts: row.get(3),
            responder: row.get(4),
        })
    }

    /// Waits for the reply of a row by `tpro.wait`.
    pub async fn wait(session: &Client, sender: &str, id: i64) -> Outcome<Reply> {
        let statement = format!("SELECT {} FROM tpro.wait($1, 60, $2)", Self::COLUMNS);
        let row = session
            .query_opt(&statement, &[&id, &sender])
            .await
            .context(format!("waiting for the reply to {sender}'s message {id}"))?;
        Self::read(
            &row.ok_or_else(|| Failure::new(format!("{sender}'s message {id} was not settled in 60 s")))?,
        )
    }

    /// The result of an `ok` reply; anything else is a failure.
    pub fn ok(self) -> Outcome<Value> {
        match self.status.as_str() {
            "ok" => Ok(self.result),
            _ => Err(Failure::new(format!("the reply is no `ok`: {self:?}"))),
        }
    }

    /// The code of the error; 0 without one.
    pub fn code(&self) -> i64 {
        self.error["code"].as_i64().unwrap_or(0)
    }

    /// The copy that answered, the last part of the responder.
    pub fn copy(&self) -> &str {
        self.responder.as_deref().and_then(|responder| responder.rsplit('/').next()).unwrap_or_default()
    }
}
