//! A whole change-over, step by step as docs/migration.md has it, with requests from both sides all
//! the while.

use serde_json::json;
use tpro_testkit::{Context, GoAnswer, GoCopy, Nats, Outcome, World};

use crate::bridged::Bridged;
use crate::load::{Load, create_co, migrate};

#[tpro_testkit::test(threads = 4)]
async fn a_service_changes_over_under_requests_from_both_sides_and_nothing_is_lost() -> Outcome {
    let world = World::options().services(&["main", "analytic"]).start().await?;
    world.database.load_demo().await?;
    let bridged = Bridged { world, old: Nats::new().await? };
    let world = &bridged.world;
    create_co(world).await?;
    // Sent by the Go copies long ago.
    let sent = "INSERT INTO co_service.mq_publish (protocol,space_name,service_name,entity,method_name,timeout,headers,body)
                SELECT 'jsonrpc','tpro','analytic','example','simple',15,'{}','{}' FROM generate_series(1, 5)";
    world.admin.batch_execute(sent).await?;
    let (main, analytic) = (world.run("main").await?, world.run("analytic").await?);
    let first = bridged.run(1, "co,monolith", "main,analytic").await?;
    let second = bridged.run(2, "co,monolith", "main,analytic").await?;
    let answer = json!({"exampleRequestWithParallelQueries": 1});
    let old = GoCopy::start(&bridged.old, "co", move |_| GoAnswer::Result(answer.clone())).await?;

    // Requests from both sides, and publishes of the service itself.
    let load = Load::start(&bridged).await?;
    load.goes_on(20).await?;

    // 1: the bridges say that the service has moved.
    first.stop().await?;
    let first = bridged.run(1, "monolith", "main,analytic,co").await?;
    second.stop().await?;
    let second = bridged.run(2, "monolith", "main,analytic,co").await?;
    assert_eq!(migrate(world, &["check", "co"]).await?["findings"], json!([]));
    // 2 and 3: the mark, and the end of the Go copies.
    let mark = migrate(world, &["mark", "co"]).await?["after"].as_i64().context("an id")?;
    assert_eq!(mark, 5);
    let published = load.publish(world, "analytic", "request_with_parallel_queries").await?;
    let old = old.stop().await?;
    // 4: the take-over. 5: the copies of tpro.
    load.goes_on(10).await?;
    let taken = migrate(world, &["run", "co", "--after", &mark.to_string(), "--login", "co"]).await?;
    let co = world.run("co").await?;
    load.goes_on(20).await?;

    // Everything is answered, and nothing has run twice.
    let all = load.end(world).await?;
    let published = published.end().await?;
    assert!(taken["taken"].as_i64().is_some_and(|taken| taken > 0 && taken <= published), "{taken}");
    let settled = "SELECT count(*) FROM co_service.mq_reply WHERE status = 'ok'";
    tpro_testkit::eventually("what was published meanwhile is settled", async || {
        Ok(world.count(settled).await? == published)
    })
    .await?;
    let runs = world.count("SELECT count(*) FROM co_service.mq_outcome").await? + old.len() as i64;
    assert!(runs >= all, "{runs} runs of {all} requests");
    // On a machine so slow that a requester has repeated a request after seconds of silence, the
    // repeat may have met the other side.
    if main.metric("tpro_silent_total").await? == 0.0 {
        assert_eq!(runs, all);
    }
    first.stop().await?;
    second.stop().await?;
    bridged.world.finish(&[&main, &analytic, &co]).await?;
    Ok(())
}
