//! Messages that end the process that works on them.

use std::os::unix::process::ExitStatusExt;

use serde_json::json;
use tpro_testkit::{Context, Outcome, Signal};

use crate::probe::Probe;

/// How often a message may be begun.
const RUNS: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_kills_its_copy_is_given_up_after_so_many_runs_and_blocks_nobody() -> Outcome {
    for (method, counted) in [("default.abort", 1), ("transactional.abort", 0)] {
        given_up(method, counted).await.map_err(|failure| failure.during(method))?;
    }
    Ok(())
}

/// `counted`: inbox rows after the first run. The first of a transactional handler is not counted, which costs one more.
async fn given_up(method: &str, counted: i64) -> Outcome {
    let world = Probe::world().await?;
    let main = world.start(world.sidecar("main")?.env("ATTEMPT_TIMEOUT_MS", 300)).await?;
    let mut poison = None;
    for run in 1..=RUNS {
        let copy = world.spawn(Probe::copy(&world, 1)?.env("RUNS_MAX", RUNS))?;
        if poison.is_none() {
            copy.ready().await?;
            poison = Some(world.publish(&Probe::request(method, json!({})).timeout(60)).await?);
        }
        assert_eq!(copy.wait().await?.signal(), Some(Signal::ABORT.as_raw()), "run {run}");
        if run == 1 {
            let inbox = "SELECT count(*) FROM probe_service.mq_receive";
            assert_eq!(world.count(inbox).await?, counted);
            // While it comes again and again, others come too, and are in hand when the process ends.
            for method in ["transactional.effect", "default.tx"] {
                Probe::request(method, json!({})).timeout(60).publish_many(&world.main, 100).await?;
            }
        }
    }
    let copy = world.start(Probe::copy(&world, 1)?.env("RUNS_MAX", RUNS)).await?;
    let reply = world.await_reply(poison.context("it was published")?).await?;
    assert_eq!((reply.status.as_str(), reply.code()), ("error", -32603), "{reply:?}");
    assert!(reply.error["message"].as_str().is_some_and(|text| text.contains("3 times")), "{reply:?}");
    world.recon().await?;
    let ok = "SELECT count(*) FROM main_service.mq_reply WHERE status = 'ok'";
    assert_eq!((world.count(ok).await?, Probe::effects(&world).await?), (200, 200));
    world.finish(&[&main, &copy]).await?;
    Ok(())
}
