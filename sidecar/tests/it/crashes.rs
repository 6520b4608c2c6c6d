//! The leader is killed at a named line, and another copy leads.

use std::sync::Arc;

use serde_json::json;
use tpro_testkit::{Kind, Outcome, SidecarProcess, World, eventually};

use crate::copies::leader;
use crate::rogue::Rogue;

/// Two copies of `main`, of which the first leads and stands still at the point when it has passed it so many times.
async fn two_copies(world: &World, point: &str, passes: u32) -> Outcome<[Arc<SidecarProcess>; 2]> {
    let first = world.start(world.sidecar("main")?.stand_still_at(point, passes)).await?;
    assert_eq!(leader(world).await?, 1);
    Ok([first, world.start(world.sidecar("main")?.copy(2)).await?])
}

/// A leader is killed at `point` with one message in its hands that is sent so many times in all; the effect is made once.
async fn killed_at(point: &str, sent: usize) -> Outcome {
    let world = Rogue::world().await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    // One message goes through before, so that everything else is warm.
    let [first, second] = two_copies(&world, point, 1).await?;
    world.ask(&Rogue::request("transactional.effect", json!({}))).await?.ok()?;

    let id = world.publish(&Rogue::request("transactional.effect", json!({})).timeout(60)).await?;
    first.stands_still_at(point).await?;
    let unsettled = "SELECT count(*) FROM main_service.mq_reply";
    assert_eq!(world.count(unsettled).await?, 1, "the leader stands before the reply is there");
    first.kill().await?;

    let reply = world.await_reply(id).await?;
    let made = reply.clone().ok()?;
    assert_eq!(leader(&world).await?, 2);
    let uid = "SELECT uid::text FROM main_service.mq_publish WHERE id = $1";
    let uid: String = world.admin.query_one(uid, &[&id]).await?.get(0);
    assert_eq!((made["number"].as_i64(), Rogue::effects(&world).await?), (Some(1), 2), "one effect each");
    // Attempts are counted anew by each leader.
    assert_eq!(reply.attempts, 1, "{reply:?}");
    eventually("the target has seen it so often", async || {
        let spans = world.collector.spans();
        let served = spans.iter().filter(|span| span.attribute("messaging.message.id") == uid);
        Ok(served.filter(|span| span.kind == Kind::Server).count() == sent)
    })
    .await?;
    let spans = world.collector.spans();
    let last = spans
        .iter()
        .filter(|span| span.kind == Kind::Server && span.attribute("messaging.message.id") == uid)
        .filter_map(|span| span.attribute("tpro.attempt").parse::<u32>().ok())
        .max();
    assert_eq!(last, Some(2), "the next leader says that its attempt is a repeat");
    world.finish(&[&second, &rogue]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_leader_that_is_killed_before_it_sends_leaves_the_row_to_the_next() -> Outcome {
    killed_at("dispatcher.before_send", 1).await
}

#[tpro_testkit::test]
async fn a_leader_that_is_killed_with_the_reply_in_its_hands_has_it_sent_again() -> Outcome {
    killed_at("dispatcher.before_settle", 2).await
}

#[tpro_testkit::test]
async fn what_a_killed_leader_has_sent_is_sent_again_and_is_one_effect() -> Outcome {
    let world = Rogue::world().await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    let [first, second] = two_copies(&world, "none", 0).await?;
    let hold = Rogue::hold(&world).await?;
    let id = world.publish(&Rogue::request("transactional.effect", Rogue::held()).timeout(60)).await?;
    Rogue::waiting(&world, 1).await?;
    first.kill().await?;
    eventually("the next leader has sent it again", async || {
        Ok(second.metric("tpro_sent_total").await? >= 1.0)
    })
    .await?;
    drop(hold);
    assert_eq!(world.await_reply(id).await?.ok()?["number"], 1);
    assert_eq!(Rogue::effects(&world).await?, 1);
    world.finish(&[&second, &rogue]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn what_was_answered_while_nobody_led_is_answered_from_the_inbox() -> Outcome {
    let world = Rogue::world().await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    let main = world.run("main").await?;
    let hold = Rogue::hold(&world).await?;
    let id = world.publish(&Rogue::request("transactional.effect", Rogue::held()).timeout(60)).await?;
    Rogue::waiting(&world, 1).await?;
    main.kill().await?;
    drop(hold);
    eventually("the outcome is stored", async || {
        Ok(world.count("SELECT count(*) FROM rogue_service.mq_outcome").await? == 1)
    })
    .await?;
    let next = world.start(main.sidecar()).await?;
    assert_eq!(world.await_reply(id).await?.ok()?["number"], 1);
    assert_eq!(Rogue::effects(&world).await?, 1);
    eventually("the repeat is a span", async || {
        let spans = world.collector.spans();
        Ok(spans.iter().any(|span| span.service == "rogue" && span.attribute("tpro.repeat") == "true"))
    })
    .await?;
    world.finish(&[&next, &rogue]).await?;
    Ok(())
}
