//! Faults that are planted into the protocols are found: a simulation that finds none has seen
//! none.

use std::time::Instant;

use tpro_runtime::plant::plant;
use tpro_simulation::world::Case;

/// The planted faults.
const PLANTED: [&str; 9] = [
    "no second read",
    "settle by id without uid",
    "cursor without open transactions",
    "accepted is a duplicate",
    "answer before outcome",
    "deposed leader writes",
    "lane without a bound",
    "last retry counted twice",
    "sleep without a read",
];
/// Runs by which a case is made smaller.
const SHRINKING: usize = 60;
/// Seeds that are tried for each of them.
const SEEDS: u64 = 3_000;

/// Finds a planted fault: the number of seeds that it took, and its first violation.
fn find(name: &'static str, first: u64, most: u64) -> Option<(u64, String)> {
    plant(name);
    let found = (first..first + most).find_map(|seed| {
        let broken = Case::of(seed).run().broken;
        broken.into_iter().next().map(|broken| (seed, broken))
    });
    plant("");
    found
}

#[test]
fn planted_faults_are_found_soon() {
    for name in ["cursor without open transactions", "lane without a bound"] {
        assert!(find(name, 0, 300).is_some(), "{name} is not found");
    }
}

#[test]
#[ignore = "slow: all of them, from a fresh seed on"]
fn each_planted_fault_is_found() {
    let since = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH);
    let first = since.unwrap_or_default().as_micros() as u64;
    println!("seeds from {first} on");
    let mut missing = Vec::new();
    for name in PLANTED {
        let begin = Instant::now();
        match find(name, first, SEEDS) {
            Some((seed, broken)) => {
                let (tried, took) = (seed - first + 1, begin.elapsed().as_secs_f64());
                plant(name);
                let small = Case::of(seed).shrink(SHRINKING);
                plant("");
                println!("figure: {name}: {tried} seeds, {took:.1} s; {small}: {broken}");
            }
            None => missing.push(name),
        }
    }
    assert_eq!(missing, [""; 0], "not found");
}
