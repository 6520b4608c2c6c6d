//! A message that comes again.

use serde_json::json;
use tpro_testkit::proxy::Fault;
use tpro_testkit::{Outcome, Proxy, World, eventually};

use crate::rogue::Rogue;

#[tpro_testkit::test]
async fn a_repeat_after_both_copies_were_killed_gets_the_stored_outcome() -> Outcome {
    for method in ["transactional.effect", "default.tx", "default.effect"] {
        stored_outcome(method).await.map_err(|failure| failure.during(method))?;
    }
    Ok(())
}

/// The outcome is kept, the reply gets lost, and everybody who could remember is killed before the message comes again.
async fn stored_outcome(method: &str) -> Outcome {
    let world = Rogue::world().await?;
    let proxy = Proxy::start(world.nats.port()).await?;
    let through = format!("nats://127.0.0.1:{}", proxy.port());
    let main =
        world.start(world.sidecar("main")?.env("NATS_URL", through).env("ATTEMPT_TIMEOUT_MS", 500)).await?;
    let copies = [world.start(Rogue::copy(&world, 1)?).await?, world.start(Rogue::copy(&world, 2)?).await?];
    let hold = Rogue::hold(&world).await?;

    let id = world.publish(&Rogue::request(method, Rogue::held())).await?;
    Rogue::waiting(&world, 1).await?;
    // From here on nothing comes back to main.
    proxy.set(Fault::BlackHole);
    drop(hold);
    eventually("the outcome is stored", async || {
        Ok(world.count("SELECT count(*) FROM rogue_service.mq_outcome").await? == 1)
    })
    .await?;
    for copy in &copies {
        copy.kill().await?;
    }
    proxy.set(Fault::Reset);
    proxy.set(Fault::None);
    let after = world.start(Rogue::copy(&world, 3)?).await?;

    let reply = world.await_reply(id).await?;
    assert!(reply.attempts > 1, "{reply:?}");
    let first = reply.clone().ok()?["pid"].as_u64();
    let pids = copies.iter().map(|copy| u64::from(copy.process().pid()));
    assert!(pids.into_iter().any(|pid| first == Some(pid)), "a copy that is dead had answered: {reply:?}");
    assert_eq!(Rogue::effects(&world).await?, 1);
    eventually("the repeat is a span", async || {
        let spans = world.collector.spans();
        Ok(spans.iter().any(|span| span.service == "rogue" && span.attribute("tpro.repeat") == "true"))
    })
    .await?;
    world.finish(&[&main, &after]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_copy_that_is_killed_in_its_handler_leaves_the_message_to_another() -> Outcome {
    for (method, accepted, effects) in
        [("transactional.effect", 0, 1), ("default.tx", 1, 1), ("default.effect", 1, 2)]
    {
        run_elsewhere(method, accepted, effects).await.map_err(|failure| failure.during(method))?;
    }
    Ok(())
}

/// Effects in the message's own transaction vanish with the copy that is killed; others were made, and are made again.
async fn run_elsewhere(method: &str, accepted: i64, effects: i64) -> Outcome {
    let world = Rogue::world().await?;
    let main = world.start(world.sidecar("main")?.env("ATTEMPT_TIMEOUT_MS", 500)).await?;
    let first = world.start(Rogue::copy(&world, 1)?).await?;
    let hold = Rogue::hold(&world).await?;
    let id = world.publish(&Rogue::request(method, Rogue::held())).await?;
    Rogue::waiting(&world, 1).await?;
    first.kill().await?;
    // PostgreSQL notices a client that is gone only when a statement ends.
    drop(hold);
    let sessions = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name LIKE 'tpro/rogue/%'";
    eventually("its sessions are gone", async || Ok(world.count(sessions).await? == 0)).await?;
    let inbox = world.count("SELECT count(*) FROM rogue_service.mq_receive").await?;
    assert_eq!(inbox, accepted, "an inbox row of the handler's own transaction goes with it");
    assert_eq!(Rogue::effects(&world).await?, effects - 1);
    let second = world.start(Rogue::copy(&world, 2)?).await?;
    let reply = world.await_reply(id).await?;
    assert_eq!(reply.copy(), "2", "{reply:?}");
    assert_eq!(reply.clone().ok()?["pid"].as_u64(), Some(second.process().pid().into()), "{reply:?}");
    assert_eq!(Rogue::effects(&world).await?, effects);
    world.finish(&[&main, &second]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_copy_that_is_killed_at_any_point_of_its_way_leaves_one_outcome() -> Outcome {
    for point in ["inbox.before_accept", "inbox.after_accept", "inbox.before_outcome", "inbox.after_outcome"]
    {
        for method in ["transactional.effect", "default.tx", "default.effect"] {
            killed_at(point, method)
                .await
                .map_err(|failure| failure.during(format!("{method} at {point}")))?;
        }
    }
    Ok(())
}

async fn killed_at(point: &str, method: &str) -> Outcome {
    let world = Rogue::world().await?;
    let main = world.start(world.sidecar("main")?.env("ATTEMPT_TIMEOUT_MS", 500)).await?;
    let first = world.start(Rogue::copy(&world, 1)?.stand_still_at(point, 0)).await?;
    let id = world.publish(&Rogue::request(method, json!({})).timeout(60)).await?;
    first.stands_still_at(point).await?;
    let committed = point == "inbox.after_outcome";
    let outcomes = "SELECT count(*) FROM rogue_service.mq_outcome";
    assert_eq!(world.count(outcomes).await?, i64::from(committed));
    first.kill().await?;
    let second = world.start(Rogue::copy(&world, 2)?).await?;
    let reply = world.await_reply(id).await?;
    let by = if committed { first.process().pid() } else { second.process().pid() };
    assert!(reply.attempts > 1, "{reply:?}");
    assert_eq!(reply.ok()?["pid"].as_u64(), Some(by.into()));
    // Only what is not in the message's own transaction is done twice, where it was done and its outcome was not stored.
    let twice = method == "default.effect" && point == "inbox.before_outcome";
    assert_eq!(Rogue::effects(&world).await?, if twice { 2 } else { 1 });
    assert_eq!(world.count(outcomes).await?, 1);
    world.finish(&[&main, &second]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_repeat_of_what_is_still_at_work_waits_for_it() -> Outcome {
    for method in ["transactional.effect", "default.tx", "default.effect"] {
        still_at_work(method).await.map_err(|failure| failure.during(method))?;
    }
    Ok(())
}

async fn still_at_work(method: &str) -> Outcome {
    let world = Rogue::world().await?;
    let main = world.start(world.sidecar("main")?.env("ATTEMPT_TIMEOUT_MS", 200)).await?;
    let copies = [world.start(Rogue::copy(&world, 1)?).await?, world.start(Rogue::copy(&world, 2)?).await?];
    let hold = Rogue::hold(&world).await?;
    let id = world.publish(&Rogue::request(method, Rogue::held())).await?;
    Rogue::waiting(&world, 1).await?;
    // With so many repeats both copies have seen one.
    eventually("it was sent again and again", async || Ok(main.metric("tpro_sent_total").await? >= 12.0))
        .await?;
    Rogue::waiting(&world, 1).await?;
    drop(hold);
    world.await_reply(id).await?.ok()?;
    assert_eq!(Rogue::effects(&world).await?, 1);
    world.finish(&[&main, &copies[0], &copies[1]]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_stateless_handler_runs_for_each_repeat() -> Outcome {
    let world = Rogue::world().await?;
    let main = world.start(world.sidecar("main")?.env("ATTEMPT_TIMEOUT_MS", 200)).await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    let hold = Rogue::hold(&world).await?;
    let id = world.publish(&Rogue::request("stateless.effect", Rogue::held())).await?;
    // Each repeat adds one, so that a look may find more.
    eventually("three run", async || Ok(Rogue::held_up(&world).await? >= 3)).await?;
    drop(hold);
    let reply = world.await_reply(id).await?;
    assert_eq!(reply.status, "ok", "{reply:?}");
    assert!(Rogue::effects(&world).await? >= 3);
    assert_eq!(world.count("SELECT count(*) FROM rogue_service.mq_receive").await?, 0);
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_message_older_than_the_inbox_is_refused_as_stale() -> Outcome {
    let world = Rogue::world().await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    for age in ["-30 days", "2 days"] {
        let answer = ask_with_uid(&world, age).await?;
        assert_eq!(answer.as_deref(), Some("stale"), "a uid of {age} from now");
    }
    assert_eq!(ask_with_uid(&world, "0 days").await?, None);
    assert_eq!(Rogue::effects(&world).await?, 1);
    world.finish(&[&rogue]).await?;
    Ok(())
}

/// Asks with a uid whose time is so far from now; the state that the reply says instead of an answer, if it is none.
async fn ask_with_uid(world: &World, age: &str) -> Outcome<Option<String>> {
    ask_again(world, &uid_of(world, age).await?).await
}

/// A uid whose time is so far from now.
pub async fn uid_of(world: &World, age: &str) -> Outcome<String> {
    let made = "SELECT encode(set_byte(int8send((extract(epoch FROM now() + $1::text::interval) * 1000)::int8 << 16), 6, 112),
                   'hex') || 'a000000000000001'";
    let hex: String = world.admin.query_one(made, &[&age]).await?.get(0);
    Ok([&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-"))
}

/// Asks with this uid; the state that the reply says instead of an answer, if it is none.
pub async fn ask_again(world: &World, uid: &str) -> Outcome<Option<String>> {
    let mut headers = async_nats::HeaderMap::new();
    headers.insert("Nats-Msg-Id", uid);
    let request =
        json!({"jsonrpc": "2.0", "id": uid, "method": "transactional.effect", "params": {}}).to_string();
    let client = world.nats.client().await?;
    let answer =
        client.request_with_headers("tpro.rogue.transactional.effect", headers, request.into()).await?;
    Ok(answer.headers.and_then(|headers| headers.get("Tpro-State").map(|state| state.to_string())))
}
