//! Transactions that stay open for long: a snapshot that is held, a million rows that are not committed, two hundred
//! publishers that never come to an end.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::time::{Duration, Instant};

use tpro_testkit::{Message, Outcome, Postgres, Times, World, eventually};

use crate::answerer::Answerer;

/// Messages of one measurement, and how often it is made.
const MESSAGES: i32 = 5_000;
const ROUNDS: usize = 4;
/// Rows of one open transaction, and open transactions.
const HELD: i32 = 1_000_000;
const OPEN: usize = 200;

/// How many messages a second go round.
async fn throughput(world: &World, what: &str) -> Outcome {
    let request = Message::to("old.thing.ask").protocol("json").timeout(120);
    let settled = "SELECT count(*) FROM main_service.mq_reply";
    let mut rates = Vec::new();
    for _ in 0..ROUNDS {
        let before = world.count(settled).await?;
        let begun = Instant::now();
        request.publish_many(&world.main, MESSAGES).await?;
        eventually("they are settled", async || {
            Ok(world.count(settled).await? == before + i64::from(MESSAGES))
        })
        .await?;
        rates.push(format!("{:.0}", f64::from(MESSAGES) / begun.elapsed().as_secs_f64()));
    }
    println!("figure: messages a second {what}: {}", rates.join(", "));
    Ok(())
}

/// Reports how long the server takes for a hundred reads that it logs from now on.
async fn reads(cluster: &Postgres, what: &str) -> Outcome {
    let mut log = File::open(cluster.log_path())?;
    log.seek(SeekFrom::End(0))?;
    let (mut times, mut count, mut logged) = (Times::of(format!("an empty read {what}")), 0, Vec::new());
    eventually("it has read a hundred times", async || {
        log.read_to_end(&mut logged)?;
        // The last line may still be on its way.
        let whole = logged.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let lines = String::from_utf8_lossy(&logged[..whole]).into_owned();
        logged.drain(..whole);
        let reads = lines.lines().filter(|line| line.contains("execute ") && line.contains("outbox.read"));
        for ms in reads.filter_map(|line| line.split("duration: ").nth(1)?.split(' ').next()?.parse().ok()) {
            times.add(Duration::from_secs_f64(f64::max(ms, 0.0) / 1000.0));
            count += 1;
        }
        Ok(count >= 100)
    })
    .await?;
    times.report();
    Ok(())
}

#[tpro_testkit::test]
#[ignore = "slow: make faults"]
async fn transactions_that_stay_open_slow_nothing_down() -> Outcome {
    // The server itself says how long each read takes; its text has no values in it.
    let cluster = Postgres::own()
        .set("log_min_duration_statement", "0")
        .set("log_parameter_max_length", "0")
        .set("autovacuum", "off")
        .start()
        .await?;
    let world = World::options().services(&["main"]).cluster(cluster.clone()).start().await?;
    let answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    let main = world.start(world.sidecar("main")?.env("POLL_INTERVAL_MS", 20)).await?;
    let request = Message::to("old.thing.ask").protocol("json").timeout(120);
    throughput(&world, "with no transaction open").await?;
    reads(&cluster, "with no transaction open").await?;

    let report = world.database.connect().await?;
    report
        .batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM main_service.mq_publish")
        .await?;
    let large = world.database.connect_as("main").await?;
    large.batch_execute("BEGIN").await?;
    let begun = Instant::now();
    request.publish_many(&large, HELD).await?;
    println!("figure: {HELD} rows were inserted in {:.0} s, not committed", begun.elapsed().as_secs_f64());
    let mut open = Vec::new();
    for _ in 0..OPEN {
        let session = world.database.connect_as("main").await?;
        session.batch_execute("BEGIN").await?;
        request.publish(&session).await?;
        open.push(session);
    }
    let held = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'";
    assert_eq!(world.count(held).await?, i64::try_from(OPEN)? + 2, "they are all open");

    throughput(&world, "with a snapshot held, a million rows and 200 transactions open").await?;
    reads(&cluster, "with a snapshot held, a million rows and 200 transactions open").await?;
    // Sessions report what they did with a delay. No dead rows among none would mean nothing.
    let all = 2 * i64::try_from(ROUNDS)? * i64::from(MESSAGES);
    for table in ["publish", "reply"] {
        let inserted = format!(
            "SELECT coalesce(sum(n_tup_ins), 0)::int8 FROM pg_stat_user_tables
             WHERE schemaname = 'main_service' AND relname ~ '^mq_{table}'"
        );
        eventually(&format!("the server has counted the rows of mq_{table}"), async || {
            Ok(world.count(&inserted).await? >= all)
        })
        .await?;
    }
    let dead = "SELECT coalesce(sum(n_dead_tup), 0)::int8 FROM pg_stat_user_tables
        WHERE schemaname = 'main_service' AND relname ~ '^mq_(publish|reply)'";
    assert_eq!(world.count(dead).await?, 0, "nothing is updated or deleted in the hot tables");
    let before = answerer.taken();
    assert_eq!(before, 2 * ROUNDS * usize::try_from(MESSAGES)?, "what is not committed is not sent");

    large.batch_execute("ROLLBACK").await?;
    for session in &open {
        session.batch_execute("COMMIT").await?;
    }
    report.batch_execute("COMMIT").await?;
    world.recon().await?;
    assert_eq!(answerer.taken(), before + OPEN, "what is committed is sent, and once");
    world.finish(&[&main]).await?;
    Ok(())
}
