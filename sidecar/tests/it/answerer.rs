//! A NATS service that knows nothing of tpro: it takes a subject and answers what it is told to.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_nats::Message;
use futures_util::StreamExt;
use serde_json::Value;
use tokio::task::JoinHandle;
use tpro_testkit::{Nats, Outcome, listen};

/// Answers until it is dropped.
pub struct Answerer {
    taken: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Answerer {
    /// Answers each message on `subject` with what `answer` makes of its JSON.
    pub async fn start(
        nats: &Nats,
        subject: &str,
        answer: impl Fn(Value) -> String + Send + 'static,
    ) -> Outcome<Answerer> {
        Answerer::raw(nats, subject, move |message| {
            answer(serde_json::from_slice(&message.payload).unwrap_or(Value::Null)).into_bytes()
        })
        .await
    }

    /// Answers each message on `subject` with bytes, whatever they are.
    pub async fn raw(
        nats: &Nats,
        subject: &str,
        answer: impl Fn(&Message) -> Vec<u8> + Send + 'static,
    ) -> Outcome<Answerer> {
        let client = nats.client().await?;
        let mut messages = listen(&client, subject.to_owned()).await?;
        let taken = Arc::new(AtomicUsize::new(0));
        let counter = taken.clone();
        let task = tokio::spawn(async move {
            while let Some(message) = messages.next().await {
                counter.fetch_add(1, Ordering::SeqCst);
                if let Some(reply) = message.reply.clone() {
                    let _ = client.publish(reply, answer(&message).into()).await;
                }
            }
        });
        Ok(Answerer { taken, task })
    }

    /// Answers each message with its own body.
    pub async fn echo(nats: &Nats, subject: &str) -> Outcome<Answerer> {
        Answerer::start(nats, subject, |body| body.to_string()).await
    }

    /// How many messages have come, repeats included.
    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::SeqCst)
    }
}

impl Drop for Answerer {
    fn drop(&mut self) {
        self.task.abort();
    }
}
