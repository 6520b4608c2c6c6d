//! Replies that the database does not take: nothing more is sent, readiness says why, and it goes on by itself.

use tpro_testkit::{Message, Outcome, Reply, SidecarProcess, World, eventually, heard, listen};

use crate::answerer::Answerer;
use crate::cancels::Silent;
use crate::rogue::Rogue;

const SWALLOWED: &str = "takes rows and does not keep them";
const FIRST: &str = "main_service.mq_reply_p000000000000_000001000000";

fn request() -> Message {
    Message::to("old.thing.ask").protocol("json").timeout(600)
}

/// Waits until a copy is not ready for this reason.
async fn complains(copy: &SidecarProcess, reason: &str) -> Outcome {
    eventually(&format!("it is not ready: {reason}"), async || {
        let Ok(ready) = copy.get("/readyz").await else { return Ok(false) };
        Ok(ready.status == 503
            && ready.body.contains("replies cannot be written")
            && ready.body.contains(reason))
    })
    .await
}

#[tpro_testkit::test]
async fn a_leader_that_cannot_settle_sends_nothing_more_and_neither_does_the_next() -> Outcome {
    let world = World::new().await?;
    let answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    let refuse = format!("ALTER TABLE {FIRST} ADD CONSTRAINT too_late CHECK (mq_id < 50)");
    let settings = |copy| Outcome::Ok(world.sidecar("main")?.copy(copy).env("MAINTENANCE_INTERVAL", 0));
    let main = world.start(settings(1)?).await?;
    world.admin.batch_execute(&refuse).await?;
    request().publish_many(&world.main, 1_000).await?;
    complains(&main, "violates check constraint").await?;
    // What can be settled is.
    let settled = "SELECT count(*) FROM main_service.mq_reply";
    eventually("the others are settled", async || Ok(world.count(settled).await? == 49)).await?;
    let sent = main.metric("tpro_sent_total").await?;
    request().publish_many(&world.main, 1_000).await?;
    let tries = main.log().matches("replies cannot be written").count();
    eventually("it tries again", async || {
        Ok(main.log().matches("replies cannot be written").count() > tries + 2)
    })
    .await?;
    assert_eq!(main.metric("tpro_sent_total").await?, sent, "nothing is sent that cannot be settled");
    assert_eq!(main.metric("tpro_takeovers_total").await?, 1.0, "the leader has kept its place");

    let taken = answerer.taken();

    main.kill().await?;
    let next = world.spawn(settings(2)?)?;
    complains(&next, "violates check constraint").await?;
    assert_eq!((next.metric("tpro_sent_total").await?, answerer.taken()), (0.0, taken));

    world.admin.batch_execute(&format!("ALTER TABLE {FIRST} DROP CONSTRAINT too_late")).await?;
    next.ready().await?;
    assert_eq!(world.recon().await?.settled, 2_000);
    // What the first leader had sent and not settled was sent once more, and nothing else.
    assert!(answerer.taken() <= 2_000 + taken - 49, "{} {taken}", answerer.taken());
    world.finish(&[&next]).await?;
    Ok(())
}

/// Makes the database take replies and keep none, until [`keep`].
async fn swallow(world: &World, service: &str) -> Outcome {
    world
        .admin
        .batch_execute(&format!(
            "CREATE FUNCTION public.swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
             CREATE TRIGGER swallow BEFORE INSERT ON {service}_service.mq_reply FOR EACH ROW EXECUTE FUNCTION public.swallow()",
        ))
        .await?;
    Ok(())
}

async fn keep(world: &World, service: &str) -> Outcome {
    world.drop_trigger("swallow", &format!("{service}_service.mq_reply")).await
}

#[tpro_testkit::test]
async fn replies_that_a_trigger_takes_away_are_not_taken_for_written() -> Outcome {
    let world = World::new().await?;
    let _answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    let main = world.start(world.sidecar("main")?).await?;
    world.publish(&request()).await?;
    world.recon().await?;
    swallow(&world, "main").await?;
    let id = world.publish(&request()).await?;
    complains(&main, SWALLOWED).await?;
    keep(&world, "main").await?;
    world.await_reply(id).await?.ok()?;
    main.ready().await?;
    world.finish(&[&main]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_leader_that_takes_over_finds_that_replies_are_taken_away_before_it_sends() -> Outcome {
    let world = World::new().await?;
    let answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    let main = world.run("main").await?;
    world.ask(&request()).await?.ok()?;
    swallow(&world, "main").await?;
    // The newest message has its reply, and nothing waits.
    main.kill().await?;
    let main = world.spawn(main.sidecar())?;
    complains(&main, SWALLOWED).await?;
    // And now a thousand wait.
    request().publish_many(&world.main, 1_000).await?;
    main.kill().await?;
    let main = world.spawn(main.sidecar())?;
    complains(&main, SWALLOWED).await?;
    assert_eq!((main.metric("tpro_sent_total").await?, answerer.taken()), (0.0, 1));
    keep(&world, "main").await?;
    main.ready().await?;
    assert_eq!(world.recon().await?.settled, 1_001);
    assert_eq!(answerer.taken(), 1_001);
    world.finish(&[&main]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_reply_with_a_handler_that_a_trigger_takes_away_is_kept_and_its_handler_does_nothing() -> Outcome {
    let world = Rogue::world().await?;
    let _answerer = Answerer::echo(&world.nats, "tpro.old.thing.noted").await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    swallow(&world, "rogue").await?;
    let noted = Message::to("old.thing.noted").from("rogue").protocol("json").timeout(600);
    let id = noted.publish(&world.database.connect_as("rogue").await?).await?;
    complains(&rogue, SWALLOWED).await?;
    assert_eq!(Rogue::effects(&world).await?, 0);
    keep(&world, "rogue").await?;
    Reply::wait(&world.admin, "rogue", id).await?.ok()?;
    rogue.ready().await?;
    // It was given up with the first try, as with a reply that could not be written with its handler.
    assert!(Rogue::effects(&world).await? <= 1);
    world.finish(&[&rogue]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn no_more_replies_wait_to_be_written_than_may_be_in_flight() -> Outcome {
    const MOST: usize = 100;
    let world = World::new().await?;
    let answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    let silent = Silent::on(&world, "tpro.deaf.thing.ask").await?;
    let main = world.sidecar("main")?.env("IN_FLIGHT_MAX", MOST).env("ATTEMPT_TIMEOUT_MS", 300);
    let main = world.start(main).await?;
    let unanswered = Message::to("deaf.thing.ask").protocol("json").timeout(3_600);
    unanswered.publish_many(&world.main, 5).await?;
    eventually("they are repeated", async || Ok(silent.taken().len() > 5)).await?;
    swallow(&world, "main").await?;
    request().publish_many(&world.main, 1_000).await?;
    complains(&main, SWALLOWED).await?;
    let sent = main.metric("tpro_sent_total").await?;
    // What would be settled without being sent waits in the table, too.
    world
        .main
        .batch_execute(
            "INSERT INTO main_service.mq_publish
                 (protocol, space_name, service_name, entity, method_name, timeout, body, expires_at)
             SELECT 'json', 'tpro', 'old', 'thing', 'ask', 600, '{}', clock_timestamp() + interval '1 ms'
               FROM generate_series(1, 1000)",
        )
        .await?;
    let tries = main.metric("tpro_settle_batch_count").await?;
    eventually("it tries to write them again and again", async || {
        Ok(main.metric("tpro_settle_batch_count").await? > tries + 5.0)
    })
    .await?;
    assert!(answerer.taken() <= MOST, "{} were sent", answerer.taken());
    assert_eq!(main.metric("tpro_sent_total").await?, sent, "nothing is sent, and nothing once more");
    assert!(main.metric("tpro_unsettled").await? <= 1_005.0, "nothing more is read");
    keep(&world, "main").await?;
    main.ready().await?;
    let cancel = "SELECT count(*) FILTER (WHERE tpro.cancel(p.id, 'main')) FROM main_service.mq_publish p
        WHERE p.service_name = 'deaf'";
    assert_eq!(world.count(cancel).await?, 5);
    assert_eq!(world.recon().await?.settled, 2_005);
    assert!(answerer.taken() >= 1_000, "those with an expiry aside");
    world.finish(&[&main]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_reply_whose_partition_went_with_its_message_stops_nothing() -> Outcome {
    let world = World::new().await?;
    let main = world.start(world.sidecar("main")?.env("MAINTENANCE_INTERVAL", 0)).await?;
    // It waits for an answer, is settled by an operator, and goes by retention.
    let waiting = Message::to("late.thing.ask").protocol("json").timeout(600);
    let client = world.nats.client().await?;
    let mut asked = listen(&client, "tpro.late.thing.ask").await?;
    world.publish(&waiting).await?;
    let message = futures_util::StreamExt::next(&mut asked).await.expect("it is sent");
    world
        .admin
        .batch_execute(&format!(
            "INSERT INTO main_service.mq_reply (mq_id, uid, status) SELECT id, uid, 'cancelled' FROM main_service.mq_publish;
             SELECT setval('main_service.mq_publish_id_seq', 1000000);
             DROP TABLE main_service.mq_publish_p000000000000_000001000000, {FIRST}"
        ))
        .await?;
    client.publish(message.reply.expect("it wants an answer"), "{}".into()).await?;
    heard(&client).await?;
    let _answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    let id = world.publish(&request()).await?;
    world.await_reply(id).await?.ok()?;
    main.ready().await?;
    world.finish(&[&main]).await?;
    Ok(())
}
