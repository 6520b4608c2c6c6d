//! When the bell rings, and when it does not.

use tokio_postgres::Client;
use tpro_testkit::{Database, Outcome};

use crate::listener::Listener;
use crate::refusal::refused;
use crate::service::database;

const PUBLISH: &str = "SELECT tpro.publish('a', 'b', 'c', sender => 'main')";

async fn answers(session: &Client, question: &str) -> Outcome<bool> {
    Ok(session.query_one(question, &[]).await?.try_get(0)?)
}

/// A dispatcher of `main` that sleeps, somebody who hears the bells of both services, and a publisher.
async fn asleep(database: &Database) -> Outcome<(Client, Listener, Client)> {
    let dispatcher = database.connect_as("main").await?;
    assert!(answers(&dispatcher, "SELECT tpro.sleep('main')").await?);
    let listener = Listener::of(database, &["main", "analytic"]).await?;
    Ok((dispatcher, listener, database.connect().await?))
}

#[tpro_testkit::test]
async fn it_rings_once_for_each_transaction_while_the_dispatcher_sleeps() -> Outcome {
    let database = database().await?;
    let (_dispatcher, mut listener, publisher) = asleep(&database).await?;
    publisher.batch_execute(PUBLISH).await?;
    assert_eq!(listener.rung().await?, ["main"]);
    publisher.batch_execute(&format!("BEGIN; {PUBLISH}; {PUBLISH}; {PUBLISH}; COMMIT")).await?;
    assert_eq!(listener.rung().await?, ["main"]);
    publisher
        .batch_execute("INSERT INTO main_service.mq_publish (service_name, entity, method_name) SELECT 'a', 'b', 'c' FROM generate_series(1, 1000)")
        .await?;
    assert_eq!(listener.rung().await?, ["main"]);
    Ok(())
}

#[tpro_testkit::test]
async fn it_rings_for_a_row_that_goes_straight_into_a_partition_and_not_for_no_row() -> Outcome {
    let database = database().await?;
    let (_dispatcher, mut listener, publisher) = asleep(&database).await?;
    let insert = "INSERT INTO main_service.mq_publish_rest (id, service_name, entity, method_name) SELECT 4000000, 'a', 'b', 'c'";
    publisher.batch_execute(&format!("{insert} WHERE false")).await?;
    assert_eq!(listener.rung().await?, [""; 0]);
    publisher.batch_execute(insert).await?;
    assert_eq!(listener.rung().await?, ["main"]);
    Ok(())
}

#[tpro_testkit::test]
async fn it_rings_for_an_outbox_that_is_not_upgraded_yet() -> Outcome {
    let database = database().await?;
    database
        .connect()
        .await?
        .batch_execute(
            "DROP TRIGGER bell ON main_service.mq_publish;
             CREATE TRIGGER bell AFTER INSERT ON main_service.mq_publish FOR EACH STATEMENT EXECUTE FUNCTION tpro.bell()",
        )
        .await?;
    let (_dispatcher, mut listener, publisher) = asleep(&database).await?;
    publisher.batch_execute(PUBLISH).await?;
    assert_eq!(listener.rung().await?, ["main"]);
    Ok(())
}

#[tpro_testkit::test]
async fn it_does_not_ring_before_the_commit() -> Outcome {
    let database = database().await?;
    let (_dispatcher, mut listener, publisher) = asleep(&database).await?;
    publisher.batch_execute(&format!("BEGIN; {PUBLISH}")).await?;
    assert_eq!(listener.rung().await?, [""; 0]);
    publisher.batch_execute("COMMIT").await?;
    assert_eq!(listener.rung().await?, ["main"]);
    Ok(())
}

#[tpro_testkit::test]
async fn it_is_silent_while_the_dispatcher_is_awake() -> Outcome {
    let database = database().await?;
    let (dispatcher, mut listener, publisher) = asleep(&database).await?;
    dispatcher.batch_execute("SELECT tpro.wake('main')").await?;
    publisher.batch_execute(PUBLISH).await?;
    assert_eq!(listener.rung().await?, [""; 0]);
    assert!(answers(&dispatcher, "SELECT tpro.sleep('main')").await?);
    publisher.batch_execute(PUBLISH).await?;
    assert_eq!(listener.rung().await?, ["main"]);
    Ok(())
}

#[tpro_testkit::test]
async fn a_dispatcher_that_publishes_rings_itself() -> Outcome {
    let database = database().await?;
    let (dispatcher, mut listener, _publisher) = asleep(&database).await?;
    dispatcher.batch_execute(PUBLISH).await?;
    assert_eq!(listener.rung().await?, ["main"], "its own lock keeps its own commit from nothing");
    dispatcher.batch_execute("SELECT tpro.wake('main')").await?;
    dispatcher.batch_execute(PUBLISH).await?;
    assert_eq!(listener.rung().await?, [""; 0]);
    Ok(())
}

#[tpro_testkit::test]
async fn a_dispatcher_that_dies_asleep_leaves_the_bell() -> Outcome {
    let database = database().await?;
    let (dispatcher, mut listener, publisher) = asleep(&database).await?;
    drop(dispatcher);
    let next = database.connect_as("main").await?;
    tpro_testkit::eventually("the bell is free", async || answers(&next, "SELECT tpro.sleep('main')").await)
        .await?;
    publisher.batch_execute(PUBLISH).await?;
    assert_eq!(listener.rung().await?, ["main"]);
    Ok(())
}

#[tpro_testkit::test]
async fn a_rollback_is_silent() -> Outcome {
    let database = database().await?;
    let (_dispatcher, mut listener, publisher) = asleep(&database).await?;
    publisher.batch_execute(&format!("BEGIN; {PUBLISH}; ROLLBACK")).await?;
    refused(&publisher, &format!("BEGIN; {PUBLISH}; SELECT 1 / 0")).await?;
    publisher.batch_execute("ROLLBACK; SELECT 1").await?;
    assert_eq!(listener.rung().await?, [""; 0]);
    // What was noted then is not remembered by the next transaction.
    publisher.batch_execute("CREATE TABLE public.other (a int)").await?;
    assert_eq!(listener.rung().await?, [""; 0]);
    Ok(())
}

#[tpro_testkit::test]
async fn it_rings_for_copy_and_for_deferred_triggers() -> Outcome {
    let database = database().await?;
    let (_dispatcher, mut listener, publisher) = asleep(&database).await?;
    publisher
        .batch_execute("COPY main_service.mq_publish (service_name, entity, method_name) FROM PROGRAM 'printf \"a\\\\tb\\\\tc\\\\n\"'")
        .await?;
    assert_eq!(listener.rung().await?, ["main"]);
    publisher
        .batch_execute(&format!(
            "CREATE TABLE public.orders (id int);
             CREATE FUNCTION public.tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM 1 FROM ({PUBLISH}) p; RETURN NULL; END $$;
             CREATE CONSTRAINT TRIGGER tell AFTER INSERT ON public.orders DEFERRABLE INITIALLY DEFERRED
                 FOR EACH ROW EXECUTE FUNCTION public.tell();"
        ))
        .await?;
    publisher.batch_execute("INSERT INTO public.orders VALUES (1), (2)").await?;
    assert_eq!(listener.rung().await?, ["main"]);
    Ok(())
}

#[tpro_testkit::test]
async fn each_service_has_a_bell_of_its_own() -> Outcome {
    let database = database().await?;
    let (_dispatcher, mut listener, publisher) = asleep(&database).await?;
    let other = PUBLISH.replace("main", "analytic");
    publisher.batch_execute(&other).await?;
    assert_eq!(listener.rung().await?, [""; 0]);
    let analytic = database.connect_as("analytic").await?;
    assert!(answers(&analytic, "SELECT tpro.sleep('analytic')").await?);
    publisher.batch_execute(&format!("BEGIN; {other}; {PUBLISH}; {other}; COMMIT")).await?;
    let mut rung = listener.rung().await?;
    rung.sort();
    assert_eq!(rung, ["analytic", "main"]);
    Ok(())
}

#[tpro_testkit::test]
async fn a_forgotten_open_transaction_does_not_keep_the_dispatcher_awake() -> Outcome {
    let database = database().await?;
    let (forgetful, dispatcher) = (database.connect().await?, database.connect_as("main").await?);
    forgetful.batch_execute(&format!("BEGIN; {PUBLISH}")).await?;
    assert!(answers(&dispatcher, "SELECT tpro.sleep('main')").await?);
    Ok(())
}

#[tpro_testkit::test]
async fn a_prepared_transaction_keeps_the_dispatcher_from_falling_asleep() -> Outcome {
    let database = database().await?;
    let (publisher, dispatcher) = (database.connect().await?, database.connect_as("main").await?);
    let name = format!("{}_awake", database.name());
    publisher.batch_execute(&format!("BEGIN; {PUBLISH}; PREPARE TRANSACTION '{name}'")).await?;
    assert!(!answers(&dispatcher, "SELECT tpro.sleep('main')").await?);
    publisher.batch_execute(&format!("COMMIT PREPARED '{name}'")).await?;
    assert!(answers(&dispatcher, "SELECT tpro.sleep('main')").await?);
    Ok(())
}

#[tpro_testkit::test]
async fn a_transaction_can_be_prepared_while_the_dispatcher_sleeps() -> Outcome {
    let database = database().await?;
    let (_dispatcher, mut listener, publisher) = asleep(&database).await?;
    let name = format!("{}_asleep", database.name());
    // PostgreSQL would refuse to prepare a transaction that has notified; the slow poll finds this one.
    publisher.batch_execute(&format!("BEGIN; {PUBLISH}; PREPARE TRANSACTION '{name}'")).await?;
    publisher.batch_execute(&format!("COMMIT PREPARED '{name}'")).await?;
    assert_eq!(listener.rung().await?, [""; 0]);
    publisher.batch_execute(PUBLISH).await?;
    assert_eq!(listener.rung().await?, ["main"]);
    Ok(())
}

#[tpro_testkit::test]
async fn it_cannot_be_rung_by_hand_and_hangs_on_nothing_else() -> Outcome {
    let admin = database().await?.connect().await?;
    assert_eq!(refused(&admin, "SELECT tpro.bell()").await?.state, "39P01");
    admin.batch_execute("CREATE TABLE public.t (a int)").await?;
    for trigger in [
        "CREATE TRIGGER b AFTER INSERT ON public.t FOR EACH ROW EXECUTE FUNCTION tpro.bell()",
        "CREATE TRIGGER b BEFORE INSERT ON public.t FOR EACH STATEMENT EXECUTE FUNCTION tpro.bell()",
    ] {
        admin.batch_execute(trigger).await?;
        assert_eq!(refused(&admin, "INSERT INTO public.t VALUES (1)").await?.state, "39P01");
        admin.batch_execute("DROP TRIGGER b ON public.t").await?;
    }
    Ok(())
}

#[tpro_testkit::test]
async fn a_schema_that_is_dropped_in_the_same_transaction_has_no_bell() -> Outcome {
    let database = database().await?;
    let (_dispatcher, mut listener, publisher) = asleep(&database).await?;
    publisher.batch_execute(&format!("BEGIN; {PUBLISH}; DROP SCHEMA main_service CASCADE; COMMIT")).await?;
    assert_eq!(listener.rung().await?, [""; 0]);
    Ok(())
}
