//! Another copy leads: what the one before still says, and how long it takes as a user sees it.

use std::time::Instant;

use serde_json::json;
use tpro_testkit::{Message, Outcome, Signal, Times, World, eventually};

use crate::answerer::Answerer;
use crate::copies::leader;

#[tpro_testkit::test]
async fn a_leader_that_is_none_any_more_says_that_it_has_nothing_in_hand() -> Outcome {
    let world = World::new().await?;
    let first = world.run("main").await?;
    assert_eq!(leader(&world).await?, 1);
    let second = world.start(world.sidecar("main")?.copy(2).env("LEAD_INTERVAL_MS", 50)).await?;
    // Nobody answers, so that it has them in hand for a while.
    Message::to("old.thing.ask").timeout(3).publish_many(&world.main, 150).await?;
    eventually("the first has them in hand", async || {
        Ok(first.metric("tpro_unsettled").await? == 150.0 && first.metric("tpro_in_flight").await? > 0.0)
    })
    .await?;

    // Whoever asks first leads; sooner or later it is the one that asks more often.
    eventually("the second leads", async || {
        if leader(&world).await? == 2 {
            return Ok(true);
        }
        world.admin.execute(TERMINATE_LEADER, &[]).await?;
        Ok(false)
    })
    .await?;
    for gauge in ["tpro_leading", "tpro_unsettled", "tpro_waiting", "tpro_in_flight", "tpro_asleep"] {
        eventually(&format!("{gauge} is 0"), async || Ok(first.metric(gauge).await? == 0.0)).await?;
    }
    world.finish(&[&first, &second]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_leader_that_is_stopped_in_the_middle_of_a_read_hands_over_at_once() -> Outcome {
    let world = World::new().await?;
    let _answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    let first = world.start(world.sidecar("main")?.env("POLL_INTERVAL_MS", 50)).await?;
    assert_eq!(leader(&world).await?, 1);
    let second = world.start(world.sidecar("main")?.copy(2)).await?;

    // Its read waits for the table, and will then be far more than the buffers of a connection hold.
    let publisher = world.database.connect().await?;
    publisher.batch_execute("BEGIN; LOCK TABLE main_service.mq_publish IN ACCESS EXCLUSIVE MODE").await?;
    let big = Message::to("old.thing.ask").protocol("json").body(json!({"padding": "x".repeat(5_000)}));
    big.publish_many(&publisher, 400).await?;
    eventually("the leader's read waits", async || {
        // The view of the services would wait for the table itself.
        let waits = "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
                     WHERE NOT l.granted AND a.application_name = 'tpro/main/1/leader' AND a.datname = current_database()";
        Ok(world.count(waits).await? > 0)
    })
    .await?;
    first.signal(Signal::TERM)?;
    eventually("it stops", async || Ok(first.log().contains("SIGTERM: stopping"))).await?;
    publisher.batch_execute("COMMIT").await?;

    assert!(first.wait().await?.success());
    assert!(first.log().contains("handed over"), "it says where to go on");
    // The server may take a moment to notice that the first is gone.
    eventually("the second leads", async || Ok(leader(&world).await? == 2)).await?;
    world.finish(&[&second]).await?;
    assert!(!second.log().contains("was frozen"), "nobody had to end the session of the first");
    Ok(())
}

const TERMINATE_LEADER: &str =
    "SELECT pg_terminate_backend(leader_pid) FROM tpro.services WHERE name = 'main'";

#[ignore = "slow: make faults"]
#[tpro_testkit::test]
async fn fifty_killed_leaders_are_followed_by_others_and_nothing_is_lost() -> Outcome {
    let world = World::new().await?;
    let _answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    let mut copies = [world.run("main").await?, world.start(world.sidecar("main")?.copy(2)).await?];
    let request = Message::to("old.thing.ask").protocol("json");
    let mut times = Times::of("from SIGKILL of the leader to the reply of a message published then");
    for _ in 0..50 {
        let leads = leader(&world).await?;
        let killed = &mut copies[leads as usize - 1];
        let begun = Instant::now();
        killed.signal(Signal::KILL)?;
        world.ask(&request).await?.ok()?;
        times.add(begun.elapsed());
        killed.wait().await?;
        assert_ne!(leader(&world).await?, leads, "the killed one leads no more");
        *killed = world.start(killed.sidecar()).await?;
    }
    times.report();
    let recon = world.finish(&copies.each_ref()).await?;
    assert_eq!(recon.settled, 50);
    Ok(())
}

#[ignore = "slow: make faults"]
#[tpro_testkit::test]
async fn frozen_leaders_are_followed_by_others_and_nothing_is_lost() -> Outcome {
    let world = World::new().await?;
    let _answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    let copies = [world.run("main").await?, world.start(world.sidecar("main")?.copy(2)).await?];
    let request = Message::to("old.thing.ask").protocol("json").timeout(60);
    let mut times = Times::of("from SIGSTOP of the leader to the reply of a message published then");
    for _ in 0..5 {
        let leads = leader(&world).await?;
        let frozen = &copies[leads as usize - 1];
        let begun = Instant::now();
        frozen.signal(Signal::STOP)?;
        world.ask(&request).await?.ok()?;
        times.add(begun.elapsed());
        assert_ne!(leader(&world).await?, leads, "the frozen one leads no more");
        frozen.signal(Signal::CONT)?;
        frozen.ready().await?;
    }
    times.report();
    let recon = world.finish(&copies.each_ref()).await?;
    assert_eq!(recon.settled, 5);
    Ok(())
}
