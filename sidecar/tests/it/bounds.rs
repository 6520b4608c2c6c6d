//! What is too much for the server in between.

use tpro_testkit::{Nats, Outcome, World, eventually};

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
