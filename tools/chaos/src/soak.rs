//! Load without faults, for long, and a look at everything that may grow ([`crate::growth`] has the
//! rule).

use std::path::Path;
use std::time::{Duration, Instant};

use tpro_testkit::{Context as _, Outcome};

use crate::args::Run;
use crate::flood::flood;
use crate::gauge::{Gauges, Measure};
use crate::growth::{Verdict, judge};
use crate::run::{Scene, conclude};
use crate::slope::{Sample, median};
use crate::stand::Settings;

/// Between two lines of progress.
const PROGRESS: Duration = Duration::from_secs(10);
/// The part of a run that is warm-up: pools, caches and statistics fill, the allocator finds its
/// size.
const WARM_UP: f64 = 1.0 / 3.0;
/// No more than this is needed.
const WARM_UP_ENOUGH: Duration = Duration::from_secs(600);
/// Between two looks: several in each block of [`crate::growth::BLOCK`], and no load by looking.
const PAUSE: Duration = Duration::from_secs(5);
/// And in a short run, enough of them.
const LOOKS: u32 = 120;
/// Partitions stay small, so that maintenance makes and fills many of them. Nothing is dropped
/// within a run, since the default retention is longer: the oracle needs all rows.
const SETTINGS: Settings = &[("PARTITION_ROWS", "20000")];

/// Makes a run; false if anything grows or the promise was broken.
pub async fn run(run: &Run) -> Outcome<bool> {
    println!(
        "SEED={} SECONDS={}, {} publishers, no faults",
        run.extent.seed, run.extent.seconds, run.publishers
    );
    let scene = Scene::set(SETTINGS).await?;
    let length = Duration::from_secs(run.extent.seconds);
    let warm = length.mul_f64(WARM_UP).min(WARM_UP_ENOUGH);
    let begun = Instant::now();
    flood(&scene.stand, &scene.ledger, run.extent.seed).await?;
    println!("{:7.1} s  the flood is settled", begun.elapsed().as_secs_f64());
    // A slow flood takes from the load, but never all of its warm-up.
    let (warm, length) = match begun.elapsed() {
        flood if flood * 2 > warm => (flood * 2, length - warm + flood * 2),
        _ => (warm, length),
    };
    let pause = PAUSE.min((length - warm) / LOOKS);
    let admin = scene.stand.admin().await?;
    let publishers = scene.load(run);
    let mut gauges = Gauges::default();
    let mut told = Instant::now();
    let mut warms_up = true;
    let mut violations = Vec::new();
    while begun.elapsed() < length {
        tokio::time::sleep(pause.min(length.saturating_sub(begun.elapsed()))).await;
        // From the start, so that looking is warm, too, when it counts.
        gauges.look(&scene.fleet, &admin, begun.elapsed().as_secs_f64() / 3600.0).await?;
        if warms_up && begun.elapsed() >= warm {
            warms_up = false;
            gauges.forget();
        }
        if told.elapsed() >= PROGRESS {
            told = Instant::now();
            violations.extend(scene.fleet.dead()?);
            let doing = if warms_up { "warms up" } else { "looks" };
            // Not by counting rows: that would be a load which grows.
            scene.tell(begun, doing, &format!("settled {:.0}", gauges.settled()));
        }
    }
    publishers.stop().await;
    keep(&gauges, run)?;
    println!("warm-up {:.0} s, then {:.0} s of looking", warm.as_secs_f64(), (length - warm).as_secs_f64());
    for (measure, copy, samples) in gauges.series() {
        violations.extend(tell(measure, copy, samples));
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

/// Writes all samples down, so that a verdict can be looked into after hours of waiting for it.
fn keep(gauges: &Gauges, run: &Run) -> Outcome {
    let mut text = "measure,copy,hours,value\n".to_owned();
    for (measure, copy, samples) in gauges.series() {
        text.extend(samples.iter().map(|(at, value)| format!("{measure:?},{copy},{at:.5},{value:.3}\n")));
    }
    let path = Path::new(&run.logs).join(format!("soak-{}.csv", run.extent.seed));
    std::fs::create_dir_all(&run.logs)?;
    std::fs::write(&path, text).context(format!("writing {}", path.display()))?;
    println!("samples       {}", path.display());
    Ok(())
}

/// Prints the verdict on a series. Returns the violation, if it surely grows.
fn tell(measure: Measure, copy: &str, samples: &[Sample]) -> Option<String> {
    let (unit, what) = (measure.unit(), format!("{measure:?} {copy}"));
    let values = || samples.iter().map(|sample| sample.1);
    let (least, most) = (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
    let third = samples.len().div_ceil(3);
    let gain =
        median(values().skip(samples.len() - third).collect()) - median(values().take(third).collect());
    let seen = format!("{what:<22} {least:.1} to {most:.1} {unit}, last third to first {gain:+.1}");
    if measure == Measure::InHand {
        // It follows the load; that it ends at nothing is asked when all is settled.
        println!("{seen}");
        return None;
    }
    let verdict = judge(samples, measure.gross());
    println!("{seen}, {verdict}");
    matches!(verdict, Verdict::Grows(_) | Verdict::Gross).then(|| format!("{what} in {unit}: {verdict}"))
}
