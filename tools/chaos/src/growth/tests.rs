//! The rule on made-up series, for many seeds: growth is found, and a series that comes to rest or
//! comes back is not.

use super::{Verdict, judge};
use crate::random::Random;
use crate::slope::Sample;

/// The bound of memory.
const GROSS: f64 = 5.0;
/// Seconds between samples.
const PAUSE: f64 = 5.0;
/// Runs of so many series each.
const RUNS: u64 = 100;
const SERIES: u64 = 40;

/// A part of a series, by seconds since the load began.
type Part = Box<dyn FnMut(f64) -> f64>;

/// Samples from second `from` on to `to`.
fn series(from: f64, to: f64, mut parts: Vec<Part>) -> Vec<Sample> {
    let count = ((to - from) / PAUSE) as u32;
    let times = (0..count).map(|at| from + f64::from(at) * PAUSE);
    times.map(|at| (at / 3600.0, parts.iter_mut().map(|part| part(at)).sum())).collect()
}

/// An hour with ten minutes of warm-up.
fn hour(parts: Vec<Part>) -> Vec<Sample> {
    series(600.0, 3600.0, parts)
}

/// Noise of this spread, whose samples have to do with each other for 15 s.
fn noise(seed: u64, spread: f64) -> Part {
    let mut random = Random::part(seed, 1);
    let kept = (-PAUSE / 15.0).exp();
    let mut now = 0.0;
    Box::new(move |_| {
        // Twelve even ones make a normal one.
        let fresh = (0..12).map(|_| random.between(0, 1_000_000) as f64 / 1e6).sum::<f64>() - 6.0;
        now = kept * now + (1.0 - kept * kept).sqrt() * fresh;
        now * spread
    })
}

fn line(per_hour: f64) -> Part {
    Box::new(move |at| 20.0 + per_hour * at / 3600.0)
}

fn logarithm(size: f64) -> Part {
    Box::new(move |at| 20.0 + size * at.ln())
}

/// Now and then up by `height`, and back within two minutes.
fn jumps(seed: u64, height: f64) -> Part {
    let mut random = Random::part(seed, 2);
    let mut until = 0.0;
    Box::new(move |at| {
        if at >= until && random.one_in(60) {
            until = at + random.between(10, 120) as f64;
        }
        if at < until { height } else { 0.0 }
    })
}

fn grows(samples: &[Sample]) -> bool {
    matches!(judge(samples, GROSS), Verdict::Grows(_) | Verdict::Gross)
}

/// Of runs of forty series, in how many one at least is said to grow.
fn alarms(make: impl Fn(u64) -> Vec<Sample>) -> u64 {
    (0..RUNS).filter(|run| (0..SERIES).any(|at| grows(&make(run * SERIES + at)))).count() as u64
}

#[test]
fn a_line_of_2_an_hour_is_found_in_an_hour() {
    let found = (0..200).filter(|seed| grows(&hour(vec![line(2.0), noise(*seed, 0.1)]))).count();
    assert!(found >= 190, "{found} of 200");
}

#[test]
fn a_line_of_40_an_hour_is_found_in_half_an_hour_and_in_more_noise() {
    let found =
        (0..200).filter(|seed| grows(&series(600.0, 1800.0, vec![line(40.0), noise(*seed, 0.2)]))).count();
    assert!(found >= 190, "{found} of 200");
}

#[test]
fn noise_is_no_growth() {
    for to in [1800.0, 3600.0] {
        let alarms = alarms(|seed| series(600.0, to, vec![line(0.0), noise(seed, 1.0)]));
        assert!(alarms * 20 <= RUNS, "{alarms} of {RUNS} runs to {to}");
    }
}

#[test]
fn a_plateau_is_no_growth_however_slowly_it_is_reached() {
    for to in [1800.0, 3600.0, 7200.0] {
        for size in [0.3, 1.0, 3.0] {
            let alarms = alarms(|seed| series(600.0, to, vec![logarithm(size), noise(seed, 0.1)]));
            assert!(alarms * 20 <= RUNS, "{alarms} of {RUNS} runs to {to} with {size}");
        }
    }
}

#[test]
fn jumps_that_come_back_are_no_growth() {
    let alarms = alarms(|seed| hour(vec![line(0.0), jumps(seed, 8.0), noise(seed, 0.1)]));
    assert!(alarms * 20 <= RUNS, "{alarms} of {RUNS} runs");
}

#[test]
fn what_rests_is_said_to_rest() {
    let rests = (0..200)
        .filter(|seed| matches!(judge(&hour(vec![line(0.0), noise(*seed, 0.1)]), GROSS), Verdict::Rests(_)))
        .count();
    assert!(rests >= 190, "{rests} of 200");
}

#[test]
fn a_short_run_fails_by_gross_growth_only() {
    let minute = |parts| judge(&series(20.0, 80.0, parts), GROSS);
    assert_eq!(minute(vec![line(600.0)]), Verdict::Gross);
    assert_eq!(minute(vec![line(116.0)]), Verdict::Short);
    for seed in 0..1000 {
        assert_eq!(minute(vec![logarithm(3.0), noise(seed, 0.2)]), Verdict::Short);
        let ten = series(200.0, 600.0, vec![jumps(seed, 8.0), noise(seed, 0.5)]);
        assert_eq!(judge(&ten, GROSS), Verdict::Short);
    }
}
