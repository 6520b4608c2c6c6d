//! Releases: the copies of a service are replaced one after the other while it is asked.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use serde_json::json;
use tpro_testkit::{Outcome, Sidecar, Times, World};

use crate::load::Load;
use crate::rogue::Rogue;

const RESTARTS: usize = 50;

#[ignore = "slow: make faults"]
#[tpro_testkit::test]
async fn fifty_rolling_restarts_of_the_target_are_seen_by_no_requester() -> Outcome {
    let world = Rogue::world().await?;
    let main = world.run("main").await?;
    roll(&world, Rogue::copy, RESTARTS).await?;
    let answered = answered_by(&world).await?;
    assert!(answered.len() >= RESTARTS / 2, "many releases have answered: {answered:?}");
    world.finish(&[&main]).await?;
    Ok(())
}

#[ignore = "slow: make faults"]
#[tpro_testkit::test]
async fn fifty_rolling_restarts_of_the_sender_are_seen_by_no_requester() -> Outcome {
    let world = Rogue::world().await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    roll(&world, |world, number| Ok(world.sidecar("main")?.copy(number)), RESTARTS).await?;
    world.finish(&[&rogue]).await?;
    Ok(())
}

/// Starts two copies and replaces the older one again and again, under load, as `make roll-NAME` does: the new one beside them,
/// and when it is ready the old one is drained. The last two are stopped at the end.
async fn roll(world: &World, copy: impl Fn(&World, u32) -> Outcome<Sidecar>, restarts: usize) -> Outcome {
    let mut copies =
        VecDeque::from([world.start(copy(world, 1)?).await?, world.start(copy(world, 2)?).await?]);
    let kinds = ["default.echo", "transactional.effect"].map(|method| Rogue::request(method, json!({})));
    let load = Load::start(world, kinds.to_vec()).await?;
    for release in 1..=restarts {
        // Of three numbers one is free.
        let number = ((release + 1) % 3) as u32 + 1;
        copies.push_back(world.start(copy(world, number)?.version(&format!("2.{release}"))).await?);
        // Anything but exit code 0 is a failure.
        if let Some(oldest) = copies.pop_front() {
            oldest.stop().await?;
        }
        // The next goes when this one is seen to work, as a careful person does it.
        world.ask(&Rogue::request("default.echo", json!({}))).await?.ok()?;
    }
    let published = load.stop().await?;
    let recon = world.recon().await?;
    assert!(published >= restarts as i64 && recon.settled >= published + restarts as i64);
    for reply in world.replies("main").await? {
        assert_eq!(reply.status, "ok", "{reply:?}");
    }
    let effects = Rogue::effects(world).await?;
    assert_eq!(effects, published / 2, "each transactional message has had its effect once");
    println!("{restarts} rolling restarts under {published} messages: no requester has seen an error");
    print_latency(world).await?;
    for copy in copies {
        copy.stop().await?;
        // Each hands over by itself: nobody has to end the session of another, and none waits for its limit.
        for trouble in ["was frozen", "did not stop in time"] {
            assert!(!copy.log().contains(trouble), "{trouble}");
        }
    }
    Ok(())
}

/// How long the messages took from their publish to their reply.
async fn print_latency(world: &World) -> Outcome {
    let ages = "SELECT extract(epoch FROM r.replied_at - p.created_at)::float8 FROM main_service.mq_publish p
                JOIN main_service.mq_reply r ON r.mq_id = p.id";
    let mut times = Times::of("from publish to reply during rolling restarts");
    for row in world.admin.query(ages, &[]).await? {
        // Both are times of clocks, of which one may be set back.
        times.add(Duration::from_secs_f64(f64::max(row.get(0), 0.0)));
    }
    times.report();
    Ok(())
}

async fn answered_by(world: &World) -> Outcome<BTreeSet<String>> {
    Ok(world.replies("main").await?.into_iter().filter_map(|reply| reply.responder).collect())
}
