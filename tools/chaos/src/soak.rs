//! Load without faults, for long: whether anything grows.

use std::time::{Duration, Instant};

use tpro_testkit::Outcome;

use crate::args::Run;
use crate::gauge::{Gauges, Measure};
use crate::run::{Scene, conclude};
use crate::slope::{Sample, slope};

/// Between two lines of progress.
const PROGRESS: Duration = Duration::from_secs(10);
/// What of a run is warm-up: pools, caches and statistics fill, the allocator finds its size.
const WARM_UP: f64 = 1.0 / 3.0;
/// And no more than this.
const WARM_UP_MOST: Duration = Duration::from_secs(900);
/// Growth within the whole time of looking that is no growth yet. Memory is taken and given back in pieces, and a session or
/// a thread more is a matter of the moment. So the goal of 1 MB an hour takes an hour of looking to be judged.
const PIECE: f64 = 1.0;
/// What may grow in an hour, in MB, files, threads or tasks.
const PER_HOUR: f64 = 1.0;

/// Makes a run; false if anything grows or the promise was broken.
pub async fn run(run: &Run) -> Outcome<bool> {
    println!(
        "SEED={} SECONDS={}, {} publishers, no faults",
        run.extent.seed, run.extent.seconds, run.publishers
    );
    let scene = Scene::set().await?;
    let admin = scene.stand.admin().await?;
    let length = Duration::from_secs(run.extent.seconds);
    let warm = length.mul_f64(WARM_UP).min(WARM_UP_MOST);
    // Enough samples for every block, and no load by looking.
    let pause = ((length - warm) / 240).max(Duration::from_millis(500));
    let publishers = scene.load(run);
    let begun = Instant::now();
    let mut gauges = Gauges::default();
    let mut told = Instant::now();
    let mut violations = Vec::new();
    while begun.elapsed() < length {
        tokio::time::sleep(pause.min(length.saturating_sub(begun.elapsed()))).await;
        if told.elapsed() >= PROGRESS {
            told = Instant::now();
            violations.extend(scene.fleet.dead()?);
            let doing = if begun.elapsed() < warm { "warms up" } else { "looks" };
            scene.progress(begun, doing).await;
        }
        if begun.elapsed() >= warm {
            gauges.look(&scene.fleet, &admin, begun.elapsed().as_secs_f64() / 3600.0).await?;
        }
    }
    publishers.stop().await;
    let hours = (length - warm).as_secs_f64() / 3600.0;
    println!("warm-up {:.0} s, then {:.0} s of looking", warm.as_secs_f64(), hours * 3600.0);
    for (measure, copy, samples) in gauges.series() {
        violations.extend(judge(measure, copy, samples, hours));
    }
    match scene.judge().await {
        Ok(verdict) => {
            println!(
                "published {} rows in all outboxes; settled of main: {:?}",
                verdict.published, verdict.settled
            );
            violations.extend(verdict.violations);
        }
        Err(failure) => violations.push(failure.to_string()),
    }
    conclude(run, &scene, &violations)
}

/// Prints the slope of a series; what it violates, if it surely grows.
fn judge(measure: Measure, copy: &str, samples: &[Sample], hours: f64) -> Option<String> {
    let what = format!("{measure:?} {copy}");
    let unit = measure.unit();
    let values = samples.iter().map(|sample| sample.1);
    let (least, most) =
        (values.clone().fold(f64::INFINITY, f64::min), values.fold(f64::NEG_INFINITY, f64::max));
    if measure == Measure::InHand {
        // It follows the load; that it ends at nothing is asked when all is settled.
        println!("{what:<22} {least:.0} to {most:.0} {unit}");
        return None;
    }
    // What may grow without being growth.
    let limit = PER_HOUR.max(PIECE / hours);
    let Some(slope) = slope(samples) else {
        println!("{what:<22} {least:.1} to {most:.1} {unit}: too few samples for a slope");
        return None;
    };
    let sure = match slope {
        slope if slope.low > limit => "GROWS",
        slope if slope.high <= PER_HOUR => "does not grow",
        // The confidence is too wide, or the time too short, to tell from 1 an hour.
        _ => "cannot tell: too short",
    };
    println!(
        "{what:<22} {least:.1} to {most:.1} {unit}, slope {:+.2}/h (95 %: {:+.2} to {:+.2}): {sure}",
        slope.guess, slope.low, slope.high
    );
    (slope.low > limit).then(|| {
        format!("{what} grows by {:.2} {unit} an hour, by {:.2} at least (95 %)", slope.guess, slope.low)
    })
}
