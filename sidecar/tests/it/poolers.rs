//! A pooler in front of the database.

use tpro_testkit::pooler::Pooler;
use tpro_testkit::{Message, Outcome, World, eventually};

use crate::answerer::Answerer;

#[tpro_testkit::test]
async fn a_sidecar_behind_a_pooler_in_transaction_mode_says_that_its_session_is_not_its_own() -> Outcome {
    let world = World::new().await?;
    let _answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    let pooler = Pooler::start(world.database.cluster(), "transaction", &["main"]).await?;
    let url = pooler.role_url(&world.database, "main");
    let pooled = world.spawn(world.sidecar("main")?.copy(2).env("DATABASE_URL", &url))?;
    eventually("it says so", async || {
        let Ok(ready) = pooled.get("/readyz").await else { return Ok(false) };
        Ok(ready.status == 503 && ready.body.contains("pooler in transaction mode"))
    })
    .await?;

    // Publishers may come through it.
    let publisher = tpro_testkit::postgres::connect(&url).await?;
    publisher
        .batch_execute("SELECT tpro.publish('old', 'thing', 'ask', protocol => 'json', sender => 'main')")
        .await?;
    let main = world.run("main").await?;
    world.recon().await?;
    assert!(world.replies("main").await?.iter().all(|reply| reply.status == "ok"));
    assert!(!pooled.log().contains("leads db.pid"), "{}", pooled.log());
    world.finish(&[&main, &pooled]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_pooler_in_transaction_mode_is_known_among_other_clients_too() -> Outcome {
    const CLIENTS: usize = 3;
    /// Looks at the database, each with two new sessions.
    const LOOKS: u32 = 15;
    let world = World::new().await?;
    let pooler = Pooler::start(world.database.cluster(), "transaction", &["main"]).await?;
    let url = pooler.role_url(&world.database, "main");
    // They take and return sessions of the server all the time.
    let mut others = tokio::task::JoinSet::new();
    for _ in 0..CLIENTS {
        let client = tpro_testkit::postgres::connect(&url).await?;
        others.spawn(async move { while client.simple_query("SELECT 1").await.is_ok() {} });
    }
    for copy in 1..=LOOKS {
        let pooled = world.spawn(world.sidecar("main")?.copy(copy).env("DATABASE_URL", &url))?;
        eventually("it has looked", async || Ok(pooled.log().contains("check=\"database\""))).await?;
        let ready = pooled.get("/readyz").await?;
        assert!(ready.body.contains("pooler in transaction mode"), "{}", ready.body);
        assert!(!pooled.log().contains("ready again"), "{}", pooled.log());
        pooled.kill().await?;
    }
    Ok(())
}

#[tpro_testkit::test]
async fn a_sidecar_behind_a_pooler_in_session_mode_works() -> Outcome {
    let world = World::new().await?;
    let _answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    let pooler = Pooler::start(world.database.cluster(), "session", &["main"]).await?;
    let url = pooler.role_url(&world.database, "main");
    let main = world.start(world.sidecar("main")?.env("DATABASE_URL", url)).await?;
    world.ask(&Message::to("old.thing.ask").protocol("json")).await?.ok()?;
    world.finish(&[&main]).await?;
    Ok(())
}
