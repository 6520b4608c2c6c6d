//! What nobody should do: copies with one number, kills in the middle of a start or a stop.

use std::time::Duration;

use serde_json::json;
use tpro_testkit::{Outcome, Signal};

use crate::rogue::Rogue;

#[tpro_testkit::test]
async fn copies_that_share_a_number_share_the_work_too() -> Outcome {
    let world = Rogue::world().await?;
    let mains = [world.run("main").await?, world.run("main").await?];
    let rogues = [world.start(Rogue::copy(&world, 1)?).await?, world.start(Rogue::copy(&world, 1)?).await?];
    for method in ["transactional.effect", "default.tx", "default.effect"] {
        Rogue::request(method, json!({})).publish_many(&world.main, 100).await?;
    }
    let recon = world.recon().await?;
    assert_eq!((recon.settled, Rogue::effects(&world).await?), (300, 300));
    assert!(world.replies("main").await?.iter().all(|reply| reply.status == "ok" && reply.copy() == "1"));
    for rogue in &rogues {
        assert!(rogue.metric("tpro_received_total").await? > 0.0, "each has taken some");
    }
    world.finish(&[&mains[0], &mains[1], &rogues[0], &rogues[1]]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn kills_in_the_middle_of_starts_and_stops_lose_nothing() -> Outcome {
    let world = Rogue::world().await?;
    let keeper = world.start(world.sidecar("main")?.env("ATTEMPT_TIMEOUT_MS", 300)).await?;
    for round in 0..12u32 {
        let request = Rogue::request("transactional.effect", json!({})).timeout(60);
        request.publish_many(&world.main, 20).await?;
        let main = world.spawn(world.sidecar("main")?.copy(2))?;
        let rogue = world.spawn(Rogue::copy(&world, 1)?)?;
        // Somewhere on the way up; in every other round, once it is up, on the way down.
        if round % 2 == 1 {
            rogue.ready().await?;
            rogue.signal(Signal::TERM)?;
            main.ready().await?;
            main.signal(Signal::TERM)?;
        }
        tokio::time::sleep(Duration::from_millis(u64::from(round) * 15)).await;
        for copy in [&main, &rogue] {
            // One that was quick has ended by itself.
            if copy.process().exit()?.is_none() && copy.signal(Signal::KILL).is_ok() {
                copy.wait().await?;
            }
        }
    }
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    let recon = world.recon().await?;
    assert_eq!(recon.settled, 240);
    let replies = world.replies("main").await?;
    assert!(replies.iter().all(|reply| reply.status == "ok"), "{replies:?}");
    assert_eq!(Rogue::effects(&world).await?, 240);
    world.finish(&[&keeper, &rogue]).await?;
    Ok(())
}
