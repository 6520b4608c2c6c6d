//! Messages that nobody answers.

use tpro_testkit::{Message, Outcome, World};

#[tpro_testkit::test]
async fn many_events_at_once_do_not_wait_for_each_other() -> Outcome {
    let world = World::options().services(&["main"]).start().await?;
    let main = world.run("main").await?;
    let event = Message::to("old.thing.noted").protocol("json").timeout(0);
    // If the question that settles a batch is lost, each batch takes seconds, and all of them minutes.
    event.publish_many(&world.main, 20_000).await?;
    let recon = world.finish(&[&main]).await?;
    assert_eq!(recon.settled, 20_000);
    Ok(())
}
