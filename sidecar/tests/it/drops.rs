//! The schema of a service is dropped while the service works.

use tpro_testkit::{Message, Outcome, World, eventually};

use crate::answerer::Answerer;

#[tpro_testkit::test]
async fn a_service_whose_schema_is_dropped_says_so_once_and_stops() -> Outcome {
    let world = World::options().services(&["main"]).start().await?;
    // Not one of the world's own services: nothing of it is there for the oracle.
    world.database.create_service("analytic").await?;
    let _answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    let main = world.run("main").await?;
    let copies = [
        world.start(world.sidecar("analytic")?).await?,
        world.start(world.sidecar("analytic")?.copy(2)).await?,
    ];
    let session = world.database.connect_as("analytic").await?;
    let request = Message::to("old.thing.ask").protocol("json").from("analytic");
    // Somebody publishes all the time, until there is nothing to publish into.
    let load = tokio::spawn(async move {
        let mut published = 0;
        while request.publish(&session).await.is_ok() {
            published += 1;
        }
        published
    });
    eventually("it works", async || {
        Ok(world.count("SELECT count(*) FROM analytic_service.mq_reply").await? >= 100)
    })
    .await?;

    let waiting = Message::to("nobody.thing.ask").timeout(600).from("analytic");
    waiting.publish(&world.database.connect_as("analytic").await?).await?;
    let refused = world.admin.batch_execute("SELECT tpro.drop_service('analytic')").await;
    let refused = refused.expect_err("a message waits");
    assert_eq!(refused.code().map(|code| code.code()), Some("55006"), "{refused}");
    assert!(copies[0].process().exit()?.is_none() && copies[1].process().exit()?.is_none());

    world.admin.batch_execute("SELECT tpro.drop_service('analytic', true)").await?;
    assert!(load.await? >= 100);
    for copy in &copies {
        let exit = copy.wait().await?;
        assert_eq!(exit.code(), Some(1), "{exit}");
        let said =
            copy.log().lines().filter(|line| line.contains("the schema analytic_service is gone")).count();
        assert!((1..=2).contains(&said), "once in the log and once as the last word, not {said} times");
    }

    // One that is started again, as a supervisor would, waits for the schema and neither ends nor starts again.
    let again = world.spawn(copies[0].sidecar())?;
    eventually("it says what is missing", async || {
        let Ok(ready) = again.get("/readyz").await else { return Ok(false) };
        Ok(ready.status == 503 && ready.body.contains("tpro.create_service"))
    })
    .await?;
    assert_eq!(again.get("/healthz").await?.status, 200);
    // Others have not felt it, and when the schema is there the service works.
    world.ask(&Message::to("old.thing.ask").protocol("json")).await?.ok()?;
    world.database.create_service("analytic").await?;
    again.ready().await?;
    let session = world.database.connect_as("analytic").await?;
    let id = Message::to("old.thing.ask").protocol("json").from("analytic").publish(&session).await?;
    tpro_testkit::Reply::wait(&session, "analytic", id).await?.ok()?;
    world.finish(&[&main, &again]).await?;
    Ok(())
}
