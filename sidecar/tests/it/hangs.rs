//! Handlers that never end.

use serde_json::json;
use tpro_testkit::{Outcome, eventually};

use crate::rogue::Rogue;

/// Each that hangs, in async code and in the database.
const HANGING: [&str; 4] = ["default.hang", "default.sleep", "transactional.hang", "transactional.sleep"];

#[tpro_testkit::test]
async fn a_handler_that_hangs_is_stopped_when_the_budget_is_spent() -> Outcome {
    let world = Rogue::world().await?;
    let main = world.run("main").await?;
    let rogue = world.start(Rogue::copy(&world, 1)?.env("DB_POOL_MAX", 2)).await?;
    for _ in 0..3 {
        for method in HANGING {
            world.publish(&Rogue::request(method, json!({})).timeout(1)).await?;
        }
    }
    world.recon().await?;
    for reply in world.replies("main").await? {
        // Either side may be the first to see that the time is over.
        let over = reply.status == "timeout" || (reply.status == "error" && reply.code() == -32002);
        assert!(over, "{reply:?}");
    }
    eventually("each was stopped", async || {
        Ok(rogue.metric_of("tpro_handled_total", r#"result="late""#).await? == 12.0)
    })
    .await?;

    // Nothing runs on or is left open, and the pool is whole.
    let busy = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
        AND application_name LIKE 'tpro/rogue/%' AND (state <> 'idle' OR xact_start IS NOT NULL)";
    eventually("no statement and no transaction is left", async || Ok(world.count(busy).await? == 0)).await?;
    assert_eq!(Rogue::effects(&world).await?, 0, "what they had done is undone");
    for _ in 0..4 {
        for method in ["default.effect", "transactional.effect"] {
            world.ask(&Rogue::request(method, json!({}))).await?.ok()?;
        }
    }
    let pool = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
        AND application_name = 'tpro/rogue/1/pool'";
    assert!(world.count(pool).await? <= 2);
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}
