//! A leader that does not learn what became of its COMMIT.

use tokio_postgres::Client;
use tpro_testkit::proxy::Fault;
use tpro_testkit::{Message, Outcome, Proxy, Sidecar, World, eventually};

use crate::answerer::Answerer;
use crate::copies::leader;

/// A copy of `main` whose way to the database leads through the proxy.
pub fn through(world: &World, proxy: &Proxy) -> Outcome<Sidecar> {
    let port = world.database.cluster().port().to_string();
    let url = world.database.role_url("main").replace(&port, &proxy.port().to_string());
    Ok(world.sidecar("main")?.env("DATABASE_URL", url))
}

/// While this session lives no reply is written; whoever writes one stands still in the statement. Waiting for a lock would end by
/// itself, since the leader sets a limit to that.
pub async fn hold_replies(world: &World) -> Outcome<Client> {
    world
        .admin
        .batch_execute(
            "CREATE FUNCTION public.held() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN
                 WHILE NOT pg_try_advisory_xact_lock_shared(77) LOOP
                     PERFORM pg_sleep(0.005);
                 END LOOP;
                 RETURN NULL;
             END $$;
             CREATE TRIGGER held AFTER INSERT ON main_service.mq_reply
                 FOR EACH STATEMENT EXECUTE FUNCTION public.held()",
        )
        .await?;
    let session = world.database.connect().await?;
    session.query_one("SELECT pg_advisory_lock(77)", &[]).await?;
    Ok(session)
}

/// Waits until the leader stands still there.
async fn settles(world: &World) -> Outcome {
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
        AND application_name LIKE 'tpro/main/%/leader' AND wait_event = 'PgSleep' AND query LIKE '%reply.settle%'";
    eventually("the leader's reply waits in the database", async || Ok(world.count(waiting).await? == 1))
        .await
}

/// Has one reply committed whose acknowledgement never reaches the leader.
async fn lose_the_acknowledgement(world: &World, proxy: &Proxy) -> Outcome<i64> {
    let hold = hold_replies(world).await?;
    let id = world.publish(&Message::to("old.thing.ask").protocol("json").timeout(60)).await?;
    assert_eq!(id, 1);
    settles(world).await?;
    proxy.set(Fault::BlackHole);
    drop(hold);
    eventually("the reply is committed", async || {
        Ok(world.count("SELECT count(*) FROM main_service.mq_reply").await? == 1)
    })
    .await?;
    Ok(id)
}

#[tpro_testkit::test]
async fn a_leader_that_is_killed_before_it_learns_of_its_commit_leaves_nothing_to_do() -> Outcome {
    let world = World::new().await?;
    let answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    let proxy = Proxy::start(world.database.cluster().port()).await?;
    let first = world.start(through(&world, &proxy)?).await?;
    assert_eq!(leader(&world).await?, 1);
    let second = world.start(world.sidecar("main")?.copy(2)).await?;
    let id = lose_the_acknowledgement(&world, &proxy).await?;
    first.kill().await?;

    world.ask(&Message::to("old.thing.ask").protocol("json")).await?.ok()?;
    assert_eq!(leader(&world).await?, 2);
    assert_eq!(second.metric("tpro_sent_total").await?, 1.0, "the next leader has sent the other one only");
    assert_eq!(answerer.taken(), 2);
    assert_eq!(world.await_reply(id).await?.attempts, 1);
    world.finish(&[&second]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_leader_that_never_learns_of_its_commit_settles_it_once() -> Outcome {
    let world = World::new().await?;
    let answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    let proxy = Proxy::start(world.database.cluster().port()).await?;
    let main = world.start(through(&world, &proxy)?).await?;
    let id = lose_the_acknowledgement(&world, &proxy).await?;
    proxy.set(Fault::Reset);
    eventually("it has lost the lead", async || Ok(main.metric("tpro_leading").await? == 0.0)).await?;
    proxy.set(Fault::None);

    world.ask(&Message::to("old.thing.ask").protocol("json")).await?.ok()?;
    assert_eq!(main.metric("tpro_takeovers_total").await?, 2.0);
    assert_eq!(answerer.taken(), 2);
    assert_eq!(world.await_reply(id).await?.attempts, 1);
    world.finish(&[&main]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_leader_whose_commit_did_not_happen_settles_it_anew() -> Outcome {
    let world = World::new().await?;
    let answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    let main = world.run("main").await?;
    let hold = hold_replies(&world).await?;
    let id = world.publish(&Message::to("old.thing.ask").protocol("json").timeout(60)).await?;
    assert_eq!(id, 1);
    settles(&world).await?;
    let terminate = "SELECT count(pg_terminate_backend(leader_pid)) FROM tpro.services WHERE name = 'main'";
    assert_eq!(world.count(terminate).await?, 1);
    eventually("it has sent the message again", async || Ok(answerer.taken() == 2)).await?;
    drop(hold);
    world.await_reply(id).await?.ok()?;
    assert_eq!(main.metric("tpro_takeovers_total").await?, 2.0);
    world.finish(&[&main]).await?;
    Ok(())
}
