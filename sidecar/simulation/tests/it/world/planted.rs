//! Faults that are planted into the protocols are found: a simulation that finds none has seen
//! none.

use std::time::{Duration, SystemTime};

use tpro_runtime::plant::plant;
use tpro_simulation::{
    plants::{PLANTS, find},
    world::Case,
};

/// Runs by which a case is made smaller.
const SHRINKING: usize = 60;
/// The time for each of them, and the seeds that are tried at least: a busy machine tries as many.
const LIMIT: Duration = Duration::from_secs(60);
const SEEDS: u64 = 2_000;

#[test]
fn planted_faults_are_found_soon() {
    for name in ["cursor without open transactions", "lane without a bound"] {
        plant(name);
        let found = find(0, Duration::ZERO, 300);
        plant("");
        assert!(found.is_some(), "{name} is not found");
    }
}

#[test]
#[ignore = "slow: all of them, from a fresh seed on"]
fn each_planted_fault_is_found() {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let first = since.unwrap_or_default().as_micros() as u64;
    println!("seeds from {first} on");
    let mut missing = Vec::new();
    for (name, promise) in PLANTS {
        plant(name);
        match find(first, LIMIT, SEEDS) {
            Some(found) => {
                let small = Case::of(found.seed).shrink(SHRINKING);
                let (tried, took) = (found.tried, found.took.as_secs_f64());
                println!("figure: {name}: {tried} seeds, {took:.1} s; {small}: {}", found.broken);
            }
            None => missing.push((name, promise)),
        }
        plant("");
    }
    assert!(missing.is_empty(), "not found: {missing:?}");
}
