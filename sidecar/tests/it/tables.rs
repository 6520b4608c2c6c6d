//! What somebody has done to a service's tables: a copy names it, nothing is lost by it, and nothing else stops.

use std::sync::Arc;

use tpro_testkit::{Message, Outcome, SidecarProcess, World, eventually};

use crate::answerer::Answerer;

/// Waits until a copy is not ready, and says all of these.
async fn says(copy: &Arc<SidecarProcess>, words: &[&str]) -> Outcome {
    eventually(&format!("readiness says {words:?}"), async || {
        let Ok(ready) = copy.get("/readyz").await else { return Ok(false) };
        Ok(ready.status == 503 && words.iter().all(|word| ready.body.contains(word)))
    })
    .await
}

async fn ready_again(copy: &Arc<SidecarProcess>) -> Outcome {
    eventually("it is ready again", async || {
        Ok(copy.get("/readyz").await.is_ok_and(|ready| ready.status == 200))
    })
    .await
}

fn request() -> Message {
    Message::to("old.thing.ask").protocol("json").timeout(60)
}

const SWALLOW: &str = "CREATE FUNCTION public.swallow() RETURNS trigger LANGUAGE plpgsql
        AS 'BEGIN IF NEW.mq_id % 2 = 0 THEN RETURN NULL; END IF; RETURN NEW; END';
     CREATE TRIGGER swallow BEFORE INSERT ON main_service.mq_reply FOR EACH ROW EXECUTE FUNCTION public.swallow()";

#[tpro_testkit::test]
async fn a_trigger_that_swallows_replies_is_named_and_they_are_written_when_it_is_gone() -> Outcome {
    let world = World::options().services(&["main"]).start().await?;
    let _answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    let main = world.run("main").await?;
    world.admin.batch_execute(SWALLOW).await?;
    request().publish_many(&world.main, 20).await?;
    eventually("what the trigger lets through is settled", async || {
        Ok(world.count("SELECT count(*) FROM main_service.mq_reply").await? == 10)
    })
    .await?;
    // A single `DROP TRIGGER` could meet a deadlock with the copy.
    let remedy =
        "BEGIN; LOCK TABLE main_service.mq_reply; DROP TRIGGER swallow ON main_service.mq_reply; COMMIT";
    says(&main, &["replies", "tables", "trigger swallow", remedy]).await?;
    assert_eq!(world.count("SELECT count(*) FROM main_service.mq_reply WHERE mq_id % 2 = 0").await?, 0);
    world.admin.batch_execute(remedy).await?;
    ready_again(&main).await?;
    world.finish(&[&main]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn row_level_security_hides_no_message_from_the_dispatcher() -> Outcome {
    let world = World::options().services(&["main"]).start().await?;
    let _answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    let main = world.run("main").await?;
    world.ask(&request()).await?.ok()?;
    world
        .admin
        .batch_execute(
            "ALTER TABLE main_service.mq_publish ENABLE ROW LEVEL SECURITY;
             CREATE POLICY all_may_insert ON main_service.mq_publish FOR INSERT WITH CHECK (true)",
        )
        .await?;
    // As the superuser, whom no policy concerns; to the sidecar the row would be hidden.
    let id: i64 = world
        .admin
        .query_one(
            "SELECT tpro.publish('old', 'thing', 'ask', protocol => 'json', timeout => 60, sender => 'main')",
            &[],
        )
        .await?
        .get(0);
    says(&main, &["row-level security", "DISABLE ROW LEVEL SECURITY"]).await?;
    assert_eq!(world.count("SELECT count(*) FROM main_service.mq_reply").await?, 1);
    world
        .admin
        .batch_execute(
            "DROP POLICY all_may_insert ON main_service.mq_publish; ALTER TABLE main_service.mq_publish DISABLE ROW LEVEL SECURITY",
        )
        .await?;
    world.await_reply(id).await?.ok()?;
    ready_again(&main).await?;
    world.finish(&[&main]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_missing_bell_is_named_and_messages_go_on() -> Outcome {
    let world = World::options().services(&["main"]).start().await?;
    let _answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    let main = world.run("main").await?;
    world.admin.batch_execute("DROP TRIGGER bell ON main_service.mq_publish").await?;
    says(&main, &["lacks the trigger bell", "CREATE TRIGGER bell"]).await?;
    // By the slow poll.
    world.ask(&request()).await?.ok()?;
    let made = "CREATE TRIGGER bell BEFORE INSERT ON main_service.mq_publish FOR EACH ROW EXECUTE FUNCTION tpro.bell()";
    world.admin.batch_execute(made).await?;
    ready_again(&main).await?;
    world.finish(&[&main]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn rows_that_are_put_back_are_sent_whatever_their_ids() -> Outcome {
    let world = World::options().services(&["main"]).start().await?;
    let _answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    let main = world
        .start(world.sidecar("main")?.env("PARTITION_ROWS", 1_000).env("MAINTENANCE_INTERVAL", 0))
        .await?;
    request().publish_many(&world.main, 2_500).await?;
    eventually("the floor has risen", async || {
        world.ask(&request()).await?;
        Ok(main.metric("tpro_floor").await? >= 1_000.0)
    })
    .await?;
    // Long settled, lost with its reply, and back as it was: by somebody who knows how to get past the trigger.
    world
        .admin
        .batch_execute(
            "CREATE TEMP TABLE kept AS SELECT * FROM main_service.mq_publish WHERE id = 17;
             DELETE FROM main_service.mq_reply WHERE mq_id = 17; DELETE FROM main_service.mq_publish WHERE id = 17;
             SET session_replication_role = replica; INSERT INTO main_service.mq_publish SELECT * FROM kept;
             RESET session_replication_role",
        )
        .await?;
    let resumed = "SELECT tpro.resume('main')";
    eventually("the cursor has passed it", async || Ok(world.count(resumed).await? == 1)).await?;
    world.await_reply(17).await?.ok()?;
    world.finish(&[&main]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_service_that_is_renamed_waits_and_goes_on_when_it_is_renamed_back() -> Outcome {
    let world = World::options().services(&["main"]).start().await?;
    let _answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    let main = world.run("main").await?;
    world.ask(&request()).await?.ok()?;
    world.admin.batch_execute("ALTER SCHEMA main_service RENAME TO away_service").await?;
    says(&main, &["is called away_service", "RENAME TO main_service"]).await?;
    world.admin.batch_execute("ALTER SCHEMA away_service RENAME TO main_service").await?;
    world.ask(&request()).await?.ok()?;
    ready_again(&main).await?;
    world.finish(&[&main]).await?;
    Ok(())
}
