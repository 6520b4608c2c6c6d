//! A waiter is woken by the leader that has committed its reply.

use std::time::Duration;

use tpro_testkit::{Message, Outcome, eventually};

use crate::answerer::Answerer;
use crate::rogue::Rogue;

/// A waiter rests for a minute, so that one who is woken later than this was not woken.
const SOON: Duration = Duration::from_secs(45);

/// Waits for the reply to a message of `rogue`, and looks for it only when something wakes it.
fn waits(id: i64) -> String {
    format!(
        "DO $$ BEGIN
             PERFORM tpro.watch('rogue_service'::regnamespace, ARRAY[{id}]);
             LOOP
                 PERFORM tpro.rest(60);
                 EXIT WHEN EXISTS (SELECT FROM rogue_service.mq_reply WHERE mq_id = {id});
             END LOOP;
         END $$"
    )
}

#[tpro_testkit::test]
async fn a_reply_wakes_its_waiter_whether_the_leader_or_a_handler_has_written_it() -> Outcome {
    const RESTING: &str =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'";
    let world = Rogue::world().await?;
    let _answerers = [
        Answerer::echo(&world.nats, "tpro.old.thing.ask").await?,
        Answerer::echo(&world.nats, "tpro.old.thing.noted").await?,
    ];
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    // Nobody but a reply handler's own session writes the reply to the second.
    for (at, method) in ["ask", "noted"].into_iter().enumerate() {
        let session = world.database.connect_as("rogue").await?;
        let next = i64::try_from(at)? + 1;
        let waiter = tokio::spawn(async move { session.batch_execute(&waits(next)).await });
        eventually("it rests", async || Ok(world.count(RESTING).await? == 1)).await?;
        let id = Message::to(&format!("old.thing.{method}"))
            .from("rogue")
            .protocol("json")
            .publish(&world.admin)
            .await?;
        assert_eq!(id, next);
        tokio::time::timeout(SOON, waiter).await???;
    }
    world.finish(&[&rogue]).await?;
    Ok(())
}
