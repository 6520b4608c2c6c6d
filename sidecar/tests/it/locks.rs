//! A role without any right goes for the locks of leader and bell, by every lock that SQL has.

use tokio_postgres::Client;
use tpro_testkit::{Message, Outcome, World};

use crate::answerer::Answerer;
use crate::copies::leader;
use crate::cursor::asleep;

/// Takes every advisory lock that could be one of ours by its numbers: the schema's oid with the kinds of lock, as two
/// numbers and as one, exclusively and shared, for the session and for the transaction.
async fn grab(stranger: &Client, schema: u32) -> Outcome {
    stranger.batch_execute("BEGIN").await?;
    for kind in 0..=4_u32 {
        let pair = format!("{}, {kind}", schema.cast_signed());
        let whole = (u64::from(schema) << 32 | u64::from(kind)).cast_signed();
        for numbers in [pair, format!("{whole}::bigint")] {
            for lock in ["lock", "lock_shared", "xact_lock", "xact_lock_shared"] {
                let taken = format!("SELECT pg_try_advisory_{lock}({numbers})");
                assert!(stranger.query_one(&taken, &[]).await?.get::<_, bool>(0), "{taken}");
            }
        }
    }
    Ok(())
}

#[tpro_testkit::test]
async fn a_stranger_with_every_lock_of_sql_holds_up_nobody() -> Outcome {
    let world = World::new().await?;
    let answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    let role = format!("stranger_{}", world.database.name());
    world.database.create_role(&role).await?;
    let stranger = world.database.connect_as(&role).await?;
    let schema = "SELECT oid FROM pg_namespace WHERE nspname = 'main_service'";
    let schema: u32 = world.admin.query_one(schema, &[]).await?.get(0);

    // Before anybody leads or sleeps, and it keeps them.
    grab(&stranger, schema).await?;
    let held = format!(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = (SELECT pid FROM pg_stat_activity WHERE usename = '{role}')"
    );
    assert!(world.count(&held).await? >= 10, "the stranger has its locks");
    let main = world.start(world.sidecar("main")?.env("POLL_INTERVAL_MS", 0)).await?;
    assert_eq!(leader(&world).await?, 1);
    let request = Message::to("old.thing.ask").protocol("json");
    for _ in 0..5 {
        asleep(&world).await?;
        world.ask(&request).await?.ok()?;
    }
    request.publish_many(&world.main, 500).await?;
    world.recon().await?;
    assert_eq!(answerer.taken(), 505);

    // It may not lock our tables, nor end a session of ours, nor use our own functions.
    let second = world.database.connect_as(&role).await?;
    for forbidden in [
        "LOCK TABLE main_service.mq_publish",
        "LOCK TABLE main_service.mq_reply IN ACCESS SHARE MODE",
        "LOCK TABLE main_service.mq_cursor IN ROW SHARE MODE",
        "SELECT FROM main_service.mq_cursor FOR UPDATE",
        "SELECT pg_terminate_backend(leader_pid) FROM tpro.services",
        "SELECT tpro.lead('main')",
        "SELECT tpro.sleep('main')",
        "SELECT tpro.depose('main')",
    ] {
        second.batch_execute("BEGIN").await?;
        let refused = second.batch_execute(forbidden).await.expect_err(forbidden);
        second.batch_execute("ROLLBACK").await?;
        assert_eq!(refused.code().map(|code| code.code()), Some("42501"), "{forbidden}: {refused}");
    }
    assert_eq!(main.metric("tpro_takeovers_total").await?, 1.0);
    drop((stranger, second));
    world.admin.batch_execute(&format!("DROP ROLE {role}")).await?;
    world.finish(&[&main]).await?;
    Ok(())
}
