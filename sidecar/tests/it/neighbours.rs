//! Two databases with a service of the same name on one NATS: who answers its requests.

use std::sync::Arc;

use futures_util::StreamExt;
use serde_json::json;
use tpro_testkit::{Outcome, Sidecar, SidecarProcess, World, eventually, listen};

use crate::rogue::Rogue;

/// A copy of `rogue` on this database and on that NATS. A database that has gone is believed to have gone after `quiet_ms`.
fn copy(database: &World, nats: &World, number: u32, quiet_ms: u32) -> Outcome<Sidecar> {
    Ok(Rogue::copy(database, number)?
        .env("NATS_URL", nats.nats.url())
        .env("NATS_TOKEN", nats.nats.token())
        .env("FAILPOINTS", format!("serving.quiet_ms=return({quiet_ms})")))
}

/// For ever, as tests go.
const LONG: u32 = 3_600_000;

/// Waits until a copy says that it waits for another database to go.
async fn waits(copy: &SidecarProcess) -> Outcome {
    eventually("it says that it waits", async || {
        let Ok(ready) = copy.get("/readyz").await else { return Ok(false) };
        Ok(ready.status == 503 && ready.body.contains("serving") && ready.body.contains("TPRO_SPACE"))
    })
    .await
    .map_err(|failure| failure.with_log(copy.process().log_path()))
}

/// How many copies are in the queue group.
async fn serving(world: &World) -> Outcome<usize> {
    let page = world.nats.monitor("/subsz?subs=1").await?;
    let list = page["subscriptions_list"].as_array().cloned().unwrap_or_default();
    Ok(list.iter().filter(|subscription| subscription["qgroup"] == "rogue-queue").count())
}

/// Asks so often that every copy in the queue group would get something.
async fn ask(world: &World) -> Outcome {
    for _ in 0..20 {
        world.ask(&Rogue::request("default.effect", json!({}))).await?.ok()?;
    }
    Ok(())
}

#[tpro_testkit::test]
async fn a_database_that_comes_to_one_that_serves_waits_and_names_the_remedy() -> Outcome {
    let (production, staging) = (Rogue::world().await?, Rogue::world().await?);
    let main = production.run("main").await?;
    let first = production.start(copy(&production, &production, 1, LONG)?).await?;
    let newcomers = [
        staging.spawn(copy(&staging, &production, 1, LONG)?)?,
        staging.spawn(copy(&staging, &production, 2, LONG)?)?,
    ];
    for newcomer in &newcomers {
        waits(newcomer).await?;
        let ready = newcomer.get("/readyz").await?.body;
        for word in ["tpro.space", "TPRO_SHARE_SERVICE=yes", "copy rogue/1.0/1"] {
            assert!(ready.contains(word), "{word}: {ready}");
        }
    }
    // A copy of the same database is no obstacle, and no newcomer.
    let second = production.start(copy(&production, &production, 2, LONG)?).await?;
    ask(&production).await?;
    assert_eq!((serving(&production).await?, Rogue::effects(&production).await?), (2, 20));
    // While its only copy restarts nobody takes its place.
    second.stop().await?;
    first.stop().await?;
    for newcomer in &newcomers {
        eventually("it sees that nobody is there", async || {
            Ok(newcomer.get("/readyz").await?.body.contains("It has gone"))
        })
        .await?;
    }
    let first = production.start(first.sidecar()).await?;
    ask(&production).await?;
    assert_eq!((serving(&production).await?, Rogue::effects(&production).await?), (1, 40));
    assert_eq!(Rogue::effects(&staging).await?, 0);
    for newcomer in &newcomers {
        waits(newcomer).await?;
        assert_eq!(newcomer.metric("tpro_received_total").await?, 0.0);
    }
    // In a space of its own it is ready, beside the other.
    newcomers[0].stop().await?;
    let apart = staging.start(newcomers[0].sidecar().env("TPRO_SPACE", "staging")).await?;
    assert_eq!(serving(&production).await?, 2);
    newcomers[1].stop().await?;
    staging.finish(&[&apart]).await?;
    production.finish(&[&main, &first]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn it_serves_when_the_other_has_gone_for_good_and_what_it_publishes_is_sent_before() -> Outcome {
    let (old, new) = (Rogue::world().await?, Rogue::world().await?);
    let first = old.start(copy(&old, &old, 1, 500)?).await?;
    let second = new.spawn(copy(&new, &old, 1, 500)?)?;
    waits(&second).await?;
    // Its own outbox works: the one that serves answers.
    let session = new.database.connect_as("rogue").await?;
    let request = Rogue::request("default.effect", json!({})).from("rogue");
    let id = request.publish(&session).await?;
    tpro_testkit::Reply::wait(&session, "rogue", id).await?.ok()?;
    assert_eq!((Rogue::effects(&old).await?, Rogue::effects(&new).await?), (1, 0));
    first.stop().await?;
    second.ready().await?;
    let id = request.publish(&session).await?;
    tpro_testkit::Reply::wait(&session, "rogue", id).await?.ok()?;
    assert_eq!((Rogue::effects(&old).await?, Rogue::effects(&new).await?), (1, 1));
    // The other way round now.
    let back = old.spawn(first.sidecar())?;
    waits(&back).await?;
    // A stop does not wait for the turn.
    back.stop().await?;
    new.finish(&[&second]).await?;
    old.finish(&[]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn two_databases_share_a_service_if_both_say_so() -> Outcome {
    let (one, two) = (Rogue::world().await?, Rogue::world().await?);
    let share = |sidecar: Sidecar| sidecar.env("TPRO_SHARE_SERVICE", "yes");
    let main = one.run("main").await?;
    let first = one.start(copy(&one, &one, 1, LONG)?).await?;
    let second = two.spawn(share(copy(&two, &one, 2, LONG)?))?;
    waits(&second).await?;
    // A shared one takes its part as soon as the other is started with the same setting.
    first.stop().await?;
    second.stop().await?;
    let first = one.start(share(first.sidecar())).await?;
    let second = two.start(second.sidecar()).await?;
    assert_eq!(serving(&one).await?, 2);
    eventually("both have answered", async || {
        ask(&one).await?;
        Ok(first.metric("tpro_received_total").await? > 0.0
            && second.metric("tpro_received_total").await? > 0.0)
    })
    .await?;
    two.finish(&[&second]).await?;
    one.finish(&[&main, &first]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn of_two_databases_that_begin_at_once_one_serves() -> Outcome {
    let (one, two) = (Rogue::world().await?, Rogue::world().await?);
    for _ in 0..5 {
        let copies = [one.spawn(copy(&one, &one, 1, LONG)?)?, two.spawn(copy(&two, &one, 1, LONG)?)?];
        let waiting = async |copy: &Arc<SidecarProcess>| -> Outcome<Option<bool>> {
            let Ok(ready) = copy.get("/readyz").await else { return Ok(None) };
            Ok((ready.status == 200 || ready.body.contains("TPRO_SPACE")).then_some(ready.status != 200))
        };
        eventually("one serves, and the other waits", async || {
            Ok(matches!(
                (waiting(&copies[0]).await?, waiting(&copies[1]).await?),
                (Some(true), Some(false)) | (Some(false), Some(true))
            ))
        })
        .await?;
        assert_eq!(serving(&one).await?, 1);
        for copy in &copies {
            copy.stop().await?;
        }
    }
    one.finish(&[]).await?;
    two.finish(&[]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn who_serves_goes_on_whatever_anybody_says_and_who_waits_waits_no_longer_than_it_is_said() -> Outcome {
    let world = Rogue::world().await?;
    let main = world.run("main").await?;
    let first = world.start(copy(&world, &world, 1, 500)?).await?;
    let stranger = world.nats.client().await?;
    let mut questions = listen(&stranger, "_TPRO.serve.>").await?;
    let word = json!({"instance": "00000000-0000-0000-0000-000000000000", "state": "serving", "shares": false,
        "copy": "rogue/9.9/9", "release": "9.9.9"});
    let speaks = tokio::spawn(async move {
        while let Some(question) = questions.next().await {
            // Its own questions come to it, too.
            let Some(back) = question.reply.filter(|back| back.starts_with("_INBOX.")) else { continue };
            for payload in [word.to_string(), word.to_string().replace("serving", "joining"), "{".to_owned()]
            {
                let _ = stranger.publish(back.clone(), payload.clone().into()).await;
                let _ = stranger
                    .publish_with_reply("_TPRO.serve.tpro.rogue", "tpro.rogue.default.echo", payload.into())
                    .await;
            }
        }
    });
    // Of its own database somebody serves: it is no newcomer.
    let second = world.start(copy(&world, &world, 2, 500)?).await?;
    ask(&world).await?;
    assert_eq!(first.get("/readyz").await?.status, 200);
    first.stop().await?;
    second.stop().await?;
    let third = world.spawn(copy(&world, &world, 3, 500)?)?;
    waits(&third).await?;
    speaks.abort();
    third.ready().await?;
    ask(&world).await?;
    assert_eq!(
        third.metric_of("tpro_not_run_total", r#"reason="malformed""#).await?,
        0.0,
        "no word came elsewhere"
    );
    world.finish(&[&main, &third]).await?;
    Ok(())
}
