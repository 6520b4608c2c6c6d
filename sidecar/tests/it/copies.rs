//! Several copies of a service.

use std::collections::BTreeMap;

use tpro_testkit::{Message, Outcome, Signal, World, eventually, eventually_some};

use crate::answerer::Answerer;
use crate::login;

const REQUESTS: i32 = 1_000;

#[tpro_testkit::test]
async fn two_copies_share_the_requests_and_each_is_answered_once() -> Outcome {
    let world = World::demo().await?;
    let main = world.run("main").await?;
    let first = world.run("analytic").await?;
    let second = world.start(world.sidecar("analytic")?.copy(2).version("2.73")).await?;

    login::request("request_with_parallel_queries").publish_many(&world.main, REQUESTS).await?;
    world.recon().await?;

    let mut answered = BTreeMap::<_, i32>::new();
    for reply in world.replies("main").await? {
        assert_eq!(reply.status, "ok", "{reply:?}");
        *answered.entry(reply.responder.unwrap_or_default()).or_default() += 1;
    }
    assert_eq!(answered.keys().collect::<Vec<_>>(), ["analytic/1.0/1", "analytic/2.73/2"]);
    // How evenly is for the server, and for whichever process gets the CPU: but neither does nearly all.
    assert!(answered.values().all(|count| *count >= REQUESTS / 20), "{answered:?}");
    assert_eq!(world.count("SELECT count(*) FROM analytic_service.mq_outcome").await?, i64::from(REQUESTS));

    world.finish(&[&main, &first, &second]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn the_stop_of_a_copy_under_load_is_seen_by_no_requester() -> Outcome {
    let world = World::demo().await?;
    let main = world.run("main").await?;
    let first = world.run("analytic").await?;
    let second = world.start(world.sidecar("analytic")?.copy(2)).await?;

    let request = login::request("request_with_parallel_queries");
    request.publish_many(&world.main, REQUESTS).await?;
    some_settled(&world, 100).await?;
    // What it answers next cannot be stored for a while, so that the signal finds it at work.
    let held = world.database.connect().await?;
    held.batch_execute("BEGIN; LOCK TABLE analytic_service.mq_outcome IN SHARE MODE").await?;
    request.publish_many(&world.main, REQUESTS).await?;
    eventually("it is at work", async || Ok(second.metric("tpro_handlers_at_work").await? > 0.0)).await?;
    second.signal(Signal::TERM)?;
    eventually("it drains", async || Ok(second.get("/readyz").await?.status == 503)).await?;
    assert!(second.metric("tpro_handlers_at_work").await? > 0.0, "it was stopped with work in hand");
    assert!(unsettled(&world).await? > 0, "under load");
    held.batch_execute("COMMIT").await?;
    assert_eq!(second.wait().await?.code(), Some(0), "everything in hand was finished");
    request.publish_many(&world.main, 50).await?;

    world.recon().await?;
    for reply in world.replies("main").await? {
        assert_eq!(reply.status, "ok", "{reply:?}");
    }
    world.finish(&[&main, &first]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn another_copy_leads_when_the_leader_is_killed_and_nothing_is_lost() -> Outcome {
    let world = World::new().await?;
    let answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    let first = world.run("main").await?;
    let second = world.start(world.sidecar("main")?.copy(2)).await?;
    let request = Message::to("old.thing.ask").protocol("json");

    let leader = leader(&world).await?;
    let (killed, other) = if leader == 1 { (first, second) } else { (second, first) };
    request.publish_many(&world.main, 5_000).await?;
    some_settled(&world, 100).await?;
    killed.kill().await?;
    request.publish_many(&world.main, 100).await?;

    let recon = world.recon().await?;
    assert_eq!(recon.settled, 5_100);
    assert!(answerer.taken() >= 5_100);
    assert!(world.replies("main").await?.iter().all(|reply| reply.status == "ok"));
    assert_ne!(self::leader(&world).await?, leader);

    // The killed one comes back as a follower and takes no part.
    let back = world.start(killed.sidecar()).await?;
    world.ask(&request).await?.ok()?;
    assert_ne!(self::leader(&world).await?, leader);
    world.finish(&[&other, &back]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn eight_copies_that_start_at_once_have_one_leader() -> Outcome {
    let world = World::new().await?;
    let answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    Message::to("old.thing.ask").protocol("json").publish_many(&world.main, 500).await?;
    let mut copies = Vec::new();
    for number in 1..=8 {
        let copy = world.sidecar("main")?.copy(number).env("ATTEMPT_TIMEOUT_MS", 60_000);
        copies.push(world.spawn(copy)?);
    }
    for copy in &copies {
        copy.ready().await?;
    }
    world.recon().await?;
    assert_eq!(answerer.taken(), 500, "each row was sent once");
    let (mut leading, mut takeovers) = (0.0, 0.0);
    for copy in &copies {
        leading += copy.metric("tpro_leading").await?;
        takeovers += copy.metric("tpro_takeovers_total").await?;
    }
    assert_eq!((leading, takeovers), (1.0, 1.0), "one copy leads, and no other has");
    world.finish(&copies.iter().collect::<Vec<_>>()).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn the_leader_hands_over_when_it_is_stopped() -> Outcome {
    let world = World::new().await?;
    let answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    let first = world.run("main").await?;
    assert_eq!(leader(&world).await?, 1);
    let second = world.start(world.sidecar("main")?.copy(2)).await?;
    let request = Message::to("old.thing.ask").protocol("json");
    request.publish_many(&world.main, 2_000).await?;
    some_settled(&world, 50).await?;
    first.stop().await?;
    request.publish_many(&world.main, 50).await?;
    let recon = world.recon().await?;
    assert_eq!(recon.settled, 2_050);
    assert_eq!(leader(&world).await?, 2);
    assert_eq!(
        answerer.taken(),
        2_050,
        "a leader that stops waits for its replies, so that nothing is sent twice"
    );
    world.finish(&[&second]).await?;
    Ok(())
}

/// Waits until the service `main` has so many replies.
async fn some_settled(world: &World, count: i64) -> Outcome {
    eventually(&format!("{count} rows are settled"), async || {
        Ok(world.count("SELECT count(*) FROM main_service.mq_reply").await? >= count)
    })
    .await
}

/// How many rows of the service `main` have no reply.
pub async fn unsettled(world: &World) -> Outcome<i64> {
    world
        .count(
            "SELECT count(*) FROM main_service.mq_publish p
             WHERE NOT EXISTS (SELECT FROM main_service.mq_reply r WHERE r.mq_id = p.id)",
        )
        .await
}

/// The number of the copy that leads `main`; waits until there is one.
pub async fn leader(world: &World) -> Outcome<u32> {
    eventually_some("a copy of main leads", async || {
        let row = world
            .admin
            .query_opt(
                "SELECT split_part(a.application_name, '/', 3) FROM tpro.services s
                 JOIN pg_stat_activity a ON a.pid = s.leader_pid WHERE s.name = 'main'",
                &[],
            )
            .await?;
        Ok(row.and_then(|row| row.get::<_, String>(0).parse().ok()))
    })
    .await
}
