//! The half of a Go copy that sends what its database tells it.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use async_nats::Client;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::{StreamExt as _, stream};
use serde_json::{Map, Value};
use tokio::sync::{Notify, mpsc};
use tokio::task::{JoinHandle, JoinSet};
use tokio_postgres::{AsyncMessage, NoTls};

use super::{Came, ask};
use crate::failure::{Context, Outcome};
use crate::nats::Nats;
use crate::postgres::connect;

/// A message that was sent, and the end that it had. The program keeps no trace of either.
#[derive(Clone, Debug, PartialEq)]
pub struct GoSent {
    /// The row.
    pub id: i64,
    /// The body.
    pub body: Value,
    /// The end.
    pub came: Came,
}

/// The running half. Dropping it kills it.
pub struct GoOutbox {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    client: Client,
    session: tokio_postgres::Client,
    service: String,
    sent: Mutex<Vec<GoSent>>,
    panicked: OnceLock<String>,
    stop: Notify,
}

impl GoOutbox {
    /// Starts to listen to the channel of a service. What was published before is never sent.
    pub async fn start(nats: &Nats, database: &str, service: &str) -> Outcome<GoOutbox> {
        let (listening, mut connection) = tokio_postgres::connect(database, NoTls).await?;
        let (sender, payloads) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let mut messages = stream::poll_fn(move |cx| connection.poll_message(cx));
            while let Some(Ok(message)) = messages.next().await {
                if let AsyncMessage::Notification(notification) = message
                    && sender.send(notification.payload().to_owned()).is_err()
                {
                    return;
                }
            }
        });
        let shared = Arc::new(Shared {
            client: nats.client().await?,
            session: connect(database).await?,
            service: service.to_owned(),
            sent: Mutex::default(),
            panicked: OnceLock::new(),
            stop: Notify::new(),
        });
        listening.batch_execute(&format!("listen task_for_{service}_service")).await.context("listening")?;
        let task = tokio::spawn(serve(shared.clone(), listening, payloads));
        Ok(GoOutbox { shared, task })
    }

    /// All messages so far that have come to an end.
    pub fn sent(&self) -> Vec<GoSent> {
        self.shared.sent.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The reason for which the program has ended, if it has.
    pub fn panicked(&self) -> Option<&str> {
        self.shared.panicked.get().map(String::as_str)
    }

    /// SIGTERM: it throws further notifications away, waits for what it has sent, and ends.
    pub async fn stop(mut self) -> Outcome<Vec<GoSent>> {
        self.shared.stop.notify_one();
        (&mut self.task).await.context("waiting for the end of a Go copy")?;
        Ok(self.sent())
    }
}

/// The session that listens lives as long as this.
async fn serve(
    shared: Arc<Shared>,
    _listening: tokio_postgres::Client,
    mut payloads: mpsc::UnboundedReceiver<String>,
) {
    let mut at_work = JoinSet::new();
    loop {
        let ended = tokio::select! {
            payload = payloads.recv() => match payload {
                Some(payload) => {
                    at_work.spawn(send(shared.clone(), payload));
                    continue;
                }
                None => Err("the session that listens is lost".to_owned()),
            },
            Some(ended) = at_work.join_next() => ended.unwrap_or_else(|error| Err(error.to_string())),
            () = shared.stop.notified() => break,
        };
        if let Err(panic) = ended {
            let _ = shared.panicked.set(panic);
            return;
        }
    }
    while let Some(ended) = at_work.join_next().await {
        if let Ok(Err(panic)) = ended {
            let _ = shared.panicked.set(panic);
            return;
        }
    }
}

/// A row, as far as the program could read it.
struct Row {
    mq_id: i64,
    target: String,
    timeout: u64,
    headers: Map<String, Value>,
    body: Value,
}

impl Shared {
    /// Reads the row of a notification. Where the program cannot read the headers, it assigns to a
    /// nil map.
    async fn row(&self, payload: &str) -> Result<Row, String> {
        let nil = || format!("assignment to entry in nil map: the notification {payload:?}");
        let query = format!(
            "SELECT mq_id::bigint, protocol || '://' || space_name || '.' || service_name || '.' || entity || '.' || method_name,
                    timeout::bigint, headers::text, body::text FROM {}_service.mq_publish WHERE id::text = $1",
            self.service
        );
        let row = self.session.query_opt(&query, &[&payload]).await.ok().flatten().ok_or_else(nil)?;
        let json = |column| {
            let text: Option<String> = row.get(column);
            text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or(Value::Null)
        };
        let (Some(mq_id), Some(target), Some(timeout), Value::Object(headers)) =
            (row.get(0), row.get(1), row.get::<_, Option<i64>>(2), json(3))
        else {
            return Err(nil());
        };
        // A body that is no object does not scan, and goes out as null.
        let body = Some(json(4)).filter(Value::is_object).unwrap_or(Value::Null);
        Ok(Row { mq_id, target, timeout: u64::try_from(timeout).unwrap_or(0), headers, body })
    }
}

/// Sends the row of a notification. `Err` says where the program ends.
async fn send(shared: Arc<Shared>, payload: String) -> Result<(), String> {
    let Row { mq_id, target, timeout, mut headers, body } = shared.row(&payload).await?;
    if timeout == 0 {
        // The bytes of the number as JSON: nobody can read them.
        let event = format!("\"{}\"", STANDARD.encode(&payload));
        let _ = shared.client.publish(target, event.into()).await;
        return Ok(());
    }
    headers.insert("mq_id".to_owned(), mq_id.into());
    headers.insert("from_service".to_owned(), shared.service.clone().into());
    headers.insert("trace-id".to_owned(), format!("{mq_id:016x}:{mq_id:016x}:0000000000000000:1").into());
    let patience = Duration::from_secs(timeout);
    let asked = (&Value::Object(headers), &body);
    let came = ask::request(&shared.client, target, asked, mq_id, patience).await;
    let came = came.map_err(|error| error.to_string())?;
    if let Came::Panic(panic) = came {
        return Err(panic);
    }
    let id = payload.parse().map_err(|_| format!("{payload} is no number"))?;
    shared.sent.lock().unwrap_or_else(PoisonError::into_inner).push(GoSent { id, body, came });
    Ok(())
}

impl Drop for GoOutbox {
    fn drop(&mut self) {
        self.task.abort();
    }
}
