//! The whole way back, step by step as docs/migration.md has it, with requests from both sides all
//! the while.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tpro_testkit::go::{Came, Run};
use tpro_testkit::{Context, GoAnswer, GoCopy, GoOutbox, Nats, Outcome, World, eventually};

use crate::bridged::Bridged;
use crate::load::{Load, create_co, migrate};

/// The number in a body.
fn number(body: &Value) -> i64 {
    body["n"].as_i64().unwrap_or(0)
}

/// The numbers in the bodies of some rows.
async fn numbers(world: &World, query: &str) -> Outcome<Vec<i64>> {
    let rows = world.admin.query(&format!("SELECT (m.body->>'n')::bigint {query}"), &[]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

#[tpro_testkit::test(threads = 4)]
async fn a_service_goes_back_under_requests_from_both_sides_and_nothing_is_lost() -> Outcome {
    let world = World::options().services(&["main", "analytic"]).start().await?;
    world.database.load_demo().await?;
    let bridged = Bridged { world, old: Nats::new().await? };
    let world = &bridged.world;
    create_co(world).await?;
    migrate(world, &["run", "co", "--after", "0", "--login", "co"]).await?;
    let (main, analytic) = (world.run("main").await?, world.run("analytic").await?);
    let co = world.run("co").await?;
    let first = bridged.run(1, "ledger,monolith", "main,analytic,co").await?;
    let second = bridged.run(2, "ledger,monolith", "main,analytic,co").await?;
    // The application of co publishes to a Go service, which knows how often it has run each.
    let ledger =
        GoCopy::start(&bridged.old, "ledger", |run: &Run| GoAnswer::Result(run.body.clone())).await?;
    let load = Load::start(&bridged).await?;
    let published = load.publish(world, "ledger", "enter").await?;
    load.goes_on(20).await?;
    published.go_on(20).await?;

    // 1: the copies of tpro end. What is published from here on waits.
    co.stop().await?;
    let led = "SELECT count(leader_pid) FROM tpro.services WHERE name = 'co'";
    eventually("nobody leads co", async || Ok(world.count(led).await? == 0)).await?;
    published.go_on(5).await?;
    load.goes_on(5).await?;
    // 2: the old schema is there again. What is published from here on no Go copy hears.
    let back = migrate(world, &["back", "co"]).await?;
    let after = back["after"].as_i64().context("an id")?;
    let moved = back["taken"].as_i64().context("a number")?;
    assert!(moved >= 5, "{back}");
    assert_eq!(back["left_behind"], json!(0));
    published.go_on(5).await?;
    // 3: the Go copies run. 4: they get what they have not heard of.
    let outbox = GoOutbox::start(&bridged.old, &world.database.url(), "co").await?;
    let answer = json!({"exampleRequestWithParallelQueries": 1});
    let old = GoCopy::start(&bridged.old, "co", move |_| GoAnswer::Result(answer.clone())).await?;
    let told = migrate(world, &["send", "co", "--after", &after.to_string()]).await?;
    let told = told["told"].as_i64().context("a number")?;
    assert!(told >= moved + 5, "{told}");
    // Only these may run twice: what tpro may have sent, and what the Go copies had heard already.
    let told = format!("FROM co_service.mq_publish m WHERE m.id > {after} ORDER BY m.id LIMIT {told}");
    let twice: BTreeSet<i64> = numbers(world, &told).await?.into_iter().collect();
    // 5: the bridges say that the service is back.
    first.stop().await?;
    let first = bridged.run(1, "ledger,monolith,co", "main,analytic").await?;
    second.stop().await?;
    let second = bridged.run(2, "ledger,monolith,co", "main,analytic").await?;
    load.goes_on(20).await?;
    published.go_on(20).await?;

    // Everything is answered.
    let all = load.end(world).await?;
    let published = published.end().await?;
    let later = world.count("SELECT count(*) FROM co_service.mq_publish").await?;
    eventually("the Go copy has sent what it was told", async || {
        let sent: BTreeSet<i64> = outbox.sent().iter().map(|sent| sent.id).collect();
        Ok(outbox.panicked().is_some() || sent.len() as i64 == later)
    })
    .await?;
    assert_eq!((outbox.panicked(), old.panicked(), ledger.panicked()), (None, None, None));
    let (sent, old) = (outbox.stop().await?, old.stop().await?);
    let runs = world.count("SELECT count(*) FROM co_service_new.mq_outcome").await? + old.len() as i64;
    assert!(!old.is_empty() && runs >= all, "{runs} runs of {all} requests");
    if main.metric("tpro_silent_total").await? == 0.0 {
        assert_eq!(runs, all);
    }

    // Each message of co has an outcome, with tpro or with the Go copy, and ran as often as it may.
    let settled = "FROM co_service_new.mq_publish m JOIN co_service_new.mq_reply r ON r.mq_id = m.id WHERE r.status = 'ok'";
    let by_tpro = numbers(world, settled).await?;
    assert!(!by_tpro.is_empty() && !sent.is_empty());
    assert!(sent.iter().all(|sent| matches!(sent.came, Came::Result(_))), "{sent:?}");
    let mut outcomes: BTreeMap<i64, usize> = BTreeMap::new();
    for number in by_tpro.into_iter().chain(sent.iter().map(|sent| number(&sent.body))) {
        *outcomes.entry(number).or_default() += 1;
    }
    assert!(outcomes.keys().copied().eq(1..=published), "{published} messages, and outcomes of {outcomes:?}");
    let mut entered: BTreeMap<i64, usize> = BTreeMap::new();
    for run in ledger.stop().await? {
        *entered.entry(number(&run.body)).or_default() += 1;
    }
    assert!(entered.keys().eq(outcomes.keys()), "{entered:?}");
    for (number, most) in (1..=published).map(|number| (number, if twice.contains(&number) { 2 } else { 1 }))
    {
        assert!(outcomes[&number] <= most && entered[&number] <= most, "{number}: {outcomes:?} {entered:?}");
    }
    first.stop().await?;
    second.stop().await?;
    bridged.world.finish(&[&main, &analytic]).await?;
    Ok(())
}
