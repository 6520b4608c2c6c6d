//! Messages a second from waiting outbox rows to reply rows: the sidecars of two services, against
//! the floor.
//!
//! Both find their rows waiting when they start, and both have another process answer. Every round
//! has equal rows; the rows of a round are taken away after it.

use std::time::Duration;

use tokio_postgres::Client;
use tpro_testkit::eventually::eventually_within;
use tpro_testkit::{Context as _, Database, Failure, Outcome, Process};

use crate::args::Extent;
use crate::cpu;
use crate::floor::TABLES;
use crate::stand::Stand;
use crate::table::{median, ratio, thousands};

/// The share of the floor's speed that the sidecars are to have.
const GOAL: f64 = 0.5;
/// A round takes seconds.
const LIMIT: Duration = Duration::from_secs(120);

const FILL: &str = r#"
INSERT INTO main_service.mq_publish (protocol,space_name,service_name,entity,method_name,timeout,headers,body)
SELECT 'jsonrpc','tpro','echo','bench','echo',3600,'{}', jsonb_build_object('ip','172.19.0.8','login','login' || n,'password','phnd26w')
  FROM generate_series(1, $1::bigint) AS n"#;
const FILL_FLOOR: &str = "INSERT INTO floor.outbox SELECT id, body FROM main_service.mq_publish";

/// Makes all rows unread and unanswered, while no dispatcher runs.
const ANEW: &str = "
TRUNCATE main_service.mq_reply;
DELETE FROM main_service.mq_cursor;
INSERT INTO main_service.mq_cursor DEFAULT VALUES;
TRUNCATE floor.reply;
CHECKPOINT;";

/// Measures and prints.
pub async fn measure(stand: &Stand, extent: &Extent) -> Outcome {
    let database = stand.database().await?;
    let admin = database.connect().await?;
    admin.batch_execute(TABLES).await.context("making the tables of the floor")?;
    let messages = i64::try_from(extent.messages)?;
    database.connect_as("main").await?.execute(FILL, &[&messages]).await.context("filling the outbox")?;
    admin.execute(FILL_FLOOR, &[]).await.context("filling the floor's outbox")?;
    admin.batch_execute("VACUUM ANALYZE main_service.mq_publish, floor.outbox").await?;

    let _responder = stand.spawn_task("floor-responder", &[], &database.url())?;
    let echo = stand.sidecar(&database, "echo")?.start().await?;
    let (mut tpro, mut floor) = (Vec::new(), Vec::new());
    let (mut tpro_cpu, mut floor_cpu) = (Vec::new(), Vec::new());
    let a_message = |spent: Duration| spent.as_secs_f64() * 1e6 / messages as f64;
    for _ in 0..extent.roundtrip_rounds {
        admin.batch_execute(ANEW).await.context("making all rows unread again")?;
        let begun = cpu::spent();
        floor.push(messages as f64 / floor_seconds(stand, &database, extent).await?);
        let between = cpu::spent();
        tpro.push(messages as f64 / tpro_seconds(stand, &database, &admin, messages).await?);
        floor_cpu.push(a_message(between.saturating_sub(begun)));
        tpro_cpu.push(a_message(cpu::spent().saturating_sub(between)));
    }
    echo.stop().await?;

    let (rounds, waiting) = (extent.roundtrip_rounds, thousands(messages as f64));
    println!("\nEnd to end, {waiting} rows waiting, messages/s, median of {rounds} rounds");
    println!("  minimal dispatcher     tpro   ratio");
    let (theirs, ours) = (thousands(median(&floor)), thousands(median(&tpro)));
    println!("  {theirs:>18}   {ours:>6}   {}", ratio(&tpro, &floor, GOAL));
    println!("CPU time a message, all processes, start and stop of tpro included, median, microseconds");
    println!(
        "  {:>18.1}   {:>6.1}   {:>5.2}",
        median(&floor_cpu),
        median(&tpro_cpu),
        median(&floor_cpu) / median(&tpro_cpu)
    );
    Ok(())
}

async fn floor_seconds(stand: &Stand, database: &Database, extent: &Extent) -> Outcome<f64> {
    let messages = format!("--messages={}", extent.messages);
    let dispatcher: Process = stand.spawn_task("floor-dispatcher", &[&messages], &database.url())?;
    let exit = dispatcher.wait_within(LIMIT).await?;
    let said = dispatcher.log();
    match said.trim().parse() {
        Ok(seconds) if exit.success() => Ok(seconds),
        _ => Err(Failure::new(format!("the minimal dispatcher ended with {exit}: {said}"))),
    }
}

/// From the first send to the last reply row, by the clock of this machine.
async fn tpro_seconds(stand: &Stand, database: &Database, admin: &Client, messages: i64) -> Outcome<f64> {
    const WRITTEN: &str = "SELECT count(*) FROM main_service.mq_reply";
    // Counting is dear; as long as the last row has no reply there is no need to.
    const LAST: &str =
        "SELECT FROM main_service.mq_reply WHERE mq_id = (SELECT max(id) FROM main_service.mq_publish)";
    const SPENT: &str = "SELECT extract(epoch FROM max(replied_at) - min(sent_at))::float8,
                                count(*) FILTER (WHERE status <> 'ok') FROM main_service.mq_reply";
    let main = stand.sidecar(database, "main")?.start().await?;
    eventually_within(LIMIT, "every row is settled", async || {
        tokio::time::sleep(Duration::from_millis(100)).await;
        if admin.query_opt(LAST, &[]).await?.is_none() {
            return Ok(None);
        }
        let written: i64 = admin.query_one(WRITTEN, &[]).await?.get(0);
        Ok((written >= messages).then_some(()))
    })
    .await?;
    let spent = admin.query_one(SPENT, &[]).await?;
    main.stop().await?;
    match spent.get::<_, i64>(1) {
        0 => Ok(spent.get(0)),
        failed => Err(Failure::new(format!("{failed} of {messages} replies are not ok"))),
    }
}
