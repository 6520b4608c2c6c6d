//! Messages that are sent later go at their time and not before, also when another copy leads by
//! then.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;
use tpro_testkit::eventually::eventually_within;
use tpro_testkit::{Context as _, Message, Outcome, Reply, SidecarProcess, Times, World, eventually};

use crate::answerer::Answerer;
use crate::labels::Listener;

/// Rows that wait for tomorrow.
const MANY: i64 = 1_000_000;
/// The most memory that a leader may ever have had, in bytes.
const MEMORY: u64 = 64 << 20;

fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}

/// Answers each message with the milliseconds by which it came after its time.
async fn clock(world: &World) -> Outcome<Answerer> {
    Answerer::start(&world.nats, "tpro.old.thing.ask", |body| {
        (now_ms() - body["due"].as_i64().unwrap_or(i64::MAX)).to_string()
    })
    .await
}

/// Publishes a message that is to be sent so many milliseconds from now.
async fn publish(world: &World, ms: i64) -> Outcome<i64> {
    let publish = "SELECT tpro.publish('old'::text, 'thing', 'ask', jsonb_build_object('due', floor(extract(epoch FROM d.due) * 1000)),
                                       protocol => 'json', send_at => d.due, sender => 'main')
                     FROM (SELECT clock_timestamp() + $1::bigint * interval '1 millisecond' AS due) d";
    Ok(world.main.query_one(publish, &[&ms]).await?.try_get(0)?)
}

/// The milliseconds by which a message came after its time.
async fn late(world: &World, id: i64) -> Outcome<i64> {
    let reply: Reply = world.await_reply(id).await?;
    assert_eq!(reply.status, "ok", "{reply:?}");
    reply.result.as_i64().context("the answer is a number")
}

async fn world() -> Outcome<World> {
    World::options().services(&["main"]).start().await
}

#[tpro_testkit::test]
async fn a_message_is_sent_at_its_time_and_not_before() -> Outcome {
    let world = world().await?;
    let target = clock(&world).await?;
    let main = world.run("main").await?;
    let far = publish(&world, 7_200_000).await?;
    let mut waiting = Vec::new();
    for ms in [900, 300, 600, 0, -5_000] {
        waiting.push(publish(&world, ms).await?);
    }
    for id in waiting {
        assert!(late(&world, id).await? >= 0, "message {id} was sent early");
    }
    assert_eq!((target.taken(), main.metric("tpro_sent_due_total").await?), (5, 5.0));
    let status = format!("SELECT count(*) FROM main_service.mq_status WHERE id = {far} AND status = 'later'");
    assert_eq!(world.count(&status).await?, 1);
    main.stop().await?;
    Ok(())
}

#[tpro_testkit::test]
async fn what_is_due_while_nobody_leads_is_sent_by_the_next_leader_and_once() -> Outcome {
    let world = world().await?;
    let target = clock(&world).await?;
    let first = world.run("main").await?;
    let mut waiting = Vec::new();
    for ms in 0..200 {
        waiting.push(publish(&world, 5 * ms).await?);
    }
    // In the middle of them.
    eventually("some are sent", async || Ok(target.taken() > 20)).await?;
    first.kill().await?;
    let due = "SELECT count(*) FROM main_service.mq_later WHERE send_at > now()";
    eventually("the time of the others has come", async || Ok(world.count(due).await? == 0)).await?;
    let second = world.run("main").await?;
    for id in waiting {
        assert!(late(&world, id).await? >= 0, "message {id} was sent early");
    }
    assert_eq!(world.count("SELECT count(*) FROM main_service.mq_later").await?, 0);
    second.stop().await?;
    Ok(())
}

/// A prepared transaction tells nobody. What is due in more than a minute is told to nobody either.
#[tpro_testkit::test]
async fn what_nobody_has_told_of_is_found_by_looking() -> Outcome {
    let world = world().await?;
    let _target = clock(&world).await?;
    let id = publish(&world, 3_600_000).await?;
    let main = world.run("main").await?;
    eventually("the leader has looked and sleeps", async || Ok(main.metric("tpro_asleep").await? == 1.0))
        .await?;
    // As if it had been published so at first.
    world.admin.batch_execute("UPDATE main_service.mq_later SET send_at = now()").await?;
    let reply = eventually_within(Duration::from_secs(120), "it is answered", async || {
        let answered =
            format!("SELECT count(*) FROM main_service.mq_reply WHERE mq_id = {id} AND status = 'ok'");
        Ok((world.count(&answered).await? == 1).then_some(()))
    });
    reply.await?;
    main.stop().await?;
    Ok(())
}

#[tpro_testkit::test]
async fn an_id_of_long_ago_is_read_at_once_and_surprises_nobody() -> Outcome {
    let world = world().await?;
    let _target = clock(&world).await?;
    let sidecar = world.sidecar("main")?.env("PARTITION_ROWS", 1_000).env("MAINTENANCE_INTERVAL", 0);
    let main = world.start(sidecar).await?;
    let id = publish(&world, 3_600_000).await?;
    let other = Message::to("old.thing.ask").protocol("json").body(json!({"due": 0}));
    other.publish_many(&world.main, 1_100).await?;
    eventually("reads leave out the partition of its id", async || {
        world.ask(&other).await?;
        Ok(main.metric("tpro_floor").await? >= 1_000.0)
    })
    .await?;
    world
        .admin
        .batch_execute("UPDATE main_service.mq_later SET send_at = now(); NOTIFY due_in_main_service, '0'")
        .await?;
    assert_eq!(world.await_reply(id).await?.status, "ok");
    assert!(!main.log().contains("drawn long ago"), "{}", main.log());
    main.stop().await?;
    Ok(())
}

#[tpro_testkit::test]
async fn the_end_of_one_that_is_cancelled_before_its_time_is_published_to_its_label() -> Outcome {
    let world = world().await?;
    let target = clock(&world).await?;
    let labels = Listener::on(&world, "$$.nats-pwl-reply.>").await?;
    let main = world.run("main").await?;
    let publish = "SELECT tpro.publish('old'::text, 'thing', 'ask', reply_to => 'orders', send_at => now() + interval '1 hour', sender => 'main')";
    let id: i64 = world.main.query_one(publish, &[]).await?.get(0);
    let cancelled: bool = world.admin.query_one("SELECT tpro.cancel($1, 'main')", &[&id]).await?.get(0);
    assert!(cancelled);
    let heard = labels.hears(1).await?;
    assert_eq!(heard[0].status, "cancelled");
    // This message is sent. The cancelled one went into the outbox before it, and would have been
    // sent first.
    world.ask(&Message::to("old.thing.ask").protocol("json").body(json!({"due": 0}))).await?;
    assert_eq!(target.taken(), 1);
    main.stop().await?;
    Ok(())
}

/// Anybody may notify on any channel.
#[tpro_testkit::test]
async fn what_others_say_on_the_channel_makes_the_leader_look_and_nothing_else() -> Outcome {
    let world = world().await?;
    let target = clock(&world).await?;
    let main = world.run("main").await?;
    let id = publish(&world, 3_600_000).await?;
    for word in ["", "now", "0", "-9223372036854775808", "9223372036854775807", "99999999999999999999", "ä"]
    {
        world.admin.batch_execute(&format!("NOTIFY due_in_main_service, '{word}'")).await?;
    }
    world.ask(&Message::to("old.thing.ask").protocol("json").body(json!({"due": 0}))).await?;
    let status = format!("SELECT count(*) FROM main_service.mq_status WHERE id = {id} AND status = 'later'");
    assert_eq!((target.taken(), world.count(&status).await?), (1, 1));
    main.stop().await?;
    Ok(())
}

fn is_small(copy: &SidecarProcess) -> Outcome {
    let status = std::fs::read_to_string(format!("/proc/{}/status", copy.process().pid()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    let peak = line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024;
    println!(
        "figure: {} with a million rows for later: at most {:.1} MiB in memory",
        copy.process().name(),
        peak as f64 / 1048576.0
    );
    assert!(peak <= MEMORY, "{} had {peak} bytes in memory", copy.process().name());
    Ok(())
}

#[ignore = "slow: make faults"]
#[tpro_testkit::test(threads = 4)]
async fn a_million_rows_for_later_take_little_memory_and_hold_up_nothing_that_is_due() -> Outcome {
    let world = world().await?;
    let _target = clock(&world).await?;
    let fill = "INSERT INTO main_service.mq_later (protocol, service_name, entity, method_name, body, send_at)
        SELECT 'json', 'old', 'thing', 'ask', '{\"due\": 0, \"login\": \"login\", \"password\": \"phnd26w\"}', now() + n * interval '3.6 milliseconds' + interval '1 hour'
          FROM generate_series(1, $1::bigint) AS n";
    world.main.execute(fill, &[&MANY]).await?;
    let mut main = world.run("main").await?;
    // A message that is due while nobody leads waits for the next leader.
    for (what, ahead, rounds, is_killed) in [
        ("to one that leads", 400, 20, false),
        ("due during a takeover", 400, 5, true),
        ("due right after a takeover", 2_000, 10, true),
    ] {
        let mut times =
            Times::of(format!("from its send_at to its target, {what}, with a million rows for later"));
        for _ in 0..rounds {
            let id = publish(&world, ahead).await?;
            if is_killed {
                main.kill().await?;
                main = world.run("main").await?;
            }
            let late = late(&world, id).await?;
            assert!(late >= 0, "it was sent {late} ms early");
            times.add(Duration::from_millis(late.unsigned_abs()));
        }
        times.report();
        is_small(&main)?;
    }
    main.stop().await?;
    Ok(())
}
