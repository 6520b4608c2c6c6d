//! A great many rows that wait: memory stays bounded, they leave in their order, and nobody else waits behind them.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tpro_testkit::eventually::eventually_within;
use tpro_testkit::{Context as _, Outcome, Sidecar, SidecarProcess, Times, World};

use crate::answerer::Answerer;

/// Rows that wait.
const MANY: i64 = 1_000_000;
/// What a copy may ever have had in memory, in bytes.
const MEMORY: u64 = 64 << 20;
/// How long a million may take where everything is slow. Nothing is said about time but that it ends.
const PATIENCE: Duration = Duration::from_secs(3600);

/// A target that notes in which order it is asked.
struct Target {
    answerer: Answerer,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    numbers: Mutex<HashSet<i64>>,
    last: AtomicI64,
    /// First arrivals that came after a higher number.
    late: AtomicI64,
    slow: AtomicBool,
}

impl Target {
    /// Answers what goes to `service.thing.do`; slowly, until it is told to hurry.
    async fn start(world: &World, service: &str, slow: bool) -> Outcome<Target> {
        let seen = Arc::new(Seen { slow: AtomicBool::new(slow), ..Seen::default() });
        let notes = seen.clone();
        let subject = format!("tpro.{service}.thing.do");
        let answerer = Answerer::start(&world.nats, &subject, move |body| {
            if notes.slow.load(Ordering::Relaxed) {
                // Its work. It does one thing at a time.
                std::thread::sleep(Duration::from_millis(2));
            }
            notes.note(body["n"].as_i64().unwrap_or_default());
            "true".to_owned()
        })
        .await?;
        Ok(Target { answerer, seen })
    }

    fn hurry(&self) {
        self.seen.slow.store(false, Ordering::Relaxed);
    }

    /// How many first arrivals were out of order.
    fn out_of_order(&self) -> i64 {
        self.seen.late.load(Ordering::Relaxed)
    }

    fn distinct(&self) -> usize {
        self.seen.numbers.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).len()
    }
}

impl Seen {
    fn note(&self, number: i64) {
        let mut numbers = self.numbers.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if numbers.insert(number) && self.last.fetch_max(number, Ordering::Relaxed) > number {
            self.late.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A copy whose spans would not be looked at.
fn quiet(sidecar: Sidecar) -> Sidecar {
    sidecar.without("OTEL_EXPORTER_OTLP_ENDPOINT")
}

/// Numbered rows for a service, in one statement.
async fn publish(world: &World, service: &str, rows: i64) -> Outcome {
    let statement = "INSERT INTO main_service.mq_publish (protocol, space_name, service_name, entity, method_name, timeout, body)
        SELECT 'json', 'tpro', $1::text, 'thing', 'do', 86400,
               jsonb_build_object('n', n, 'ip', '172.19.0.8', 'login', 'login' || n, 'password', 'phnd26w')
        FROM generate_series(1, $2::bigint) AS n";
    world.main.execute(statement, &[&service, &rows]).await.context("publishing")?;
    Ok(())
}

async fn until_metric(copy: &SidecarProcess, name: &str, holds: impl Fn(f64) -> bool) -> Outcome {
    eventually_within(PATIENCE, &format!("{name} is as it should be"), async || {
        // While it starts there is no page yet; a look now and then is enough.
        tokio::time::sleep(Duration::from_millis(100)).await;
        Ok(copy.metric(name).await.is_ok_and(&holds).then_some(()))
    })
    .await
}

/// The most that the process ever had in RAM, in bytes.
fn peak(copy: &SidecarProcess) -> Outcome<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", copy.process().pid()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}

fn is_small(copy: &SidecarProcess, when: &str) -> Outcome {
    let peak = peak(copy)?;
    println!(
        "figure: {} {when}: at most {:.1} MiB in memory",
        copy.process().name(),
        peak as f64 / 1048576.0
    );
    assert!(peak <= MEMORY, "{} had {peak} bytes in memory {when}", copy.process().name());
    Ok(())
}

#[ignore = "slow: make faults"]
#[tpro_testkit::test(threads = 4)]
async fn a_million_rows_wait_for_a_slow_target_in_little_memory_and_leave_in_order() -> Outcome {
    let world = World::options().services(&["main"]).start().await?;
    let target = Target::start(&world, "slow", true).await?;
    let main = world.start(quiet(world.sidecar("main")?)).await?;
    publish(&world, "slow", MANY).await?;
    // All of them are known to the leader while the target works on the first.
    until_metric(&main, "tpro_waiting", |waiting| waiting > MANY as f64 * 0.9).await?;
    is_small(&main, "while a million rows wait for a slow target")?;
    target.hurry();
    let begun = Instant::now();
    until_metric(&main, "tpro_unsettled", |unsettled| unsettled == 0.0).await?;
    println!(
        "figure: a million rows were settled in {} s once their target hurried",
        begun.elapsed().as_secs()
    );
    is_small(&main, "when a million rows have left")?;
    assert_eq!(target.out_of_order(), 0, "they left in the order of their ids");
    assert_eq!(target.distinct(), MANY as usize);
    let recon = world.finish(&[&main]).await?;
    assert_eq!(recon.settled, MANY);
    Ok(())
}

#[ignore = "slow: make faults"]
#[tpro_testkit::test(threads = 4)]
async fn a_million_rows_for_a_dead_target_take_little_memory_and_hold_nobody_up() -> Outcome {
    const OTHERS: i64 = 2_000;
    let world = World::options().services(&["main"]).start().await?;
    let alive = Target::start(&world, "alive", false).await?;
    let main = world.start(quiet(world.sidecar("main")?)).await?;
    publish(&world, "alive", OTHERS).await?;
    let settled =
        "SELECT count(*) FROM main_service.mq_reply r JOIN main_service.mq_publish p ON p.id = r.mq_id
        WHERE p.service_name = 'alive'";
    let alone = answered_in(&world, settled, OTHERS).await?;

    publish(&world, "dead", MANY).await?;
    until_metric(&main, "tpro_unsettled", |unsettled| unsettled >= MANY as f64).await?;
    publish(&world, "alive", OTHERS).await?;
    let beside = answered_in(&world, settled, 2 * OTHERS).await?;
    let still = world.count("SELECT count(*) FROM main_service.mq_reply").await?;
    assert_eq!(still, 2 * OTHERS, "what is for the living is settled, and nothing else");
    for (what, taken) in [("alone", alone), ("beside a million rows for a dead one", beside)] {
        let mut times = Times::of(format!("2,000 messages to a living service, {what}"));
        times.add(taken);
        times.report();
    }
    is_small(&main, "while a million rows wait for a dead target")?;
    assert_eq!(alive.answerer.taken(), 2 * OTHERS as usize, "none was sent twice");

    let risen = Target::start(&world, "dead", false).await?;
    until_metric(&main, "tpro_unsettled", |unsettled| unsettled == 0.0).await?;
    is_small(&main, "when the dead target has risen and taken them all")?;
    assert_eq!(risen.distinct(), MANY as usize);
    let recon = world.finish(&[&main]).await?;
    assert_eq!(recon.settled, MANY + 2 * OTHERS);
    Ok(())
}

async fn answered_in(world: &World, count: &str, rows: i64) -> Outcome<Duration> {
    let begun = Instant::now();
    eventually_within(PATIENCE, "they are settled", async || {
        Ok((world.count(count).await? >= rows).then_some(()))
    })
    .await?;
    Ok(begun.elapsed())
}

#[ignore = "slow: make faults"]
#[tpro_testkit::test(threads = 4)]
async fn four_copies_that_find_a_hundred_thousand_rows_waiting_send_each_once_and_in_order() -> Outcome {
    const ROWS: i64 = 100_000;
    let world = World::options().services(&["main"]).start().await?;
    let target = Target::start(&world, "old", false).await?;
    publish(&world, "old", ROWS).await?;
    let mut copies = Vec::new();
    for number in 1..=4 {
        copies.push(world.spawn(quiet(world.sidecar("main")?).copy(number))?);
    }
    for copy in &copies {
        copy.ready().await?;
    }
    eventually_within(PATIENCE, "all is settled", async || {
        tokio::time::sleep(Duration::from_millis(100)).await;
        Ok((world.count("SELECT count(*) FROM main_service.mq_reply").await? == ROWS).then_some(()))
    })
    .await?;
    for copy in &copies {
        is_small(copy, "after a start with a hundred thousand rows waiting")?;
    }
    assert_eq!(target.out_of_order(), 0, "they left in the order of their ids");
    assert_eq!(target.answerer.taken(), ROWS as usize, "each was sent once, whichever copy led");
    world.finish(&copies.iter().collect::<Vec<_>>()).await?;
    Ok(())
}
