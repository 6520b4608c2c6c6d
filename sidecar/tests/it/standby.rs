//! A synchronous standby that is not there: each COMMIT that writes waits for it.

use serde_json::json;
use tpro_testkit::{Message, Outcome, Postgres, SidecarProcess, World, eventually};

use crate::answerer::Answerer;
use crate::copies::leader;
use crate::rogue::Rogue;

/// A backend that is silent for so long would be taken for frozen.
const SILENCE: i64 = 14;

async fn says_so(copy: &SidecarProcess) -> Outcome {
    eventually(&format!("{} says what it waits for", copy.process().name()), async || {
        let ready = copy.get("/readyz").await?;
        Ok(ready.status == 503 && ready.body.contains("synchronous_standby_names"))
    })
    .await
}

#[tpro_testkit::test]
async fn a_leader_that_waits_for_a_synchronous_standby_leads_on_and_says_what_it_waits_for() -> Outcome {
    let cluster = Postgres::own().start().await?;
    let world = World::options().services(&["main", "rogue"]).cluster(cluster).start().await?;
    world.admin.batch_execute(Rogue::EFFECTS).await?;
    let _answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    let first = world.run("main").await?;
    assert_eq!(leader(&world).await?, 1);
    let second = world.start(world.sidecar("main")?.copy(2)).await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    let request = Message::to("old.thing.ask").protocol("json").timeout(600);
    world.ask(&request).await?.ok()?;
    let backend = "SELECT leader_pid FROM tpro.services WHERE name = 'main'";
    let before: i32 = world.admin.query_one(backend, &[]).await?.get(0);

    world.admin.batch_execute("ALTER SYSTEM SET synchronous_standby_names = 'absent'").await?;
    world.admin.batch_execute("SELECT pg_reload_conf()").await?;
    // Those who publish do not wait for it.
    world.main.batch_execute("SET synchronous_commit = local").await?;
    let id = world.publish(&request).await?;
    let asked = world.publish(&Rogue::request("default.effect", json!({})).timeout(600)).await?;
    let waits = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE pid = {before} AND wait_event = 'SyncRep'
            AND state_change < clock_timestamp() - interval '{SILENCE} seconds'"
    );
    eventually("it waits for longer than a frozen one may", async || Ok(world.count(&waits).await? == 1))
        .await?;
    for copy in [&first, &second, &rogue] {
        says_so(copy).await?;
    }
    let sessions = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
        AND application_name IN ('tpro/main/1/leader', 'tpro/rogue/1/inbox')";
    assert_eq!(world.count(sessions).await?, 2, "no session is given up while it waits");
    assert_eq!(world.admin.query_one(backend, &[]).await?.get::<_, i32>(0), before, "it leads on");
    assert_eq!(second.metric("tpro_deposed_total").await?, 0.0);

    world.admin.batch_execute("ALTER SYSTEM RESET synchronous_standby_names").await?;
    world.admin.batch_execute("SELECT pg_reload_conf()").await?;
    for id in [id, asked] {
        world.await_reply(id).await?.ok()?;
    }
    for copy in [&first, &second, &rogue] {
        copy.ready().await?;
    }
    assert_eq!(first.metric("tpro_takeovers_total").await?, 1.0, "the leader is the same");
    assert_eq!(world.admin.query_one(backend, &[]).await?.get::<_, i32>(0), before);
    world.finish(&[&first, &second, &rogue]).await?;
    Ok(())
}
