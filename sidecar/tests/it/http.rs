//! What a copy says of itself over HTTP.

use tpro_testkit::{Message, Outcome, World, eventually};

use crate::answerer::Answerer;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_tells_health_version_and_metrics() -> Outcome {
    let world = World::new().await?;
    let _answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    let main = world.start(world.sidecar("main")?.version("2.73").copy(3)).await?;
    world.ask(&Message::to("old.thing.ask").protocol("json")).await?.ok()?;

    assert_eq!(main.get("/healthz").await?.status, 200);
    assert_eq!(main.get("/readyz").await?.status, 200);
    let version = main.get("/version").await?;
    assert_eq!(version.status, 200);
    assert!(version.body.contains("main") && version.body.contains("2.73"), "{}", version.body);
    let metrics = main.get("/metrics").await?;
    assert_eq!(metrics.status, 200);
    assert!(metrics.body.ends_with("# EOF\n"), "no Prometheus text: {}", metrics.body);
    assert!(metrics.body.lines().any(|line| line.starts_with("tpro_")), "{}", metrics.body);
    assert_eq!(main.get("/nothing").await?.status, 404);

    world.finish(&[&main]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_is_alive_and_not_ready_while_it_is_drained() -> Outcome {
    let world = World::new().await?;
    // Nobody answers, so that the drain has something to wait for.
    let silent = world.nats.client().await?;
    let _requests = silent.subscribe("tpro.old.>").await?;
    silent.flush().await?;
    let main = world.start(world.sidecar("main")?.env("STOP_TIMEOUT", 600)).await?;
    let id = world.publish(&Message::to("old.thing.ask").timeout(8)).await?;
    eventually("the request is on its way", async || {
        Ok(world.nats.monitor("/varz").await?["out_msgs"].as_i64() > Some(0)
            && main.metric("tpro_in_flight").await? > 0.0)
    })
    .await?;
    main.signal(tpro_testkit::Signal::TERM)?;
    eventually("it is not ready", async || Ok(main.get("/readyz").await?.status == 503)).await?;
    assert_eq!(main.get("/healthz").await?.status, 200);
    assert!(main.wait().await?.success());
    // Its budget was over within the drain, or the next leader settles it.
    let next = world.start(main.sidecar()).await?;
    assert_eq!(world.await_reply(id).await?.status, "timeout");
    world.finish(&[&next]).await?;
    Ok(())
}
