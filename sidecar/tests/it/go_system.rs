//! The Go system on the NATS of tpro, by mistake: its copies would end at a message of tpro.

use serde_json::json;
use tpro_testkit::{GoAnswer, GoCopy, Message, Outcome, World, eventually};

use crate::answerer::Answerer;
use crate::cursor::asleep;
use crate::rogue::Rogue;

/// A copy of the Go system that knows no method.
async fn go_copy(world: &World, service: &str) -> Outcome<GoCopy> {
    GoCopy::start(&world.nats, service, |_| GoAnswer::WrongHandler).await
}

/// Asserts that the Go copy has got questions, and nothing else.
fn was_asked_only(copy: &GoCopy) {
    assert_eq!(copy.panicked(), None);
    let runs = copy.runs();
    assert!(!runs.is_empty());
    for run in runs {
        assert_eq!((run.method.as_str(), run.from_service.as_str(), run.mq_id), ("tpro.probe", "tpro", 0));
        assert!(run.body.is_object(), "{run:?}");
    }
}

#[tpro_testkit::test]
async fn nothing_is_sent_to_the_go_system_and_its_messages_wait_until_its_copies_are_gone() -> Outcome {
    let world = World::demo().await?;
    let _answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    let go = go_copy(&world, "analytic").await?;
    let main = world.run("main").await?;
    let login = Message::to("analytic.example.simple")
        .body(json!({"login": "login342", "password": "phnd26w", "ip": "172.19.0.8"}));
    let id = world.publish(&login).await?;
    world.publish(&Message::to("analytic.example.simple").timeout(0)).await?;
    eventually("the leader says so", async || {
        let ready = main.get("/readyz").await?;
        Ok(ready.status == 503
            && ["tpro.analytic", "docs/migration.md"].iter().all(|word| ready.body.contains(word)))
    })
    .await?;
    assert!(main.log().contains("docs/migration.md"), "{}", main.log());
    // Messages to others pass it.
    world.ask(&Message::to("old.thing.ask").protocol("json")).await?.ok()?;
    // A tpro copy beside it takes nothing either: it is in the same queue group.
    let analytic = world.run("analytic").await?;
    let asked = go.runs().len();
    eventually("it is asked again", async || Ok(go.runs().len() > asked)).await?;
    was_asked_only(&go);
    assert_eq!(world.count("SELECT count(*) FROM main_service.mq_status WHERE status = 'waiting'").await?, 2);

    go.stop().await?;
    world.await_reply(id).await?.ok()?;
    main.ready().await?;
    assert!(main.log().contains("any more"), "{}", main.log());
    world.finish(&[&main, &analytic]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_handler_does_not_call_the_go_system() -> Outcome {
    let world = Rogue::world().await?;
    let go = go_copy(&world, "co").await?;
    let main = world.run("main").await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    let call = json!({"target": "co.example.ask", "body": {}});
    assert_eq!(world.ask(&Rogue::request("default.call", call.clone())).await?.status, "error");
    let refused = "SELECT count(*) FROM rogue_service.mq_reply
        WHERE status = 'unavailable' AND error ->> 'message' LIKE '%the Go system answers for service co%'";
    // The handler makes two calls at once, and gives up at the first that fails.
    eventually("the call is on record", async || Ok(world.count(refused).await? >= 1)).await?;
    was_asked_only(&go);
    go.stop().await?;
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_setting_has_nobody_asked() -> Outcome {
    let world = World::options().services(&["main"]).start().await?;
    let answerer = Answerer::echo(&world.nats, "*.*.tpro.probe").await?;
    let _old = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    let main = world.start(world.sidecar("main")?.env("GO_CHECK", "no")).await?;
    let ask = Message::to("old.thing.ask").protocol("json");
    world.ask(&ask).await?.ok()?;
    assert_eq!(answerer.taken(), 0);
    main.stop().await?;
    let main = world.start(main.sidecar().without("GO_CHECK")).await?;
    for _ in 0..3 {
        world.ask(&ask).await?.ok()?;
    }
    assert_eq!(answerer.taken(), 1, "it is asked once");
    world.finish(&[&main]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn the_bell_rings_where_no_go_copy_listens_and_that_of_an_older_library_is_heard() -> Outcome {
    let world = World::options().services(&["main"]).start().await?;
    let _answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    let main = world.start(world.sidecar("main")?.env("POLL_INTERVAL_MS", 0)).await?;
    let ask = Message::to("old.thing.ask").protocol("json");
    asleep(&world).await?;
    world.ask(&ask).await?.ok()?;
    // A session that has loaded the library of 0.1.0 rings there.
    world.drop_trigger("bell", "main_service.mq_publish").await?;
    asleep(&world).await?;
    let id = world.publish(&ask).await?;
    world.admin.batch_execute("NOTIFY task_for_main_service").await?;
    world.await_reply(id).await?.ok()?;
    world.finish(&[&main]).await?;
    Ok(())
}
