//! The CPU time of publishers while a dispatcher is at work: of many that publish as fast as they
//! can, and of one that publishes now and then, for whose message it may have to be woken.

use std::time::Duration;

use tokio::task::block_in_place;
use tpro_testkit::{Database, Outcome};

use crate::args::Extent;
use crate::clone::{database_with_clone, insert};
use crate::line::{Goal, Line, Section, Unit};
use crate::publishers::Publishers;
use crate::stand::Stand;
use crate::table::{interval, median, ratios};

/// Publishers that are busy.
const BUSY: usize = 8;
/// The time for which they publish.
const TIME: Duration = Duration::from_secs(1);
/// The time before each message of the one that publishes now and then.
const GAP: Duration = Duration::from_millis(25);
/// Times the CPU time of the clone's commits, at most.
const GOAL_BUSY: f64 = 1.08;
/// Where a commit may ring.
const GOAL_RARE: f64 = 1.4;
/// The longest that `PARK_AFTER_MS` takes.
const NEVER: u32 = 60_000;

/// Measures.
pub async fn measure(stand: &Stand, extent: &Extent) -> Outcome<Section> {
    let rounds = extent.publish_rounds;
    // Journal rows, which are read and not sent: the machine has no room for both.
    let database = database_with_clone(stand).await?;
    let awake = stand.sidecar(&database, "main")?.env("PARK_AFTER_MS", NEVER).start().await?;
    let busy = block_in_place(|| pair(&database, true, BUSY, rounds, &|publishers| publishers.burst(TIME)))?;
    awake.stop().await?;

    let database = database_with_clone(stand).await?;
    let echo = stand.sidecar(&database, "echo")?.start().await?;
    let main = stand.sidecar(&database, "main")?.start().await?;
    let messages = if extent.quick { 40 } else { 100 };
    let rare =
        block_in_place(|| pair(&database, false, 1, rounds, &|publisher| publisher.trickle(messages, GAP)))?;
    main.stop().await?;
    echo.stop().await?;

    let note = format!(
        "CPU time of the publishers' backends by the number of their commits, {rounds} rounds in turns with the clone: \
         {BUSY} clients as fast as they can while the dispatcher is awake, and one client with {} ms before \
         each message.",
        GAP.as_millis()
    );
    let lines = vec![
        line(format!("{BUSY} clients, dispatcher busy"), &busy, GOAL_BUSY),
        line(format!("one client, every {} ms", GAP.as_millis()), &rare, GOAL_RARE),
    ];
    Ok(Section { title: format!("CPU time of a publish{}", extent.suffix()), note, lines })
}

/// The costs of both, in turns.
fn pair(
    database: &Database,
    direct: bool,
    clients: usize,
    rounds: usize,
    round: &dyn Fn(&Publishers) -> Outcome<f64>,
) -> Outcome<(Vec<f64>, Vec<f64>)> {
    let open = |table| Publishers::open(database, &insert(table, direct), clients);
    let (outbox, clone) = (open("mq_publish")?, open("clone")?);
    // Plans and caches are there before it counts.
    round(&outbox)?;
    round(&clone)?;
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        with.push(round(&outbox)?);
        without.push(round(&clone)?);
    }
    Ok((with, without))
}

fn line(subject: String, (with, without): &(Vec<f64>, Vec<f64>), goal: f64) -> Line {
    Line {
        subject,
        unit: Unit::Us,
        floor: median(without),
        ours: median(with),
        ratio: interval(&ratios(with, without)),
        goal: Some(Goal::AtMost(goal)),
    }
}
