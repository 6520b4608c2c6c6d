//! Errors of the database that pass: they are no outcome, and the handler runs again inside its message's budget.

use std::time::{Duration, Instant};

use serde_json::json;
use tpro_testkit::{Message, Outcome, Postgres, Signal, StopMode, World, eventually};

use crate::answerer::Answerer;
use crate::rogue::Rogue;

/// Each way a handler is served, with a connection in its hands.
const METHODS: [&str; 4] = ["stateless.effect", "default.effect", "default.tx", "transactional.effect"];
/// Each way a handler is served, with a statement that fails.
const FLAKY: [&str; 5] =
    ["stateless.flaky", "stateless.flaky_tx", "default.flaky", "default.flaky_tx", "transactional.flaky"];
/// Messages of each.
const EACH: i32 = 5;
/// All of them.
const ALL: i64 = all(EACH);

/// All messages, with so many for each way.
const fn all(each: i32) -> i64 {
    METHODS.len() as i64 * each as i64
}

/// Fails with the SQLSTATE of `public.told` as long as it is called less than three times.
const FAILS: &str = "CREATE SEQUENCE public.tries;
    CREATE TABLE public.told (state text NOT NULL);
    INSERT INTO public.told VALUES ('40001');
    GRANT USAGE ON SEQUENCE public.tries TO rogue;
    GRANT SELECT ON public.told TO rogue;
    CREATE FUNCTION public.flaky() RETURNS void LANGUAGE plpgsql AS $$
    BEGIN
        -- A sequence goes on through a rollback.
        IF nextval('public.tries') < 3 THEN
            RAISE EXCEPTION 'told to fail' USING ERRCODE = (SELECT state FROM public.told);
        END IF;
    END $$";

/// Terminates the connections of handlers that wait for the lock of [`Rogue::hold`], and waits until they are gone. The handlers
/// may wait on others by then.
async fn terminate(world: &World, handlers: usize) -> Outcome {
    let waiting = "SELECT pid FROM pg_stat_activity
        WHERE datname = current_database() AND usename = 'rogue' AND wait_event = 'advisory'";
    let pids: Vec<i32> = world.admin.query(waiting, &[]).await?.iter().map(|row| row.get(0)).collect();
    let ended = "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM unnest($1::int[]) AS pid";
    let ended: i64 = world.admin.query_one(ended, &[&pids]).await?.get(0);
    assert_eq!((pids.len(), ended), (handlers, handlers as i64), "each lost its connection");
    let there = "SELECT count(*) FROM pg_stat_activity WHERE pid = ANY($1)";
    eventually("those connections are gone", async || {
        Ok(world.admin.query_one(there, &[&pids]).await?.get::<_, i64>(0) == 0)
    })
    .await
}

#[tpro_testkit::test]
async fn handlers_whose_connections_are_terminated_run_again_and_no_run_is_counted() -> Outcome {
    let world = Rogue::world().await?;
    let main = world.run("main").await?;
    let rogue = Rogue::copy(&world, 1)?.env("DB_POOL_MAX", 2 * ALL).env("RUNS_MAX", 2);
    let rogue = world.start(rogue).await?;
    let hold = Rogue::hold(&world).await?;
    publish(&world, "main", EACH).await?;
    // More often than a message may be begun in vain.
    for _ in 0..4 {
        Rogue::waiting(&world, ALL).await?;
        terminate(&world, ALL as usize).await?;
    }
    Rogue::waiting(&world, ALL).await?;
    drop(hold);
    all_well(&world, "main", 1, EACH).await?;
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_requester_is_told_that_tries_go_on_however_short_each_of_them_is() -> Outcome {
    let world = Rogue::world().await?;
    let main = world.run("main").await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    let hold = Rogue::hold(&world).await?;
    for method in METHODS {
        world.publish(&Rogue::request(method, Rogue::held()).timeout(120)).await?;
    }
    // Longer than a requester waits for a word (5 s), and no try as long as the copy's patience
    // (2 s).
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(11) {
        Rogue::waiting(&world, METHODS.len() as i64).await?;
        terminate(&world, METHODS.len()).await?;
    }
    Rogue::waiting(&world, METHODS.len() as i64).await?;
    drop(hold);
    world.recon().await?;
    assert!(world.replies("main").await?.iter().all(|reply| reply.status == "ok"));
    assert_eq!(main.metric("tpro_sent_total").await?, METHODS.len() as f64, "none was sent again");
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_restart_of_postgresql_with_handlers_at_work_costs_none_of_their_messages() -> Outcome {
    let cluster = Postgres::own().start().await?;
    let mut world = World::options().services(&["main", "rogue"]).cluster(cluster.clone()).start().await?;
    world.admin.batch_execute(Rogue::EFFECTS).await?;
    let main = world.run("main").await?;
    let rogue = world.start(Rogue::copy(&world, 1)?.env("DB_POOL_MAX", 2 * ALL).env("RUNS_MAX", 2)).await?;
    for (round, mode) in (1..).zip([StopMode::Fast, StopMode::Immediate, StopMode::Kill]) {
        let hold = Rogue::hold(&world).await?;
        publish(&world, "main", EACH).await?;
        Rogue::waiting(&world, ALL).await?;
        // The lock goes with the server.
        cluster.restart(mode).await?;
        drop(hold);
        world.reconnect().await?;
        all_well(&world, "main", round, EACH).await.map_err(|failure| failure.during(format!("{mode:?}")))?;
        // A repeat of a stateless message may run a little longer, and would wait for the next lock.
        eventually("nothing is at work", async || Ok(rogue.metric("tpro_handlers_at_work").await? == 0.0))
            .await?;
    }
    main.ready().await?;
    rogue.ready().await?;
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}

#[tpro_testkit::test]
#[ignore = "slow: make faults"]
async fn two_hundred_requests_end_well_through_terminations_and_a_fast_restart() -> Outcome {
    /// Two, since a lane sends no more than 128 at first.
    const SENDERS: [&str; 2] = ["main", "analytic"];
    const MANY: i32 = 25;
    const AT_WORK: i64 = SENDERS.len() as i64 * all(MANY);
    let cluster = Postgres::own().set("max_connections", "600").start().await?;
    let mut world =
        World::options().services(&["main", "analytic", "rogue"]).cluster(cluster.clone()).start().await?;
    world.admin.batch_execute(Rogue::EFFECTS).await?;
    // Opening the connections takes seconds. A repeat meanwhile would be one more at work.
    let patient = |service| Outcome::Ok(world.sidecar(service)?.env("ATTEMPT_TIMEOUT_MS", 60_000));
    let (main, analytic) = (patient("main")?, patient("analytic")?);
    let (main, analytic) = (world.start(main).await?, world.start(analytic).await?);
    let rogue = Rogue::copy(&world, 1)?.env("DB_POOL_MAX", 2 * AT_WORK).env("RUNS_MAX", 2);
    let rogue = world.start(rogue).await?;
    let hold = Rogue::hold(&world).await?;
    for sender in SENDERS {
        publish(&world, sender, MANY).await?;
    }
    Rogue::waiting(&world, AT_WORK).await?;
    terminate(&world, AT_WORK as usize).await?;
    Rogue::waiting(&world, AT_WORK).await?;
    // The lock goes with the server.
    cluster.restart(StopMode::Fast).await?;
    drop(hold);
    world.reconnect().await?;
    for sender in SENDERS {
        all_well(&world, sender, 1, MANY).await?;
    }
    world.finish(&[&main, &analytic, &rogue]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn an_error_that_passes_is_no_outcome_and_any_other_is_one_at_once() -> Outcome {
    let world = Rogue::world().await?;
    world.admin.batch_execute(FAILS).await?;
    let main = world.run("main").await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    let passing = [
        "08000", "08003", "08006", "57P01", "57P02", "57P03", "57P05", "25P03", "53100", "53200", "53300",
        "40001", "40P01", "57014",
    ];
    let lasting = ["22012", "23505", "23P01", "42501", "42P01", "53400", "55P03", "P0001", "XX000"];
    for (states, passes) in [(passing.as_slice(), true), (lasting.as_slice(), false)] {
        for (state, method) in states.iter().flat_map(|state| FLAKY.map(|method| (*state, method))) {
            tell(&world, state).await?;
            let reply = world.ask(&Rogue::request(method, json!({})).timeout(60)).await?;
            let tries = world.count("SELECT last_value FROM public.tries").await?;
            let what = format!("{state}, {method}: {reply:?}");
            assert_eq!((reply.attempts, tries), (1, if passes { 3 } else { 1 }), "{what}");
            match passes {
                true => assert_eq!(reply.status, "ok", "{what}"),
                false => assert_eq!((reply.status.as_str(), reply.code()), ("error", -32603), "{what}"),
            }
        }
    }
    let effects = i64::try_from(passing.len() * FLAKY.len())?;
    assert_eq!(Rogue::effects(&world).await?, effects, "what failed has no effect");
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_copy_that_stops_leaves_what_its_database_keeps_from_ending_to_another() -> Outcome {
    let world = Rogue::world().await?;
    world.admin.batch_execute(FAILS).await?;
    // As good as always.
    world
        .admin
        .batch_execute(
            "ALTER SEQUENCE public.tries MINVALUE -1000000 RESTART -1000000; UPDATE public.told SET state = '57P03'",
        )
        .await?;
    let main = world.start(world.sidecar("main")?.env("ATTEMPT_TIMEOUT_MS", 2_000)).await?;
    let first = world.start(Rogue::copy(&world, 1)?.env("STOP_TIMEOUT", 600)).await?;
    for method in FLAKY {
        world.publish(&Rogue::request(method, json!({})).timeout(600)).await?;
    }
    let again = i64::try_from(FLAKY.len())?;
    eventually("they run again and again", async || {
        Ok(world.count("SELECT last_value FROM public.tries").await? > again * 3 - 1_000_000)
    })
    .await?;
    first.signal(Signal::TERM)?;
    assert_eq!(first.wait().await?.code(), Some(0), "{}", first.log());
    world.admin.batch_execute("SELECT setval('public.tries', 1000)").await?;
    let second = world.start(Rogue::copy(&world, 2)?).await?;
    world.recon().await?;
    for reply in world.replies("main").await? {
        assert_eq!((reply.status.as_str(), reply.copy()), ("ok", "2"), "{reply:?}");
    }
    assert_eq!(Rogue::effects(&world).await?, again, "what failed has no effect");
    world.finish(&[&main, &second]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_handler_that_gets_no_connection_waits_for_one_within_the_budget() -> Outcome {
    // Roles are the cluster's.
    let cluster = Postgres::own().start().await?;
    let world = World::options().services(&["main", "rogue"]).cluster(cluster).start().await?;
    world.admin.batch_execute(Rogue::EFFECTS).await?;
    let main = world.run("main").await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    let inbox = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tpro/rogue/1/inbox'";
    eventually("the inbox has its session", async || Ok(world.count(inbox).await? == 1)).await?;
    // The pool gets none from now on (53300), and loses what it has.
    world.admin.batch_execute("ALTER ROLE rogue CONNECTION LIMIT 0").await?;
    let pool = "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity
        WHERE application_name = 'tpro/rogue/1/pool'";
    eventually("the pool is empty", async || Ok(world.count(pool).await? == 0)).await?;
    publish(&world, "main", EACH).await?;
    eventually("all try in vain", async || {
        Ok(rogue.metric("tpro_handlers_at_work").await? == ALL as f64
            && rogue.log().contains("SQLSTATE 53300"))
    })
    .await?;
    world.admin.batch_execute("ALTER ROLE rogue CONNECTION LIMIT -1").await?;
    all_well(&world, "main", 1, EACH).await?;
    // And some whose budget is over before there is one.
    world.admin.batch_execute("ALTER ROLE rogue CONNECTION LIMIT 0").await?;
    eventually("the pool is empty", async || Ok(world.count(pool).await? == 0)).await?;
    for method in METHODS {
        let reply = world.ask(&Rogue::request(method, json!({})).timeout(1)).await?;
        let over = reply.status == "timeout" || (reply.status == "error" && reply.code() == -32002);
        assert!(over, "{method}: {reply:?}");
    }
    world.admin.batch_execute("ALTER ROLE rogue CONNECTION LIMIT -1").await?;
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_reply_handler_that_meets_an_error_that_passes_runs_again_and_has_one_effect() -> Outcome {
    let world = Rogue::world().await?;
    world.admin.batch_execute(FAILS).await?;
    let _answerer = Answerer::echo(&world.nats, "tpro.old.thing.*").await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    let ask = |method: &str| Message::to(&format!("old.thing.{method}")).from("rogue").protocol("json");
    for state in ["40001", "08006", "57P01", "57014", "53300"] {
        tell(&world, state).await?;
        ask("flaky").publish(&world.admin).await?;
        world.recon().await.map_err(|failure| failure.during(state))?;
        assert_eq!(world.count("SELECT last_value FROM public.tries").await?, 3, "{state}");
    }
    let hold = Rogue::hold(&world).await?;
    ask("holds").publish_many(&world.admin, 3).await?;
    for _ in 0..3 {
        Rogue::waiting(&world, 3).await?;
        terminate(&world, 3).await?;
    }
    drop(hold);
    world.recon().await?;
    assert_eq!(world.count("SELECT count(*) FROM public.effect WHERE what = 'ok'").await?, 8);
    assert_eq!(world.count("SELECT count(*) FROM rogue_service.mq_reply_fault").await?, 0);
    // One that does not pass is kept beside the reply, as ever.
    tell(&world, "22012").await?;
    ask("flaky").publish(&world.admin).await?;
    world.recon().await?;
    assert_eq!(world.count("SELECT count(*) FROM rogue_service.mq_reply_fault").await?, 1);
    world.finish(&[&rogue]).await?;
    Ok(())
}

/// Some messages for each of [`METHODS`], whose handlers wait for the lock.
async fn publish(world: &World, sender: &str, each: i32) -> Outcome {
    for method in METHODS {
        let request = Rogue::request(method, Rogue::held()).from(sender).timeout(120);
        request.publish_many(&world.admin, each).await?;
    }
    Ok(())
}

/// All that [`publish`] has published in so many rounds ended well, and those in a transaction had one effect.
async fn all_well(world: &World, sender: &str, rounds: i64, each: i32) -> Outcome {
    world.recon().await?;
    let replies = world.replies(sender).await?;
    let other: Vec<_> = replies.iter().filter(|reply| reply.status != "ok").collect();
    assert!(
        replies.len() as i64 == rounds * all(each) && other.is_empty(),
        "{} replies, not ok: {other:?}",
        replies.len()
    );
    let transactional = world
        .count(&format!(
            "SELECT count(*) FROM public.effect e JOIN {sender}_service.mq_publish p USING (uid)
             WHERE p.entity = 'transactional' OR p.method_name = 'tx'",
        ))
        .await?;
    assert_eq!(transactional, rounds * 2 * i64::from(each), "one effect for each");
    Ok(())
}

/// Has the next two calls of `public.flaky` fail in this way.
async fn tell(world: &World, state: &str) -> Outcome {
    world.admin.batch_execute("ALTER SEQUENCE public.tries RESTART").await?;
    world.admin.execute("UPDATE public.told SET state = $1", &[&state]).await?;
    Ok(())
}
