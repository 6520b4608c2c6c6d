//! `make test`: all tests, with the real programs, PostgreSQL and nats-server.
//!
//! Each test makes and removes its own. A test that fails is run once more, alone. If it passes
//! then, it is named as one that passes only sometimes: that is a fault too, of the test or of the
//! code that it tests, but no reason to hold back the work of others.

use std::fs;
use std::path::Path;

use crate::cargo::{self, Profile};
use crate::checkout::Checkout;
use crate::failure::{Outcome, fail};
use crate::setup::{self, Use};
use crate::test_log::{self, Counts, is_worth_showing};
use crate::test_run;

/// More failures than this are no coincidence, and are not tried again.
const SOME: usize = 5;
/// The slowest tests that are listed.
const SLOWEST: usize = 10;

/// Runs all tests.
pub fn all(checkout: &Checkout) -> Outcome {
    let screen = &checkout.screen;
    screen.steps(3);
    screen.step("What it needs");
    setup::install(checkout, Use::Tests)?;
    screen.step("Building");
    // With the tests, so that the programs they start have failpoints in them.
    cargo::build_all(checkout, Profile::Debug, "building the tests", &["--all-targets"])?;
    screen.step("Testing");
    let log = checkout.logs().join("test.log");
    // A line for each test with servers: seconds and name. `#[tpro_testkit::test]` writes them.
    let times = checkout.logs().join("test-times.log");
    let _ = fs::remove_file(&times);
    // One program after another, so that two cores are not shared by several servers.
    let arguments = ["--no-fail-fast"];
    let well = test_run::run(checkout, &log, Some(&times), &arguments, is_worth_showing)?;
    let text = test_run::text(&log)?;
    let failed = test_log::failed(&text);
    let passed_alone = !well && again(checkout, &text, &failed, &times)?;
    screen.step_done();

    let Counts { mut passed, failed: mut missed, ignored } = Counts::of(&text);
    if passed_alone {
        passed += failed.len();
        missed -= failed.len();
    }
    screen.say(format!("{passed} passed, {missed} failed, {ignored} skipped"));
    say_slowest(checkout, &times);
    if !well && !passed_alone {
        failed.iter().for_each(|name| screen.say(format!("  {name}")));
        return fail("tests failed; all of their output is in logs/test.log");
    }
    if passed_alone {
        screen.say("passed only when run once more, alone (how they failed is in logs/test.log):");
        failed.iter().for_each(|name| screen.say(format!("  {name}")));
    }
    Ok(())
}

/// Runs the failed tests once more, if they are few and nothing else failed. Returns true if each
/// of them has passed.
fn again(checkout: &Checkout, text: &str, failed: &[String], times: &Path) -> Outcome<bool> {
    // An example of the documentation that fails has no name by which it could be run.
    let all_have_names = Counts::of(text).failed == failed.len();
    let are_few = (1..=SOME).contains(&failed.len());
    if !all_have_names || !are_few || !test_log::only_tests_failed(text) {
        return Ok(false);
    }
    checkout.screen.say(format!("      once more, alone: {}", failed.join(" ")));
    let log = checkout.logs().join("test-again.log");
    let fixed = ["--no-fail-fast", "--lib", "--bins", "--tests", "--", "--exact", "--test-threads=1"];
    let arguments: Vec<&str> = fixed.into_iter().chain(failed.iter().map(String::as_str)).collect();
    let well = test_run::run(checkout, &log, Some(times), &arguments, is_worth_showing)?;
    // A name that two programs have counts for both.
    Ok(well && test_log::passed(&test_run::text(&log)?).len() >= failed.len())
}

/// Says which tests took longest.
fn say_slowest(checkout: &Checkout, times: &Path) {
    let text = fs::read_to_string(times).unwrap_or_default();
    let mut tests: Vec<(f64, &str)> =
        text.lines().filter_map(|line| Some((line.split_whitespace().next()?.parse().ok()?, line))).collect();
    if tests.is_empty() {
        return;
    }
    tests.sort_by(|one, other| other.0.total_cmp(&one.0));
    let screen = &checkout.screen;
    screen.say("the ten slowest, in seconds (all of them are in logs/test-times.log):");
    tests.iter().take(SLOWEST).for_each(|(_, line)| screen.say(format!("  {line}")));
}
