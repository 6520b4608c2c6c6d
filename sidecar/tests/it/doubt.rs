//! A publisher that does not learn whether its COMMIT happened, and how it finds out.

use tokio_postgres::Client;
use tpro_testkit::postgres::connect;
use tpro_testkit::proxy::Fault;
use tpro_testkit::{Message, Outcome, Postgres, Proxy, StopMode, World, eventually};

use crate::answerer::Answerer;

/// A commit that waits for this advisory lock: whoever writes into `public.slow` gets there.
const SLOW: &str = "CREATE TABLE public.slow (n int);
    CREATE FUNCTION public.slow() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN PERFORM pg_advisory_xact_lock_shared(9); RETURN NULL; END $$;
    CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON public.slow DEFERRABLE INITIALLY DEFERRED
      FOR EACH ROW EXECUTE FUNCTION public.slow();
    GRANT INSERT ON public.slow TO main";

/// Publishes and commits; the connection is cut while the commit is under way. `happens` says how that ends. The
/// transaction's id, by which the publisher asks afterwards.
async fn cut_at_commit(world: &World, happens: bool) -> Outcome<String> {
    let proxy = Proxy::start(world.database.cluster().port()).await?;
    let port = world.database.cluster().port().to_string();
    let publisher =
        connect(&world.database.role_url("main").replace(&port, &proxy.port().to_string())).await?;
    let hold: Client = world.database.connect().await?;
    hold.query_one("SELECT pg_advisory_lock(9)", &[]).await?;
    publisher.batch_execute("BEGIN; INSERT INTO public.slow VALUES (1)").await?;
    Message::to("old.thing.ask").protocol("json").publish(&publisher).await?;
    let xid = "SELECT pg_current_xact_id()::text, pg_backend_pid()";
    let row = publisher.query_one(xid, &[]).await?;
    let (xid, backend): (String, i32) = (row.get(0), row.get(1));
    let commit = tokio::spawn(async move { publisher.batch_execute("COMMIT").await });
    let waits =
        format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {backend} AND wait_event_type = 'Lock'");
    eventually("the commit is under way", async || Ok(world.count(&waits).await? == 1)).await?;
    proxy.set(Fault::BlackHole);
    if happens {
        drop(hold);
    } else {
        world.admin.query_one("SELECT pg_terminate_backend($1)", &[&backend]).await?;
    }
    let there = format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {backend} AND state <> 'idle'");
    eventually("it is decided", async || Ok(world.count(&there).await? == 0)).await?;
    proxy.set(Fault::Reset);
    assert!(commit.await?.is_err(), "the publisher has not learnt what became of it");
    Ok(xid)
}

/// What became of a transaction.
async fn status(world: &World, xid: &str) -> Outcome<String> {
    let sql = format!("SELECT pg_xact_status('{xid}'::xid8)");
    Ok(world.main.query_one(&sql, &[]).await?.get(0))
}

#[tpro_testkit::test]
async fn a_publisher_in_doubt_asks_for_its_transaction() -> Outcome {
    let world = World::new().await?;
    let answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    world.admin.batch_execute(SLOW).await?;
    let main = world.run("main").await?;

    let committed = cut_at_commit(&world, true).await?;
    assert_eq!(status(&world, &committed).await?, "committed");
    assert_eq!(world.recon().await?.settled, 1);

    let aborted = cut_at_commit(&world, false).await?;
    assert_eq!(status(&world, &aborted).await?, "aborted");
    // So it publishes again, and there is one message of it.
    world.ask(&Message::to("old.thing.ask").protocol("json")).await?.ok()?;
    let recon = world.finish(&[&main]).await?;
    assert_eq!((recon.settled, answerer.taken()), (2, 2));
    Ok(())
}

#[tpro_testkit::test]
async fn after_a_crash_a_transaction_id_may_be_anothers_and_the_message_itself_is_asked_for() -> Outcome {
    // Nothing is flushed that no commit asks for.
    let cluster = Postgres::own().set("wal_writer_delay", "10s").set("autovacuum", "off").start().await?;
    let mut world = World::options().services(&["main"]).cluster(cluster.clone()).start().await?;
    let request = Message::to("old.thing.ask").protocol("json");
    world.main.batch_execute("BEGIN").await?;
    let id = request.publish(&world.main).await?;
    let noted = "SELECT pg_current_xact_id()::text, traceparent FROM main_service.mq_publish WHERE id = $1";
    let row = world.main.query_one(noted, &[&id]).await?;
    let (xid, traceparent): (String, String) = (row.get(0), row.get(1));
    cluster.stop(StopMode::Immediate).await?;
    cluster.start().await?;
    world.reconnect().await?;

    // The next ones get its id, and one of them commits.
    let _answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    eventually("another transaction has had the id", async || {
        request.publish(&world.main).await?;
        let newest = "SELECT max(tx::text::bigint) FROM main_service.mq_publish";
        Ok(world.count(newest).await? >= xid.parse().unwrap_or(i64::MAX))
    })
    .await?;
    assert_eq!(status(&world, &xid).await?, "committed", "which says nothing of ours");
    let there = format!("SELECT count(*) FROM main_service.mq_publish WHERE traceparent = '{traceparent}'");
    let there: i64 = world.main.query_one(&there, &[]).await?.get(0);
    assert_eq!(there, 0, "the message itself is not there");
    let main = world.run("main").await?;
    world.finish(&[&main]).await?;
    Ok(())
}
