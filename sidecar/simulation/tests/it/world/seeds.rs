//! The promise, and the replay.

use std::{
    env,
    time::{Duration, Instant, SystemTime},
};

use tpro_simulation::world::{Case, KINDS, Total};

/// Seeds that are always run: the test says the same each time.
const SEEDS: u64 = 40;
/// Runs by which a broken case is made smaller.
const SHRINKING: usize = 150;

#[test]
fn seeds_keep_the_promise() {
    let (begin, mut total) = (Instant::now(), Total::default());
    for seed in 0..SEEDS {
        keeps_the_promise(seed, &mut total);
    }
    println!("{}", total.report(begin.elapsed(), &KINDS));
}

/// Fresh seeds for `TPRO_SIMULATE_SECONDS`, 20 unless it says otherwise. The time only decides when
/// no other seed begins; whether a seed is broken, the seed decides.
#[test]
fn fresh_seeds_keep_the_promise() {
    let seconds = env::var("TPRO_SIMULATE_SECONDS").ok().and_then(|text| text.parse().ok());
    let limit = Duration::from_secs(seconds.unwrap_or(20));
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let first = since.as_micros() as u64;
    println!("seeds from {first} on");
    let (begin, mut total) = (Instant::now(), Total::default());
    for seed in first.. {
        keeps_the_promise(seed, &mut total);
        if begin.elapsed() >= limit {
            break;
        }
    }
    println!("figure: {}", total.report(begin.elapsed(), &KINDS));
}

fn keeps_the_promise(seed: u64, total: &mut Total) {
    let finished = Case::of(seed).run();
    if !finished.broken.is_empty() {
        let small = Case::of(seed).shrink(SHRINKING);
        panic!("seed {seed} is broken (tpro-simulate case '{small}'): {:#?}", finished.broken);
    }
    total.add(&finished);
}

#[test]
fn a_seed_replays_to_the_letter_and_no_other_seed_does() {
    let run = |seed| Case::of(seed).run();
    for seed in 0..4 {
        let (first, again) = (run(seed), run(seed));
        assert_eq!((first.hash, first.events), (again.hash, again.events), "seed {seed}");
        assert!(first.messages > 100, "seed {seed}: {} messages", first.messages);
    }
    assert_ne!(run(0).hash, run(1).hash);
}

#[test]
fn what_is_left_out_of_a_plan_does_not_happen() {
    let whole = Case::of(1).run();
    let mut case = Case::of(1);
    case.left_out.faults = (0..whole.planned.1).collect();
    let calm = case.run();
    assert!(calm.faults.is_empty() && calm.messages >= whole.messages.min(100));
    case.left_out.transactions = (0..whole.planned.0).collect();
    assert_eq!(case.run().messages, 3, "one of each service, at the end");
}
