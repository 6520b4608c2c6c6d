//! What is settled and old goes, and nothing else; nobody waits for it.

use std::time::{Duration, Instant};

use tpro_testkit::{Message, Outcome, Sidecar, Times, World, eventually, eventually::eventually_within};

use crate::answerer::Answerer;
use crate::maintenance::{
    ROWS, by_hand, even, event, fitted, forgetful, loose, maintain, nobody_waited, parts, settle_all,
    stands_at, watched_world,
};

#[tpro_testkit::test]
async fn what_is_settled_goes_by_partitions_and_what_is_not_stays() -> Outcome {
    let world = World::new().await?;
    let main = world.start(forgetful(&world)?).await?;
    fitted(&world, 1_000).await?;
    let waiting = Message::to("gone.thing.ask").protocol("json").timeout(3_600);
    let id = world.publish(&waiting).await?;
    event().publish_many(&world.main, 3_500).await?;
    let rows = "SELECT count(*) FROM main_service.mq_publish WHERE id BETWEEN 1000 AND 2999";
    let replies = rows.replace("mq_publish WHERE id", "mq_reply WHERE mq_id");
    eventually("two ranges have gone, with their replies", async || {
        Ok(world.count(rows).await? == 0
            && world.count(&replies).await? == 0
            && main.metric("tpro_partitions_dropped_total").await? >= 4.0)
    })
    .await?;
    let first = "mq_publish_p000000000000_000000001000".to_owned();
    assert!(parts(&world, "mq_publish").await?.contains(&first), "it has an unsettled message");

    let _answerer = Answerer::echo(&world.nats, "tpro.gone.thing.ask").await?;
    world.await_reply(id).await?.ok()?;
    eventually("the first range has gone", async || Ok(!parts(&world, "mq_publish").await?.contains(&first)))
        .await?;
    even(&world).await?;
    let recon = world.finish(&[&main]).await?;
    assert!(recon.settled <= ROWS, "{recon:?}");
    Ok(())
}

#[tpro_testkit::test]
async fn dedup_keys_go_when_they_are_no_longer_held_and_stay_until_then() -> Outcome {
    let world = World::new().await?;
    let held = "SELECT created FROM tpro.publish_once('held', 'old', 'thing', 'noted', timeout => 0)";
    assert!(world.main.query_one(held, &[]).await?.try_get::<_, bool>(0)?);
    let old = "INSERT INTO main_service.mq_dedup
               SELECT 'old-' || n, n, clock_timestamp() - n * interval '1 second' FROM generate_series(1, 25000) AS n";
    world.admin.batch_execute(old).await?;
    let said = maintain(&world).await?;
    assert!(said.contains("dropped 25000 dedup keys that are no longer held"), "{said}");
    assert_eq!(world.count("SELECT count(*) FROM main_service.mq_dedup").await?, 1);
    assert!(!world.main.query_one(held, &[]).await?.try_get::<_, bool>(0)?);
    let again = maintain(&world).await?;
    assert!(!again.contains("dedup keys"), "{again}");
    Ok(())
}

#[tpro_testkit::test]
async fn without_a_sidecar_publishers_go_on_and_the_ranges_are_put_right_later() -> Outcome {
    let world = World::new().await?;
    let made = maintain(&world).await?;
    assert!(made.contains("made 5 partitions ahead for mq_publish"), "{made}");
    event().publish_many(&world.main, 6_500).await?;
    settle_all(&world).await?;
    event().publish_many(&world.main, 500).await?;
    let over = "SELECT count(*) FROM main_service.mq_publish_rest";
    assert!(world.count(over).await? > 2_000, "the ranges made ahead are full");
    assert!(world.count(&over.replace("publish", "reply")).await? > 1_500);

    // Somebody publishes while it is put right, and never fails.
    let publisher = world.database.connect_as("main").await?;
    let publishing = async {
        for _ in 0..300 {
            event().publish(&publisher).await?;
        }
        Ok(())
    };
    let (said, published): (_, Outcome) = tokio::join!(maintain(&world), publishing);
    published?;
    let mut said = said?;
    // It gives way to publishers, and then does it the next time.
    eventually("the overflow partition is empty", async || {
        if world.count(over).await? + world.count(&over.replace("publish", "reply")).await? == 0 {
            return Ok(true);
        }
        said.push_str(&maintain(&world).await?);
        Ok(false)
    })
    .await?;
    assert!(said.contains("the overflow partition had rows and is now ids from 5000 to below"), "{said}");
    let ids = "SELECT count(*) FROM main_service.mq_publish WHERE id >= 5000";
    assert_eq!(world.count(ids).await?, 2_301, "all are where they were, and the new ones beside them");
    let (messages, replies) = (parts(&world, "mq_publish").await?, parts(&world, "mq_reply").await?);
    assert_eq!(messages.len(), replies.len(), "{messages:?} {replies:?}");
    assert_eq!(loose(&world).await?, 0);

    let main = world.start(forgetful(&world)?).await?;
    event().publish_many(&world.main, 100).await?;
    world.finish(&[&main]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn during_a_long_report_nobody_waits_and_afterwards_all_is_done() -> Outcome {
    let world = watched_world("1s").await?;
    maintain(&world).await?;
    event().publish_many(&world.main, 4_200).await?;
    settle_all(&world).await?;
    let main = world.start(world.sidecar("main")?.env("MAINTENANCE_INTERVAL", 0)).await?;
    let report = world.database.connect().await?;
    report.batch_execute("BEGIN; SELECT count(*) FROM main_service.mq_status").await?;

    let publisher = world.database.connect_as("main").await?;
    let asked = async {
        for _ in 0..200 {
            event().publish(&publisher).await?;
        }
        Ok(())
    };
    let (said, published): (_, Outcome) = tokio::join!(maintain(&world), asked);
    published?;
    let said = said?;
    assert!(said.contains("open transactions use the table"), "{said}");
    assert!(parts(&world, "mq_publish").await?.contains(&"mq_publish_p000000000000_000000001000".to_owned()));
    // What is published meanwhile is sent and settled meanwhile.
    assert_eq!(world.recon().await?.settled, 4_400);
    nobody_waited(&world)?;

    report.batch_execute("COMMIT").await?;
    let said = maintain(&world).await?;
    assert!(said.contains("made ") && said.contains("dropped mq_publish, ids below 1000"), "{said}");
    nobody_waited(&world)?;
    world.finish(&[&main]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_run_that_is_killed_is_finished_by_the_next() -> Outcome {
    let world = World::new().await?;
    maintain(&world).await?;
    event().publish_many(&world.main, 2_500).await?;
    settle_all(&world).await?;
    for (point, passes) in [("maintenance.made", 0), ("maintenance.drop", 0), ("maintenance.drop", 1)] {
        let run = world.spawn(by_hand(&world)?.stand_still_at(point, passes))?;
        stands_at(&run, point).await?;
        // Two at once: the second does nothing.
        let said = maintain(&world).await?;
        assert!(said.contains("another session maintains it"), "{said}");
        run.kill().await?;
    }
    // PostgreSQL ends the session of the killed one when it notices.
    eventually("a run is not the second", async || Ok(maintain(&world).await?.contains("partitions now")))
        .await?;
    assert_eq!(loose(&world).await?, 0);
    let (messages, replies) = (parts(&world, "mq_publish").await?, parts(&world, "mq_reply").await?);
    assert_eq!(messages.len(), replies.len(), "{messages:?} {replies:?}");
    assert_eq!(messages[0], "mq_publish_p000000002000_000000003000");
    world.recon().await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_message_that_is_committed_late_keeps_its_range() -> Outcome {
    let world = World::new().await?;
    maintain(&world).await?;
    let late = world.database.connect_as("main").await?;
    late.batch_execute("BEGIN").await?;
    let id = event().publish(&late).await?;
    event().publish_many(&world.main, 1_500).await?;
    settle_all(&world).await?;
    let said = maintain(&world).await?;
    assert!(said.contains("kept mq_publish, ids below 1000, until later"), "{said}");
    late.batch_execute("PREPARE TRANSACTION 'late'").await?;
    let said = maintain(&world).await?;
    assert!(said.contains("kept mq_publish, ids below 1000, until later"), "{said}");
    late.batch_execute("COMMIT PREPARED 'late'").await?;
    let main = world.start(forgetful(&world)?).await?;
    world.await_reply(id).await?.ok()?;
    eventually("then it goes", async || {
        Ok(parts(&world, "mq_publish").await?[0] == "mq_publish_p000000001000_000000002000")
    })
    .await?;
    even(&world).await?;
    world.finish(&[&main]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_row_that_was_written_to_what_is_detached_brings_it_back_and_is_sent() -> Outcome {
    let world = World::new().await?;
    maintain(&world).await?;
    event().publish_many(&world.main, 1_500).await?;
    settle_all(&world).await?;
    // By release 0.1.0, or by somebody's hand.
    let part = "main_service.mq_publish_p000000000000_000000001000";
    let detach = format!("ALTER TABLE main_service.mq_publish DETACH PARTITION {part} CONCURRENTLY");
    world.admin.batch_execute(&detach).await?;
    world
        .admin
        .batch_execute(&format!("DELETE FROM {part} WHERE id = 7; INSERT INTO {part} (id, protocol, service_name, entity, method_name, timeout) VALUES (7, 'json', 'old', 'thing', 'noted', 0);
             DELETE FROM main_service.mq_reply WHERE mq_id = 7"))
        .await?;
    // The dispatcher is past its transaction by the time it is on again.
    // Nor is it ready: it names what is detached.
    let main = world.spawn(world.sidecar("main")?.env("MAINTENANCE_INTERVAL", 0))?;
    let later = world.publish(&event()).await?;
    world.await_reply(later).await?.ok()?;
    let said = maintain(&world).await?;
    assert!(
        said.contains("attached mq_publish, ids below 1000, again: it was detached, and is unsettled"),
        "{said}"
    );
    world.await_reply(7).await?.ok()?;
    world.finish(&[&main]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_long_read_of_the_replies_and_ids_that_jump_hold_up_nobody() -> Outcome {
    let world = World::new().await?;
    let _answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    let main = world.start(forgetful(&world)?.env("RETENTION", 3_600)).await?;
    fitted(&world, 1_000).await?;
    let request = Message::to("old.thing.ask").protocol("json").timeout(600);
    let reader = world.database.connect().await?;
    reader.batch_execute("BEGIN; SELECT 1 FROM main_service.mq_reply").await?;
    let mut published = 0;
    let ahead = "SELECT count(*) FROM main_service.mq_publish_rest";
    for _ in 0..6 {
        request.publish_many(&world.main, 1_400).await?;
        published += 1_400;
        assert_eq!(world.recon().await?.settled, published, "all is settled while the replies are read");
    }
    assert!(
        world.count(&ahead.replace("publish", "reply")).await? > 3_000,
        "ids have passed what was made ahead"
    );
    let jump = "SELECT setval('main_service.mq_publish_id_seq', last_value + 50000) FROM main_service.mq_publish_id_seq";
    world.admin.batch_execute(jump).await?;
    world.main.batch_execute("BEGIN").await?;
    request.publish_many(&world.main, 5_000).await?;
    world.main.batch_execute("ROLLBACK").await?;
    request.publish_many(&world.main, 100).await?;
    assert_eq!(world.recon().await?.settled, published + 100);

    reader.batch_execute("COMMIT").await?;
    eventually("the overflow partitions are put right", async || {
        Ok(world.count(ahead).await? + world.count(&ahead.replace("publish", "reply")).await? == 0)
    })
    .await?;
    request.publish_many(&world.main, 100).await?;
    assert_eq!(world.recon().await?.settled, published + 200);
    let bounds = "SELECT count(*) FROM pg_constraint WHERE conname = 'tpro_bound'";
    assert_eq!(world.count(bounds).await?, 0);
    let replies = world.replies("main").await?;
    assert!(replies.iter().all(|reply| reply.attempts == 1), "each is sent once");
    assert_eq!(main.metric("tpro_takeovers_total").await?, 1.0);
    world.finish(&[&main]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn partitions_that_somebody_has_dropped_are_made_again() -> Outcome {
    let world = World::new().await?;
    let main = world.start(forgetful(&world)?.env("RETENTION", 3_600)).await?;
    fitted(&world, 1_000).await?;
    let part = "main_service.mq_publish_p000000000000_000000001000";
    let current = [part.to_owned(), part.replace("publish", "reply")].join(", ");
    world.admin.batch_execute(&format!("DROP TABLE {current}")).await?;
    let publisher = world.database.connect_as("main").await?;
    let id = eventually_within(Duration::from_secs(90), "somebody can publish again", async || {
        Ok(event().publish(&publisher).await.ok())
    })
    .await?;
    world.await_reply(id).await?.ok()?;
    eventually("it says so", async || {
        let said = |table: &str| format!("made a partition of {table} for ids below 1000: there was none");
        Ok(main.log().contains(&said("mq_publish")) && main.log().contains(&said("mq_reply")))
    })
    .await?;
    world.finish(&[&main]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_foreign_key_is_named_and_the_other_tables_are_maintained() -> Outcome {
    let world = World::new().await?;
    maintain(&world).await?;
    event().publish_many(&world.main, 1_500).await?;
    settle_all(&world).await?;
    world
        .admin
        .batch_execute(
            "CREATE TABLE public.orders (message bigint CONSTRAINT order_message REFERENCES main_service.mq_publish);
             DROP TABLE main_service.mq_outcome_rest",
        )
        .await?;
    let run = world.spawn(by_hand(&world)?)?;
    assert_eq!(run.wait().await?.code(), Some(1));
    let said = run.log();
    assert!(
        said.contains("foreign key order_message of table") && said.contains("DROP CONSTRAINT order_message"),
        "{said}"
    );
    assert!(said.contains("made a partition of mq_outcome"), "{said}");
    // Not ready before it is mended.
    let main = world.spawn(forgetful(&world)?)?;
    eventually("readiness names it", async || {
        let Ok(ready) = main.get("/readyz").await else { return Ok(false) };
        Ok(ready.status == 503 && ready.body.contains("maintenance") && ready.body.contains("order_message"))
    })
    .await?;
    world.admin.batch_execute("ALTER TABLE public.orders DROP CONSTRAINT order_message").await?;
    main.ready().await?;
    even(&world).await?;
    world.finish(&[&main]).await?;
    Ok(())
}

#[ignore = "slow: make faults"]
#[tpro_testkit::test]
async fn after_a_million_messages_the_tables_are_small_again_and_nobody_has_waited() -> Outcome {
    const PUBLISHERS: u32 = 8;
    const COMMITS: u32 = 12_500;
    const ROWS_EACH: i32 = 10;
    // On two cores that ten processes share a wait of 50 ms for a lock becomes 150 at times: the
    // figure below says what it costs, and this finds who waits for a transaction to end.
    let world = watched_world("1s").await?;
    let settings = |sidecar: Sidecar| {
        sidecar.env("PARTITION_ROWS", 50_000).env("RETENTION", 2).env("MAINTENANCE_INTERVAL", 1)
    };
    // Two copies, so that two want to do it.
    let main = world.start(settings(world.sidecar("main")?)).await?;
    let second = world.start(settings(world.sidecar("main")?.copy(2))).await?;
    fitted(&world, 50_000).await?;
    let waiting = Message::to("gone.thing.ask").protocol("json").timeout(3_600);
    let id = world.publish(&waiting).await?;

    let mut publishers = Vec::new();
    for _ in 0..PUBLISHERS {
        let session = world.database.connect_as("main").await?;
        publishers.push(tokio::spawn(async move {
            let mut times = Vec::new();
            for _ in 0..COMMITS {
                let at = Instant::now();
                event().publish_many(&session, ROWS_EACH).await?;
                times.push(at.elapsed());
            }
            Outcome::Ok(times)
        }));
    }
    let mut times = Times::of(format!("a commit of {ROWS_EACH} messages among {PUBLISHERS} publishers"));
    for publisher in publishers {
        publisher.await??.into_iter().for_each(|taken| times.add(taken));
    }
    times.report();
    eventually_within(Duration::from_secs(900), "the tables are small again", async || {
        // The range of the one that waits, and the last one.
        let small = parts(&world, "mq_publish").await?.len() <= 2 + 4 + 1
            && world.count("SELECT count(*) FROM main_service.mq_publish").await? <= 100_000;
        Ok(small.then_some(()))
    })
    .await?;
    even(&world).await?;
    let size = "SELECT sum(pg_total_relation_size(inhrelid))::bigint FROM pg_inherits
         WHERE inhparent IN ('main_service.mq_publish'::regclass, 'main_service.mq_reply'::regclass)";
    let (rows, bytes) =
        (world.count("SELECT count(*) FROM main_service.mq_publish").await?, world.count(size).await?);
    println!("after 1,000,000 messages: {rows} rows and {} MB are left", bytes / 1_000_000);
    nobody_waited(&world)?;
    // The one that nobody answered has kept its range, and is answered yet.
    let _answerer = Answerer::echo(&world.nats, "tpro.gone.thing.ask").await?;
    world.await_reply(id).await?.ok()?;
    world.finish(&[&main, &second]).await?;
    Ok(())
}
