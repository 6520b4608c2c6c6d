//! Messages that come twice, since something on the way doubles them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_nats::HeaderMap;
use futures_util::StreamExt;
use serde_json::json;
use tokio::task::JoinHandle;
use tpro_testkit::{Nats, Outcome, eventually, listen};

use crate::rogue::Rogue;

/// In the header of a double, so that it is not doubled again.
const MARK: &str = "Doubled";

/// Sends every tenth message on some subjects a second time.
struct Doubler {
    doubled: Arc<AtomicU32>,
    task: JoinHandle<()>,
}

impl Doubler {
    async fn start(nats: &Nats, subject: &str) -> Outcome<Doubler> {
        let client = nats.client().await?;
        // No queue group: it hears all that the copies hear.
        let mut messages = listen(&client, subject.to_owned()).await?;
        let doubled = Arc::new(AtomicU32::new(0));
        let counter = doubled.clone();
        let task = tokio::spawn(async move {
            let mut seen = 0;
            while let Some(message) = messages.next().await {
                let mut headers = message.headers.unwrap_or_else(HeaderMap::new);
                if headers.get(MARK).is_some() || message.status.is_some() {
                    continue;
                }
                seen += 1;
                if seen % 10 != 0 {
                    continue;
                }
                headers.insert(MARK, "1");
                let sent = match message.reply {
                    Some(reply) => {
                        client
                            .publish_with_reply_and_headers(message.subject, reply, headers, message.payload)
                            .await
                    }
                    None => client.publish_with_headers(message.subject, headers, message.payload).await,
                };
                counter.fetch_add(u32::from(sent.is_ok()), Ordering::SeqCst);
            }
        });
        Ok(Doubler { doubled, task })
    }

    fn doubled(&self) -> u32 {
        self.doubled.load(Ordering::SeqCst)
    }
}

impl Drop for Doubler {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[tpro_testkit::test]
async fn doubled_requests_and_replies_make_one_effect_and_one_reply() -> Outcome {
    let world = Rogue::world().await?;
    let requests = Doubler::start(&world.nats, "tpro.rogue.>").await?;
    let replies = Doubler::start(&world.nats, "_INBOX.tpro.main.>").await?;
    let main = world.run("main").await?;
    let copies = [world.start(Rogue::copy(&world, 1)?).await?, world.start(Rogue::copy(&world, 2)?).await?];

    for _ in 0..3 {
        for method in ["transactional.effect", "default.effect", "default.tx"] {
            Rogue::request(method, json!({})).publish_many(&world.main, 100).await?;
        }
    }
    world.recon().await?;
    for reply in world.replies("main").await? {
        assert_eq!(reply.status, "ok", "{reply:?}");
    }
    assert!(requests.doubled() >= 90, "{} requests were doubled", requests.doubled());
    assert!(replies.doubled() >= 90, "{} replies were doubled", replies.doubled());
    assert_eq!(Rogue::effects(&world).await?, 900);
    // Each double was taken, and told from the first by the inbox.
    eventually("every request and every double was dealt with", async || {
        let mut received = 0.0;
        let mut told = 0.0;
        for copy in &copies {
            received += copy.metric("tpro_received_total").await?;
            told += copy.metric("tpro_not_run_total").await?;
        }
        let sent = main.metric("tpro_sent_total").await? + f64::from(requests.doubled());
        Ok(received == sent && told == received - 900.0)
    })
    .await?;
    // A reply more than one settles nothing any more.
    let late = main.metric("tpro_late_replies_total").await?;
    assert!(late >= f64::from(replies.doubled()), "{late} late replies");
    world.finish(&[&main, &copies[0], &copies[1]]).await?;
    Ok(())
}
