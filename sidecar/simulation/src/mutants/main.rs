//! `tpro-mutants FOLDER COUNT SECONDS [SEED]`: mutants of the dispatcher's core, and what finds them.
//!
//! Random places of the core are changed (an operator, a bound, a condition, a line left out) in a
//! copy of the checkout in FOLDER, all of them behind a switch, so that all mutants are compiled
//! once. Then each of them lives alone: the unit tests of the dispatcher run, and the simulation,
//! for so many seconds. A mutant that nothing finds is worth a look: a check is missing, or the
//! change changes nothing.
#![forbid(unsafe_code)]

mod checkout;
mod mutant;
mod program;
mod site;

use std::{env, io, path::Path, process::ExitCode};

use self::{checkout::Checkout, mutant::Mutant, program::Programs};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let numbers = || -> Option<(usize, u64, u64)> {
        let seed = arguments.get(3).map_or(Some(1), |seed| seed.parse().ok())?;
        Some((arguments.get(1)?.parse().ok()?, arguments.get(2)?.parse().ok()?, seed))
    };
    let (Some(folder), Some((count, seconds, seed))) = (arguments.first(), numbers()) else {
        eprintln!("tpro-mutants FOLDER COUNT SECONDS [SEED], in the root of the checkout");
        return ExitCode::from(2);
    };
    match run(Path::new(folder), count, seconds, seed) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(folder: &Path, count: usize, seconds: u64, seed: u64) -> io::Result<()> {
    let checkout = Checkout::copy(folder)?;
    let (possible, mut mutants) = mutant::draw(&checkout, count, seed)?;
    println!("{} mutants of {possible} that could be made, seed {seed}", mutants.len());
    let programs = loop {
        mutant::plant(&checkout, &mutants)?;
        match Programs::build(&checkout)? {
            Ok(programs) => break programs,
            Err(errors) => leave_out(&mut mutants, &errors)?,
        }
    };
    let (mut by_tests, mut by_simulation, mut by_none) = (0, 0, 0);
    for mutant in &mutants {
        let tests = programs.test(mutant.number)?;
        let simulation = programs.simulate(mutant.number, seconds)?;
        by_tests += usize::from(tests.is_some());
        by_simulation += usize::from(simulation.is_some());
        by_none += usize::from(tests.is_none() && simulation.is_none());
        let Mutant { number, file, site, shown } = mutant;
        let found = |how: Option<String>| how.unwrap_or_else(|| "-".to_owned());
        println!("{number:3} {file}:{}: {shown}", site.line + 1);
        println!("      unit tests: {}; simulation: {}", found(tests), found(simulation));
    }
    println!(
        "{} mutants: found by unit tests {by_tests}, by {seconds} s of simulation {by_simulation}, by neither {by_none}",
        mutants.len()
    );
    Ok(())
}

/// Leaves out the mutants that do not compile.
fn leave_out(mutants: &mut Vec<Mutant>, errors: &str) -> io::Result<()> {
    let before = mutants.len();
    mutants.retain(|mutant| {
        let file = mutant.file.rsplit_once("/src/").map_or(&*mutant.file, |(_, file)| file);
        let place = format!("{file}:{}:", mutant.site.line + 1);
        let is_wrong = errors.contains(&place);
        if is_wrong {
            println!("{place} {} does not compile", mutant.shown);
        }
        !is_wrong
    });
    match before == mutants.len() {
        true => Err(io::Error::other(format!("the copy does not compile:\n{errors}"))),
        false => Ok(()),
    }
}
