//! Growth: latency and throughput in a database that has much in it, beside the same in a small
//! one.
//!
//! Both databases do the same in turns, each with sidecars of its own that are started for it.

mod place;

use std::time::Duration;

use tpro_testkit::Outcome;

use crate::args::Extent;
use crate::line::{Goal, Line, Section, Unit};
use crate::stand::Stand;
use crate::table::{flat, interval, median, ratios};
use place::{Place, Round};

/// The share of its own speed that tpro is to keep.
const KEPT: f64 = 0.95;
/// The most that its median may be, times that of the small database.
const SLOWER: f64 = 1.05;
/// The longest time from the start of a sidecar to its first send.
const FIRST_SEND: Duration = Duration::from_secs(1);

/// The thing that a database has much of.
#[derive(Clone, Copy, Debug)]
enum Much {
    /// Rows that are settled.
    Settled(u64),
    /// Rows that wait for a service that nobody runs.
    Waiting(u64),
    /// A transaction whose snapshot is held all the while.
    Snapshot,
    /// Services, of which some have a sidecar.
    Services { all: usize, running: usize },
}

impl Much {
    fn all(quick: bool) -> [Self; 4] {
        let fewer = if quick { 10 } else { 1 };
        [
            Self::Snapshot,
            Self::Services { all: 100, running: 10 },
            Self::Waiting(1_000_000 / fewer),
            Self::Settled(10_000_000 / fewer),
        ]
    }

    fn name(self) -> String {
        match self {
            Self::Settled(rows) => format!("{} settled rows", millions(rows)),
            Self::Waiting(rows) => format!("{} rows waiting", millions(rows)),
            Self::Snapshot => "a snapshot held".to_owned(),
            Self::Services { all, running } => format!("{all} services, {running} sidecars"),
        }
    }
}

/// Measures.
pub async fn measure(stand: &Stand, extent: &Extent) -> Outcome<Section> {
    let rounds = extent.growth_rounds;
    let small = Place::new(stand).await?;
    let mut lines = Vec::new();
    for much in Much::all(extent.quick) {
        eprintln!("growth: {}", much.name());
        let grown = Place::new(stand).await?;
        let _held = grown.grow(stand, much).await?;
        // Plans, caches and files are there before it counts.
        grown.round(stand).await?;
        small.round(stand).await?;
        let (mut ours, mut beside) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            ours.push(grown.round(stand).await?);
            beside.push(small.round(stand).await?);
        }
        lines.extend(beside_itself(much, &ours, &beside));
        if let Much::Waiting(rows) = much {
            lines.push(first_send(stand, rows).await?);
        }
    }
    let note = format!(
        "Stateless, {rounds} rounds in turns with a small database: the median of {} messages one at a time, and the \
         messages a second with {} rows waiting. The last column of rows that wait is the time from the start of a \
         sidecar to its first send, beside a second.",
        place::SINGLE,
        place::MANY
    );
    Ok(Section { title: format!("Growth{}", extent.suffix()), note, lines })
}

fn beside_itself(much: Much, ours: &[Round], beside: &[Round]) -> [Line; 2] {
    let line = |what: &str, unit, of: fn(&Round) -> f64, goal| {
        let (ours, beside): (Vec<f64>, Vec<f64>) =
            (ours.iter().map(of).collect(), beside.iter().map(of).collect());
        Line {
            subject: format!("{}, {what}", much.name()),
            unit,
            floor: median(&beside),
            ours: median(&ours),
            ratio: interval(&ratios(&ours, &beside)),
            goal: Some(goal),
        }
    };
    [
        line("p50", Unit::Ms, |round| round.ms, Goal::AtMost(SLOWER)),
        line("throughput", Unit::ASecond, |round| round.speed, Goal::AtLeast(KEPT)),
    ]
}

/// A sidecar starts where so many rows wait for a service that runs.
async fn first_send(stand: &Stand, rows: u64) -> Outcome<Line> {
    let place = Place::new(stand).await?;
    let took = place.first_send(stand, rows).await?;
    Ok(Line {
        subject: format!("{} rows waiting, start to first send", millions(rows)),
        unit: Unit::Seconds,
        floor: FIRST_SEND.as_secs_f64(),
        ours: took.as_secs_f64(),
        ratio: flat(took.as_secs_f64() / FIRST_SEND.as_secs_f64()),
        goal: Some(Goal::AtMost(1.0)),
    })
}

fn millions(rows: u64) -> String {
    match rows {
        0..1_000_000 => format!("{},000", rows / 1_000),
        _ => format!("{} million", rows / 1_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_how_much_it_is() {
        assert_eq!(Much::Settled(10_000_000).name(), "10 million settled rows");
        assert_eq!(Much::Waiting(100_000).name(), "100,000 rows waiting");
    }
}
