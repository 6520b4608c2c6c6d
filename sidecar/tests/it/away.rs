//! The end of a copy that has nothing in hand, while its servers are away.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tpro_testkit::proxy::Fault;
use tpro_testkit::{
    Message, Outcome, Postgres, Proxy, Sidecar, SidecarProcess, Signal, StopMode, World, eventually,
};

use crate::answerer::Answerer;
use crate::copies::leader;

/// What a copy may take for its end that waits for nothing, on any machine: far less than its patience.
const MUCH: Duration = Duration::from_secs(20);
/// `STOP_TIMEOUT` of all copies here.
const PATIENCE: u32 = 80;

/// Ends each copy by SIGTERM, all at the same time: in good order, and without waiting for what does not come.
async fn end(what: &str, copies: &[Arc<SidecarProcess>]) -> Outcome {
    let begun = Instant::now();
    copies.iter().try_for_each(|copy| copy.signal(Signal::TERM))?;
    for copy in copies {
        let exit = copy.wait().await?;
        let name = copy.process().name();
        println!("figure: {name} ended {} ms after SIGTERM while {what}", begun.elapsed().as_millis());
        assert_eq!(exit.code(), Some(0), "{name}, while {what}: {exit}\n{}", copy.log());
        assert!(begun.elapsed() < MUCH, "{name}, while {what}, took {:?}\n{}", begun.elapsed(), copy.log());
    }
    Ok(())
}

async fn not_ready(copies: &[Arc<SidecarProcess>], check: &str) -> Outcome {
    for copy in copies {
        eventually(&format!("{} says that {check} is missing", copy.process().name()), async || {
            let ready = copy.get("/readyz").await?;
            Ok(ready.status == 503 && ready.body.contains(check))
        })
        .await?;
    }
    Ok(())
}

/// Two copies of `main`, the leader and one that follows.
async fn two(world: &World, as_configured: impl Fn(Sidecar) -> Sidecar) -> Outcome<[Arc<SidecarProcess>; 2]> {
    let copy = |number| -> Outcome<Sidecar> {
        Ok(as_configured(world.sidecar("main")?.copy(number).env("STOP_TIMEOUT", PATIENCE)))
    };
    let first = world.start(copy(1)?).await?;
    leader(world).await?;
    let second = world.start(copy(2)?).await?;
    // The leader has led, the inbox has its session, the pool has connections.
    world.ask(&Message::to("old.thing.ask").protocol("json")).await?.ok()?;
    Ok([first, second])
}

#[tpro_testkit::test]
async fn an_idle_copy_ends_at_once_and_in_good_order_while_its_servers_are_stopped() -> Outcome {
    let cluster = Postgres::own().start().await?;
    let mut world = World::options().services(&["main"]).cluster(cluster.clone()).start().await?;
    for (what, nats, database) in [
        ("NATS is stopped", true, false),
        ("PostgreSQL is stopped", false, true),
        ("NATS and PostgreSQL are stopped", true, true),
    ] {
        let answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
        let copies = two(&world, |copy| copy).await?;
        drop(answerer);
        if nats {
            world.nats.stop().await?;
            not_ready(&copies, "nats").await?;
        }
        if database {
            cluster.stop(StopMode::Fast).await?;
            not_ready(&copies, "database").await?;
        }
        end(what, &copies).await?;
        if nats {
            world.nats.start().await?;
        }
        if database {
            cluster.start().await?;
            world.reconnect().await?;
        }
    }
    // Nobody was at home when they were started, either.
    world.nats.stop().await?;
    let waits = [world.spawn(world.sidecar("main")?)?];
    eventually("it waits for NATS", async || {
        Ok(waits[0].get("/readyz").await.is_ok_and(|ready| ready.body.contains("nats")))
    })
    .await?;
    end("NATS was never there", &waits).await?;
    world.nats.start().await?;
    world.finish(&[]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn an_idle_copy_ends_at_once_and_in_good_order_while_nothing_comes_through() -> Outcome {
    let world = World::options().services(&["main"]).start().await?;
    let _answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    let port = world.database.cluster().port();
    for (what, nats, database) in [
        ("NATS is behind a black hole", true, false),
        ("PostgreSQL is behind a black hole", false, true),
        ("NATS and PostgreSQL are behind a black hole", true, true),
    ] {
        let (to_nats, to_database) = (Proxy::start(world.nats.port()).await?, Proxy::start(port).await?);
        let url = world.database.role_url("main").replace(&port.to_string(), &to_database.port().to_string());
        let through = |copy: Sidecar| {
            let nats = format!("nats://127.0.0.1:{}", to_nats.port());
            copy.env("DATABASE_URL", &url).env("NATS_URL", nats)
        };
        let copies = two(&world, through).await?;
        // Before they can know of it.
        for (swallowed, line) in [(nats, &to_nats), (database, &to_database)] {
            if swallowed {
                line.set(Fault::BlackHole);
            }
        }
        end(what, &copies).await?;
        // The next that lead need not wait for sessions that the server believes to be alive.
        drop((to_nats, to_database));
    }
    world.finish(&[]).await?;
    Ok(())
}
