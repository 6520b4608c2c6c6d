//! A copy of a Go service.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use async_nats::{Client, Message, Subscriber};
use futures_util::StreamExt as _;
use serde_json::{Map, Value};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};

use super::{GoAnswer, Run, bytes};
use crate::failure::{Context, Outcome};
use crate::listen::heard;
use crate::nats::Nats;

type Handler = dyn Fn(&Run) -> GoAnswer + Send + Sync;

/// A running copy. Dropping it kills it.
pub struct GoCopy {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    client: Client,
    handler: Box<Handler>,
    runs: Mutex<Vec<Run>>,
    panicked: OnceLock<String>,
    stop: Notify,
}

impl GoCopy {
    /// Starts a copy of a service, which answers by `handler`.
    pub async fn start(
        nats: &Nats,
        service: &str,
        handler: impl Fn(&Run) -> GoAnswer + Send + Sync + 'static,
    ) -> Outcome<GoCopy> {
        let client = nats.client().await?;
        let group = format!("{service}-queue");
        // Its subject begins with a wildcard, for any space.
        let messages = client.queue_subscribe(format!("*.{service}.>"), group).await;
        let messages = messages.context("subscribing")?;
        heard(&client).await?;
        let shared = Arc::new(Shared {
            client,
            handler: Box::new(handler),
            runs: Mutex::default(),
            panicked: OnceLock::new(),
            stop: Notify::new(),
        });
        let task = tokio::spawn(serve(shared.clone(), messages));
        Ok(GoCopy { shared, task })
    }

    /// All runs so far, in the order in which they began.
    pub fn runs(&self) -> Vec<Run> {
        self.shared.runs().clone()
    }

    /// The reason for which the program has ended, if it has.
    pub fn panicked(&self) -> Option<&str> {
        self.shared.panicked.get().map(String::as_str)
    }

    /// SIGTERM: it takes no more, finishes what it has, and ends.
    pub async fn stop(mut self) -> Outcome<Vec<Run>> {
        self.shared.stop.notify_one();
        (&mut self.task).await.context("waiting for the end of a Go copy")?;
        Ok(self.runs())
    }
}

impl Shared {
    fn runs(&self) -> std::sync::MutexGuard<'_, Vec<Run>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn serve(shared: Arc<Shared>, mut messages: Subscriber) {
    let mut at_work = JoinSet::new();
    loop {
        let message = tokio::select! {
            message = messages.next() => message,
            () = shared.stop.notified() => break,
            Some(_) = at_work.join_next() => continue,
        };
        let Some(message) = message else { return };
        if !take(&shared, message, &mut at_work) {
            return;
        }
    }
    // Its own drain: what the server has sent before the end of the subscription comes still.
    let _ = messages.unsubscribe_after(10_000_000_000).await;
    let _ = heard(&shared.client).await;
    let _ = messages.drain().await;
    while let Some(message) = messages.next().await {
        if !take(&shared, message, &mut at_work) {
            return;
        }
    }
    while at_work.join_next().await.is_some() {}
    let _ = heard(&shared.client).await;
}

/// Begins a message. False if the program ends by it: all that is at work is lost.
fn take(shared: &Arc<Shared>, message: Message, at_work: &mut JoinSet<()>) -> bool {
    match bytes::read_request(&message.payload).and_then(|read| read.map(|r| run_of(&message, r)).transpose())
    {
        Ok(Some((run, meta))) => {
            shared.runs().push(run.clone());
            at_work.spawn(work(shared.clone(), message, run, meta));
            true
        }
        Ok(None) => true,
        Err(panic) => {
            let _ = shared.panicked.set(panic);
            false
        }
    }
}

/// The run of a request, and the headers of its answer.
fn run_of(message: &Message, (headers, body): (Map<String, Value>, Value)) -> Result<(Run, Value), String> {
    let text = |name: &str| headers.get(name).and_then(Value::as_str).map(str::to_owned);
    // Type assertions without a check: another type is a panic.
    let mq_id = headers.get("mq_id").and_then(Value::as_f64).ok_or("mq_id is no float64")?;
    let from_service = text("from_service").ok_or("from_service is no string")?;
    if i32::try_from(mq_id as i64).is_err() {
        return Err(format!("the mq_id {mq_id} does not fit into an int4"));
    }
    let trace = text("trace-id").unwrap_or_default();
    let mut parts = trace.split(':');
    let (root, parent) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let mut meta = headers.clone();
    // The handler's own span.
    meta.insert("trace-id".to_owned(), format!("{root}:77aa{mq_id:012}:{parent}:1").into());
    // `<scheme><space>.<service>.<entity>.<method>`
    let method = message.subject.splitn(3, '.').nth(2).unwrap_or_default().to_owned();
    let run = Run { method, from_service, mq_id: mq_id as i64, headers: Value::Object(headers), body };
    Ok((run, Value::Object(meta)))
}

async fn work(shared: Arc<Shared>, message: Message, run: Run, meta: Value) {
    let mut answer = (shared.handler)(&run);
    while let GoAnswer::After(gate, then) = answer {
        // A gate that is closed is one that has opened for all.
        if let Ok(permit) = gate.acquire().await {
            permit.forget();
        }
        answer = *then;
    }
    // Without a reply subject the publish fails, and the program logs it.
    if let Some(reply) = message.reply {
        let _ = shared.client.publish(reply, bytes::answer(answer.member(), &meta).into()).await;
    }
}

impl Drop for GoCopy {
    fn drop(&mut self) {
        self.task.abort();
    }
}
