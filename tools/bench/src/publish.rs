//! The cost of a publish for its transaction: commits a second into `mq_publish`, against commits a
//! second into a clone of it without the trigger.
//!
//! While the dispatcher is awake the rows are journal rows (`direct`), which it reads past and does
//! not send: on a small machine the sending would be measured and not the publishing. The
//! dispatcher never sleeps, since it is told so. As it finds no message it reads every 8 ms or less
//! often, and not every millisecond as it does while messages come: what that costs is part of
//! [`continuous`](crate::continuous). Where none runs the rows are messages.

use tpro_testkit::Outcome;

use crate::args::Extent;
use crate::axis::Axis;
use crate::clone::{call, database_with_clone, database_with_function, insert};
use crate::cost;
use crate::line::{Goal, Line, Section, Unit};
use crate::pgbench::Pgbench;
use crate::plot::{Plot, Series};
use crate::stand::Stand;
use crate::table::{interval, median, ratio, ratios, thousands};

/// The numbers of publishers at once, while the dispatcher is awake.
const AWAKE: [usize; 3] = [1, 8, 32];
/// The numbers of publishers at once, while none runs.
const ALONE: [usize; 4] = [1, 8, 32, 128];
/// Above it a round takes three seconds.
const MANY: usize = 100;
/// Publishers that call the function.
const CALLERS: usize = 8;
/// The share of the clone's speed that a publish is to have while the dispatcher is awake.
const GOAL: f64 = 0.9;
/// While none runs.
const GOAL_ALONE: f64 = 0.97;
/// By the function.
const GOAL_FUNCTION: f64 = 0.95;

/// The longest that `PARK_AFTER_MS` takes: a minute, which is longer than a round.
const NEVER: u32 = 60_000;

/// Measures, and prints the lines of the dispatcher that is awake.
pub async fn measure(stand: &Stand, extent: &Extent) -> Outcome<(Vec<Section>, Plot)> {
    let awake = awake(stand, extent).await?;
    let alone = alone(stand, extent).await?;
    let curve = |of: fn(&Line) -> f64| {
        ALONE.iter().zip(&alone.lines).map(|(clients, line)| (*clients as f64, of(line))).collect()
    };
    let plot = Plot {
        name: "publish-clients",
        title: "Publishing, no dispatcher",
        x: Axis::logarithmic("clients"),
        y: Axis::linear("commits a second"),
        series: vec![
            Series::new("without trigger", curve(|line| line.floor)),
            Series::new("mq_publish", curve(|line| line.ours)),
        ],
    };
    Ok((vec![awake, alone, cost::measure(stand, extent).await?], plot))
}

async fn awake(stand: &Stand, extent: &Extent) -> Outcome<Section> {
    let (rounds, suffix) = (extent.publish_rounds, extent.suffix());
    let database = database_with_clone(stand).await?;
    let awake = stand.sidecar(&database, "main")?.env("PARK_AFTER_MS", NEVER).start().await?;
    let outbox = Pgbench::new(stand, &database, "publish", &insert("mq_publish", true))?;
    let clone = Pgbench::new(stand, &database, "clone", &insert("clone", true))?;
    // Connections, plans and files are there before it counts.
    outbox.second(8).await?;
    clone.second(8).await?;

    println!(
        "\nA publish while the dispatcher is awake, commits/s, median of {rounds} rounds of a second each{suffix}"
    );
    println!("  clients   without trigger   mq_publish   ratio");
    let mut lines = Vec::new();
    for clients in AWAKE {
        let (with, without) = pairs(&outbox, &clone, clients, rounds).await?;
        let (ours, theirs) = (thousands(median(&with)), thousands(median(&without)));
        println!("  {clients:>7}   {theirs:>15}   {ours:>10}   {}", ratio(&with, &without, GOAL));
        lines.push(line(format!("INSERT, {clients} clients"), &with, &without, GOAL));
    }
    awake.stop().await?;
    Ok(section("Publishing while the dispatcher is awake", extent, lines))
}

async fn alone(stand: &Stand, extent: &Extent) -> Outcome<Section> {
    let rounds = extent.publish_rounds;
    let database = database_with_function(stand).await?;
    let outbox = Pgbench::new(stand, &database, "publish-alone", &insert("mq_publish", false))?;
    let clone = Pgbench::new(stand, &database, "clone-alone", &insert("clone", false))?;
    let publish = Pgbench::new(stand, &database, "function", &call("tpro.publish"))?;
    let plain = Pgbench::new(stand, &database, "plain", &call("main_service.plain"))?;
    let checked = Pgbench::new(stand, &database, "checked", &insert("mq_publish", false))?
        .with("-c tpro.check_bodies=error");
    for warm in [&outbox, &clone, &publish, &plain, &checked] {
        warm.second(CALLERS).await?;
    }
    let mut lines = Vec::new();
    for clients in ALONE {
        let (with, without) = pairs(&outbox, &clone, clients, rounds).await?;
        lines.push(line(format!("INSERT, {clients} clients"), &with, &without, GOAL_ALONE));
    }
    let (with, without) = pairs(&publish, &plain, CALLERS, rounds).await?;
    lines.push(line(format!("tpro.publish(), {CALLERS} clients"), &with, &without, GOAL_FUNCTION));
    let (with, without) = pairs(&checked, &outbox, CALLERS, rounds).await?;
    let checking = line(format!("body checked, of not, {CALLERS} clients"), &with, &without, 0.0);
    lines.push(Line { goal: None, ..checking });
    Ok(section("Publishing, no dispatcher", extent, lines))
}

/// Commits a second of both.
async fn pairs(
    ours: &Pgbench,
    theirs: &Pgbench,
    clients: usize,
    rounds: usize,
) -> Outcome<(Vec<f64>, Vec<f64>)> {
    // The time runs while clients connect, and many take most of a second.
    let seconds = if clients > MANY { 3 } else { 1 };
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        // In turns, and turned about: a drift of the machine meets both.
        if round % 2 == 0 {
            with.push(ours.seconds(clients, seconds).await?);
            without.push(theirs.seconds(clients, seconds).await?);
        } else {
            without.push(theirs.seconds(clients, seconds).await?);
            with.push(ours.seconds(clients, seconds).await?);
        }
    }
    Ok((with, without))
}

fn line(subject: String, with: &[f64], without: &[f64], goal: f64) -> Line {
    Line {
        subject,
        unit: Unit::ASecond,
        floor: median(without),
        ours: median(with),
        ratio: interval(&ratios(with, without)),
        goal: Some(Goal::AtLeast(goal)),
    }
}

fn section(title: &str, extent: &Extent, lines: Vec<Line>) -> Section {
    let rounds = extent.publish_rounds;
    let note = format!(
        "Commits a second by pgbench, {rounds} rounds of a second each (of three with 128 clients) in turns. The floor is a clone of mq_publish \
         with all its columns, domains, defaults, constraints, indexes and partitions, and no trigger; of \
         tpro.publish(), a function of SQL that inserts into the clone."
    );
    Section { title: format!("{title}{}", extent.suffix()), note, lines }
}
