//! Two bridges share the work, and one of them is killed under load.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tpro_testkit::go::Came;
use tpro_testkit::{GoAnswer, GoCopy, GoRequester, Message, Outcome, eventually};

use crate::bridged::Bridged;

/// Messages each way.
const COUNT: i64 = 60;

#[tpro_testkit::test(threads = 4)]
async fn a_killed_bridge_loses_nothing_that_is_repeated_and_a_repeat_can_be_told() -> Outcome {
    let bridged = Bridged::new().await?;
    let world = &bridged.world;
    let main = world.run("main").await?;
    let analytic = world.run("analytic").await?;
    let killed = bridged.run(1, "co", "main,analytic").await?;
    let other = bridged.run(2, "co", "main,analytic").await?;
    let co = GoCopy::start(&bridged.old, "co", |run| GoAnswer::Result(run.body.clone())).await?;

    // The Go service repeats a request that was not answered, with its number.
    let go = Arc::new(GoRequester::new(&bridged.old, "co").await?);
    let asking: Vec<_> = (1..=COUNT)
        .map(|number| {
            let go = go.clone();
            tokio::spawn(async move {
                loop {
                    let method = "analytic.example.request_with_parallel_queries";
                    let came = go.ask(number, method, json!({}), Duration::from_secs(15)).await?;
                    if came != Came::Timeout {
                        return came.ok();
                    }
                }
            })
        })
        .collect();
    let mut ids = Vec::new();
    for number in 1..=COUNT {
        ids.push(
            world.publish(&Message::to("co.example.echo").body(json!({"n": number})).timeout(80)).await?,
        );
        if number == COUNT / 2 {
            eventually("both bridges carry", async || {
                let mut carried = true;
                for bridge in [&killed, &other] {
                    carried &= bridge.metric("tpro_bridge_carried_total").await? > 0.0;
                }
                Ok(carried)
            })
            .await?;
            killed.kill().await?;
        }
    }
    for (id, number) in ids.iter().zip(1..) {
        let reply = world.await_reply(*id).await?;
        assert_eq!(reply.ok()?, json!({"n": number}));
    }
    for asked in asking {
        asked.await??;
    }
    // Each run of a message has its number, so that the Go side can tell a second one.
    let mut numbers = BTreeMap::new();
    for run in co.runs() {
        assert_eq!(run.from_service, "main");
        let same = numbers.entry(run.body["n"].as_i64()).or_insert(run.mq_id);
        assert_eq!(*same, run.mq_id, "a second run has another number");
    }
    assert_eq!(numbers.len() as i64, COUNT);
    let apart: std::collections::BTreeSet<_> = numbers.values().collect();
    assert_eq!(apart.len() as i64, COUNT, "two messages have one number");
    assert_eq!(co.panicked(), None);
    other.stop().await?;
    bridged.world.finish(&[&main, &analytic]).await?;
    Ok(())
}
