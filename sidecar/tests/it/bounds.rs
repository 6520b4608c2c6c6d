//! What is too much: of handlers at once, of bytes.

use serde_json::json;
use tpro_testkit::{Nats, Outcome, World, eventually};

use crate::probe::Probe;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_is_overloaded_is_asked_again_later() -> Outcome {
    let world = Probe::world().await?;
    let main = world.run("main").await?;
    let probe = world.start(Probe::copy(&world, 1)?.env("HANDLERS_MAX", 2)).await?;
    Probe::request("default.effect", json!({})).publish_many(&world.main, 300).await?;
    world.recon().await?;
    for reply in world.replies("main").await? {
        assert_eq!(reply.status, "ok", "{reply:?}");
    }
    assert_eq!(Probe::effects(&world).await?, 300);
    world.finish(&[&main, &probe]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_nats_server_that_takes_less_than_a_body_makes_the_copy_not_ready() -> Outcome {
    let nats = Nats::options().line("max_payload: 65536");
    let world = World::options().services(&["main"]).nats(nats).start().await?;
    let main = world.spawn(world.sidecar("main")?)?;
    eventually("it says what is to be changed", async || {
        let Ok(ready) = main.get("/readyz").await else { return Ok(false) };
        Ok(ready.status == 503 && ready.body.contains("max_payload") && ready.body.contains("65536"))
    })
    .await?;
    world.finish(&[&main]).await?;
    Ok(())
}
