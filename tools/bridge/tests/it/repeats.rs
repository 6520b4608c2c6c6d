//! Repeats of requests for a Go service, which does not know repeats.

use std::sync::Arc;

use async_nats::{Client, HeaderMap};
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tpro_testkit::{Context, GoAnswer, GoCopy, Outcome, eventually, listen};

use crate::bridged::Bridged;

const UID: &str = "0198c2a4-7b1e-7cc3-98c4-dc0c0c07398f";

/// Asks as a service of tpro does, the n-th time. The reply goes to `_INBOX.a.<n>`.
async fn ask(client: &Client, attempt: u32, key: &str, body: Value) -> Outcome {
    let mut headers = HeaderMap::new();
    for (name, value) in [("Nats-Msg-Id", UID), ("Tpro-Key", key), ("Tpro-Budget-Ms", "80000")] {
        headers.insert(name, value);
    }
    headers.insert("Tpro-Attempt", attempt.to_string());
    headers.insert("Tpro-Source", "main/1f2e3d4c-0000-4000-8000-000000000000");
    let payload = json!({"jsonrpc": "2.0", "id": UID, "method": "example.simple", "params": body});
    let (subject, reply) = ("tpro.co.example.simple", format!("_INBOX.a.{attempt}"));
    let payload = payload.to_string().into();
    client.publish_with_reply_and_headers(subject, reply, headers, payload).await.context("asking")
}

#[tpro_testkit::test]
async fn a_repeat_is_no_second_run_with_two_bridges_and_gets_the_answer_that_is_kept() -> Outcome {
    let bridged = Bridged::new().await?;
    for copy in [1, 2] {
        bridged.run(copy, "analytic,co", "main").await?;
    }
    let gate = Arc::new(Semaphore::new(0));
    let held = gate.clone();
    let co = GoCopy::start(&bridged.old, "co", move |_| {
        GoAnswer::After(held.clone(), Box::new(GoAnswer::Result(json!("once"))))
    })
    .await?;
    let client = bridged.world.nats.client().await?;
    let mut inbox = listen(&client, "_INBOX.a.*").await?;
    let key = "0123456789abcdef0123456789abcdef";
    ask(&client, 1, key, json!({})).await?;
    eventually("the Go service is at work", async || Ok(co.runs().len() == 1)).await?;
    // Each goes to one of the two bridges; both say that the message is at work.
    for attempt in 2..12 {
        ask(&client, attempt, key, json!({})).await?;
        loop {
            let word = inbox.next().await.context("the subscription lives")?;
            let state = word.headers.as_ref().and_then(|headers| headers.get("Tpro-State"));
            assert_eq!(state.map(ToString::to_string).as_deref(), Some("working"));
            if word.subject.as_str() == format!("_INBOX.a.{attempt}") {
                break;
            }
        }
    }
    gate.close();
    let answer = json!({"jsonrpc": "2.0", "id": UID, "result": "once"});
    // The answer comes to the latest reply subject, and again to each repeat after it.
    for attempt in 11..20 {
        if attempt > 11 {
            ask(&client, attempt, key, json!({})).await?;
        }
        loop {
            let reply = inbox.next().await.context("the subscription lives")?;
            if reply.payload.is_empty() {
                continue;
            }
            assert_eq!(reply.subject.as_str(), format!("_INBOX.a.{attempt}"));
            assert_eq!(serde_json::from_slice::<Value>(&reply.payload)?, answer);
            break;
        }
    }
    // A uid gives no right: another key, and no key with another body.
    for (attempt, key, body) in [(20, "f".repeat(32), json!({})), (21, String::new(), json!({"a": 1}))] {
        ask(&client, attempt, &key, body).await?;
        let refused = loop {
            let reply = inbox.next().await.context("the subscription lives")?;
            if !reply.payload.is_empty() {
                break reply;
            }
        };
        assert_eq!(serde_json::from_slice::<Value>(&refused.payload)?["error"]["code"], -32600);
    }
    assert_eq!(co.runs().len(), 1);
    Ok(())
}
