//! Messages that end the process that works on them.

use std::os::unix::process::ExitStatusExt;

use serde_json::json;
use tpro_testkit::{Context, Outcome, Reply, Signal, World, eventually};

use crate::rogue::Rogue;

/// How often a message may be begun.
const RUNS: usize = 3;
/// How many messages come at a time beside it, of each of two kinds.
const OTHERS: i32 = 50;

#[tpro_testkit::test]
async fn a_message_that_kills_its_copy_is_given_up_after_so_many_runs_and_blocks_nobody() -> Outcome {
    for (method, counted) in [("default.abort", 1), ("transactional.abort", 0)] {
        given_up(method, counted).await.map_err(|failure| failure.during(method))?;
    }
    Ok(())
}

/// `counted`: inbox rows after the first run. The first of a transactional handler is not counted, which costs one more.
async fn given_up(method: &str, counted: i64) -> Outcome {
    let world = Rogue::world().await?;
    let main = world.start(world.sidecar("main")?.env("ATTEMPT_TIMEOUT_MS", 300)).await?;
    // Each run ends the process when the test lets it, so that what else is done meanwhile can be looked at.
    let mut hold = Rogue::hold(&world).await?;
    let mut poison = None;
    for run in 1..=RUNS {
        let copy = world.spawn(Rogue::copy(&world, 1)?.env("RUNS_MAX", RUNS))?;
        let id = match poison {
            Some(id) => id,
            None => {
                copy.ready().await?;
                let request = Rogue::request(method, Rogue::held()).timeout(120);
                *poison.insert(world.publish(&request).await?)
            }
        };
        Rogue::waiting(&world, 1).await?;
        // While it is at work, others come and are done.
        let before = world.count("SELECT max(id) FROM main_service.mq_publish").await?;
        others(&world).await?;
        let open = format!(
            "SELECT count(*) FROM main_service.mq_publish p
             WHERE p.id > {before} AND NOT EXISTS (SELECT FROM main_service.mq_reply r WHERE r.mq_id = p.id)"
        );
        eventually("the others are settled", async || Ok(world.count(&open).await? == 0)).await?;
        let outcome = format!("SELECT count(*) FROM main_service.mq_reply WHERE mq_id = {id}");
        assert_eq!(world.count(&outcome).await?, 0, "it is at work yet");
        if run == 1 {
            // These are in hand when the process ends. They are suspect then, and wait until it is done.
            others(&world).await?;
        }
        drop(hold);
        assert_eq!(copy.wait().await?.signal(), Some(Signal::ABORT.as_raw()), "run {run}");
        if run == 1 {
            let inbox = format!(
                "SELECT count(*) FROM rogue_service.mq_receive i JOIN main_service.mq_publish p USING (uid) WHERE p.id = {id}"
            );
            assert_eq!(world.count(&inbox).await?, counted);
        }
        hold = Rogue::hold(&world).await?;
    }
    let copy = world.start(Rogue::copy(&world, 1)?.env("RUNS_MAX", RUNS)).await?;
    let reply = world.await_reply(poison.context("it was published")?).await?;
    assert_eq!((reply.status.as_str(), reply.code()), ("error", -32603), "{reply:?}");
    assert!(reply.error["message"].as_str().is_some_and(|text| text.contains("3 times")), "{reply:?}");
    drop(hold);
    world.recon().await?;
    let ok = "SELECT count(*) FROM main_service.mq_reply WHERE status = 'ok'";
    let all = 2 * i64::from(OTHERS) * (RUNS as i64 + 1);
    assert_eq!((world.count(ok).await?, Rogue::effects(&world).await?), (all, all));
    world.finish(&[&main, &copy]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_message_to_its_own_service_that_kills_each_leader_is_given_up_too() -> Outcome {
    for method in ["default.abort", "transactional.abort"] {
        let world = Rogue::world().await?;
        let session = world.database.connect_as("rogue").await?;
        let request = Rogue::request(method, json!({})).from("rogue").timeout(120);
        let id = request.publish(&session).await?;
        // The copy that sends it dies of it, so that each attempt but the first is another leader's.
        let mut deaths = 0;
        let copy = loop {
            let copy = world.spawn(Rogue::copy(&world, 1)?.env("RUNS_MAX", RUNS))?;
            tokio::select! {
                died = copy.wait() => assert_eq!(died?.signal(), Some(Signal::ABORT.as_raw()), "{method}"),
                reply = Reply::wait(&session, "rogue", id) => {
                    let reply = reply.map_err(|failure| failure.during(method))?;
                    assert_eq!((reply.status.as_str(), reply.code()), ("error", -32603), "{method}: {reply:?}");
                    break copy;
                }
            }
            deaths += 1;
            assert!(deaths <= RUNS, "{method}: it has killed {deaths} copies");
        };
        copy.ready().await?;
        world.finish(&[&copy]).await?;
    }
    Ok(())
}

/// Publishes some that end well.
async fn others(world: &World) -> Outcome {
    for method in ["transactional.effect", "default.tx"] {
        Rogue::request(method, json!({})).timeout(120).publish_many(&world.main, OTHERS).await?;
    }
    Ok(())
}
