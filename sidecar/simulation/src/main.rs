//! `tpro-simulate`: seeds, one after the other, for so many seconds; or one case.
//!
//! `tpro-simulate SECONDS [SEED]` runs seeds from SEED on. `tpro-simulate case 'LINE'` runs the case
//! of that line, prints its trace and what is broken. `tpro-simulate find SECONDS` tries seeds from 0
//! on and names the first that is broken. Exit code 1: something is broken. With the
//! feature `plants`, `tpro-simulate plants SECONDS [NAME]` plants faults and prints how soon each is
//! found; exit code 1: one is not.
#![forbid(unsafe_code)]

use std::{
    env,
    process::ExitCode,
    time::{Duration, Instant, SystemTime},
};

use tpro_simulation::{
    plants,
    world::{self, Case, KINDS},
};

/// Runs that are spent on making a broken case smaller.
const SHRINKING: usize = 400;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["case", line] => show(line),
        ["find", seconds] => find(seconds),
        #[cfg(feature = "plants")]
        ["plants", seconds] => planted(seconds, ""),
        #[cfg(feature = "plants")]
        ["plants", seconds, name] => planted(seconds, name),
        [seconds] => many(seconds, None),
        [seconds, seed] => many(seconds, seed.parse().ok()),
        _ => {
            eprintln!("tpro-simulate SECONDS [SEED], or tpro-simulate case 'LINE'");
            ExitCode::from(2)
        }
    }
}

/// Runs one case, with its trace.
fn show(line: &str) -> ExitCode {
    let Ok(case) = line.parse::<Case>() else {
        eprintln!("{line}: no case; it is a seed, as in 7, or `7 without faults 0-2 transactions 4`");
        return ExitCode::from(2);
    };
    let finished = world::run(case.seed, &case.left_out, true);
    finished.lines.iter().for_each(|line| println!("{line}"));
    finished.broken.iter().for_each(|broken| println!("broken: {broken}"));
    println!("trace {:016x}", finished.hash);
    ExitCode::from(u8::from(!finished.broken.is_empty()))
}

/// Tries the same seeds each time, until one is broken; it is named in a line and not made smaller.
fn find(seconds: &str) -> ExitCode {
    let Ok(seconds) = seconds.parse() else {
        eprintln!("{seconds}: no number of seconds");
        return ExitCode::from(2);
    };
    match plants::find(0, Duration::from_secs(seconds), 1) {
        None => ExitCode::SUCCESS,
        Some(found) => {
            let took = found.took.as_secs_f64();
            println!("{} seeds, {took:.1} s: seed {}: {}", found.tried, found.seed, found.broken);
            ExitCode::FAILURE
        }
    }
}

/// Runs seeds until the time is over, or one is broken.
fn many(seconds: &str, seed: Option<u64>) -> ExitCode {
    let Ok(seconds) = seconds.parse() else {
        eprintln!("{seconds}: no number of seconds");
        return ExitCode::from(2);
    };
    let first = seed.unwrap_or_else(fresh);
    println!("seeds from {first} on");
    let (begin, limit) = (Instant::now(), Duration::from_secs(seconds));
    let mut total = world::Total::default();
    let mut at = first;
    while begin.elapsed() < limit {
        let finished = Case::of(at).run();
        total.add(&finished);
        if !finished.broken.is_empty() {
            return broken(at, &finished, begin.elapsed());
        }
        at = at.wrapping_add(1);
    }
    println!("{}", total.report(begin.elapsed(), &KINDS));
    ExitCode::SUCCESS
}

fn broken(seed: u64, finished: &world::Finished, after: Duration) -> ExitCode {
    println!("seed {seed} is broken, after {:.1} s:", after.as_secs_f64());
    finished.broken.iter().take(10).for_each(|broken| println!("  {broken}"));
    let again = Case::of(seed).run();
    let same = if again.hash == finished.hash { "the same" } else { "ANOTHER" };
    println!("run again: {same} trace, {:016x}", finished.hash);
    let small = Case::of(seed).shrink(SHRINKING);
    println!("made smaller: {small}");
    small.run().broken.iter().take(10).for_each(|broken| println!("  {broken}"));
    println!("its trace: tpro-simulate case '{small}'");
    ExitCode::FAILURE
}

/// Plants the faults with this part of a name, one after the other, and says how soon each is found.
#[cfg(feature = "plants")]
fn planted(seconds: &str, name: &str) -> ExitCode {
    let Ok(seconds) = seconds.parse() else {
        eprintln!("{seconds}: no number of seconds");
        return ExitCode::from(2);
    };
    let (first, limit) = (fresh(), Duration::from_secs(seconds));
    println!("seeds from {first} on");
    let mut missing = 0;
    for (plant, _) in plants::PLANTS.into_iter().filter(|(plant, _)| plant.contains(name)) {
        tpro_runtime::plant::plant(plant);
        match plants::find(first, limit, 1) {
            Some(find) => println!(
                "{plant:34} {:5} seeds {:6.1} s  seed {}: {}",
                find.tried,
                find.took.as_secs_f64(),
                find.seed,
                find.broken
            ),
            None => {
                missing += 1;
                println!("{plant:34} NOT FOUND within {seconds} s");
            }
        }
    }
    ExitCode::from(u8::from(missing > 0))
}

/// A seed that nobody has chosen.
fn fresh() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    since.as_micros() as u64 ^ u64::from(std::process::id()) << 48
}
