//! A whole change-over, step by step as docs/migration.md has it, with requests from both sides all
//! the while.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use serde_json::{Value, json};
use tpro_testkit::{
    Context, Failure, GoAnswer, GoCopy, GoRequester, Message, Nats, Outcome, World, go, paths,
};

use crate::bridged::{Bridged, PATIENCE};

const METHOD: &str = "co.example.request_with_parallel_queries";

/// Runs `tpro migrate` as the superuser.
async fn migrate(world: &World, arguments: &[&str]) -> Outcome<Value> {
    let mut tpro = Command::new(paths::binary("tpro", "tpro")?);
    tpro.arg("migrate").args(arguments).arg("--json").env_clear().env("DATABASE_URL", world.database.url());
    let done = tokio::task::spawn_blocking(move || tpro.output()).await??;
    let text = String::from_utf8_lossy(&done.stderr).into_owned();
    if !done.status.success() {
        return Err(Failure::new(format!("tpro migrate {arguments:?}: {text}")));
    }
    serde_json::from_slice(&done.stdout).context("reading what tpro has printed")
}

/// The old statement of the application, over and over, with its own numbers.
async fn publish(world: &World, going: Arc<AtomicBool>) -> Outcome<tokio::task::JoinHandle<Outcome<i64>>> {
    let app = world.database.connect_as("co").await?;
    Ok(tokio::spawn(async move {
        let mut published = 0;
        while going.load(Ordering::Relaxed) {
            app.batch_execute(
                "INSERT INTO co_service.mq_publish (protocol,space_name,service_name,entity,method_name,timeout,headers,body)
                 VALUES ('jsonrpc','tpro','analytic','example','request_with_parallel_queries',80,'{\"request\":{\"type\":\"single\"}}','{\"a\":1}')",
            )
            .await
            .context("publishing")?;
            published += 1;
            tokio::time::sleep(std::time::Duration::from_millis(40)).await;
        }
        Ok(published)
    }))
}

#[tpro_testkit::test(threads = 4)]
async fn a_service_changes_over_under_requests_from_both_sides_and_nothing_is_lost() -> Outcome {
    let world = World::options().services(&["main", "analytic"]).start().await?;
    world.database.load_demo().await?;
    let bridged = Bridged { world, old: Nats::new().await? };
    let world = &bridged.world;
    go::create_schema(&world.admin, "co").await?;
    world.database.create_role("co").await?;
    let rights = "GRANT USAGE ON SCHEMA co_service TO co; GRANT ALL ON ALL TABLES IN SCHEMA co_service TO co;
                  GRANT ALL ON ALL SEQUENCES IN SCHEMA co_service TO co";
    world.admin.batch_execute(rights).await?;
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
    let going = Arc::new(AtomicBool::new(true));
    let asked = Arc::new(AtomicI64::new(0));
    let monolith = Arc::new(GoRequester::new(&bridged.old, "monolith").await?);
    let asking = tokio::spawn({
        let (going, asked) = (going.clone(), asked.clone());
        async move {
            let mut answers = Vec::new();
            while going.load(Ordering::Relaxed) {
                let (monolith, number) = (monolith.clone(), asked.fetch_add(1, Ordering::Relaxed) + 1);
                answers.push(tokio::spawn(async move {
                    monolith.ask(number, METHOD, json!({}), PATIENCE).await?.ok()
                }));
                tokio::time::sleep(std::time::Duration::from_millis(40)).await;
            }
            for answer in answers {
                answer.await??;
            }
            Outcome::Ok(())
        }
    });
    let publisher = world.database.connect_as("main").await?;
    let rows = tokio::spawn({
        let going = going.clone();
        async move {
            let mut ids = Vec::new();
            while going.load(Ordering::Relaxed) {
                ids.push(Message::to(METHOD).timeout(80).publish(&publisher).await?);
                tokio::time::sleep(std::time::Duration::from_millis(40)).await;
            }
            Outcome::Ok(ids)
        }
    });
    let reached = async |wanted: i64| {
        tpro_testkit::eventually("requests go on", async || Ok(asked.load(Ordering::Relaxed) >= wanted)).await
    };
    reached(20).await?;

    // 1: the bridges say that the service has moved.
    first.stop().await?;
    let first = bridged.run(1, "monolith", "main,analytic,co").await?;
    second.stop().await?;
    let second = bridged.run(2, "monolith", "main,analytic,co").await?;
    assert_eq!(migrate(world, &["check", "co"]).await?["findings"], json!([]));
    // 2 and 3: the mark, and the end of the Go copies.
    let mark = migrate(world, &["mark", "co"]).await?["after"].as_i64().context("an id")?;
    assert_eq!(mark, 5);
    let published = publish(world, going.clone()).await?;
    let old = old.stop().await?;
    // 4: the take-over. 5: the copies of tpro.
    reached(asked.load(Ordering::Relaxed) + 10).await?;
    let taken = migrate(world, &["run", "co", "--after", &mark.to_string(), "--login", "co"]).await?;
    let co = world.run("co").await?;
    reached(asked.load(Ordering::Relaxed) + 20).await?;
    going.store(false, Ordering::Relaxed);

    // Everything is answered, and nothing has run twice.
    asking.await??;
    let ids = rows.await??;
    for id in &ids {
        world.await_reply(*id).await?.ok()?;
    }
    let published = published.await??;
    assert!(taken["taken"].as_i64().is_some_and(|taken| taken > 0 && taken <= published), "{taken}");
    let settled = "SELECT count(*) FROM co_service.mq_reply WHERE status = 'ok'";
    tpro_testkit::eventually("what was published meanwhile is settled", async || {
        Ok(world.count(settled).await? == published)
    })
    .await?;
    let runs = world.count("SELECT count(*) FROM co_service.mq_outcome").await? + old.len() as i64;
    let all = asked.load(Ordering::Relaxed) + ids.len() as i64;
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
