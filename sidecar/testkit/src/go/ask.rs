//! A Go service that asks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_nats::Client;
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use super::bytes;
use crate::failure::{Context, Outcome};
use crate::listen::listen;
use crate::nats::Nats;

/// Asks for a Go service, and reads answers as it does.
pub struct GoRequester {
    client: Client,
    service: String,
    spans: AtomicU64,
}

/// The end of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Came {
    /// The member `result`.
    Result(Value),
    /// The member `error`.
    Error(Value),
    /// Nothing within the time.
    Timeout,
    /// The program has ended, for this reason.
    Panic(String),
}

impl Came {
    /// The result, or a failure.
    pub fn ok(self) -> Outcome<Value> {
        match self {
            Came::Result(value) => Ok(value),
            other => Err(crate::failure::Failure::new(format!("the Go service got no result: {other:?}"))),
        }
    }
}

impl GoRequester {
    /// A Go service of this name.
    pub async fn new(nats: &Nats, service: &str) -> Outcome<GoRequester> {
        let client = nats.client().await?;
        Ok(GoRequester { client, service: service.to_owned(), spans: AtomicU64::new(0x5b1f_0c2d_3e4f_5061) })
    }

    /// Asks `service.entity.method` once, and waits for so long. The answer repeats the headers, by
    /// which the program knows its row.
    pub async fn ask(&self, mq_id: i64, target: &str, body: Value, patience: Duration) -> Outcome<Came> {
        let span = self.spans.fetch_add(1, Ordering::Relaxed);
        let headers = json!({
            "content-language": "ru-RU",
            "from_service": self.service,
            "mq_id": mq_id,
            "request": {"type": "single"},
            "trace-id": format!("{span:016x}:{span:016x}:0000000000000000:1"),
        });
        let subject = format!("jsonrpc://tpro.{target}");
        request(&self.client, subject, (&headers, &body), mq_id, patience).await
    }

    /// An event: the number of the row, which Go writes as base64 of its text.
    pub async fn tell(&self, target: &str) -> Outcome {
        let subject = format!("jsonrpc://tpro.{target}");
        self.client.publish(subject, r#""MQ==""#.into()).await.context("telling")?;
        crate::listen::heard(&self.client).await
    }
}

/// Sends a request once, and waits for its answer for so long.
pub(super) async fn request(
    client: &Client,
    subject: String,
    (headers, body): (&Value, &Value),
    mq_id: i64,
    patience: Duration,
) -> Outcome<Came> {
    let inbox = client.new_inbox();
    let mut replies = listen(client, inbox.clone()).await?;
    let until = Instant::now() + patience;
    let payload = bytes::request(headers, body).into();
    client.publish_with_reply(subject, inbox, payload).await.context("asking")?;
    loop {
        let Ok(reply) = timeout_at(until, replies.next()).await else { return Ok(Came::Timeout) };
        let reply = reply.context("the connection is closed")?;
        // A client of nats.go 1.10 does not hear of it.
        if reply.status.is_none() {
            return Ok(read(&reply.payload, mq_id));
        }
    }
}

/// Reads an answer as the program's reply handler does.
fn read(payload: &[u8], mq_id: i64) -> Came {
    let Ok(Value::Object(mut members)) = serde_json::from_slice(payload) else {
        return Came::Panic("the reply is no object".to_owned());
    };
    // A type assertion without a check.
    match members.get("meta").and_then(|meta| meta.get("mq_id")).and_then(Value::as_f64) {
        None => return Came::Panic("interface conversion: meta.mq_id is not float64".to_owned()),
        Some(number) if number as i64 != mq_id => {
            return Came::Panic(format!("the reply is of row {number}, not of {mq_id}"));
        }
        Some(_) => {}
    }
    match (members.remove("error"), members.remove("result")) {
        (Some(error), _) => Came::Error(error),
        (None, Some(result)) => Came::Result(result),
        (None, None) => Came::Panic("neither a result nor an error".to_owned()),
    }
}
