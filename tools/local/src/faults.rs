//! `make faults`: the tests that take longer than `make test` may.
//!
//! They are exactly those that are marked `#[ignore]`. They run one at a time, and their figures
//! are shown. FILTER=words runs those whose names have one of the words.

use crate::cargo::{self, Profile};
use crate::checkout::Checkout;
use crate::failure::{Outcome, fail};
use crate::setup::{self, Use};
use crate::test_log::{self, Counts};
use crate::test_run;

/// The words before a figure.
const FIGURES: [&str; 2] = ["distribution: ", "figure: "];

/// Runs the slow tests.
pub fn run(checkout: &Checkout) -> Outcome {
    let screen = &checkout.screen;
    let filter = checkout.settings.get("FILTER").unwrap_or_default();
    let is_allowed = |letter: char| letter.is_ascii_alphanumeric() || "_: ".contains(letter);
    if !filter.chars().all(is_allowed) {
        return fail("FILTER is words of the names of tests, of letters, digits, _ and ::");
    }
    screen.steps(3);
    screen.step("What it needs");
    setup::install(checkout, Use::Tests)?;
    screen.step("Building");
    cargo::build_all(checkout, Profile::Debug, "building the tests", &["--all-targets"])?;
    screen.step("Faults (its output is in logs/faults.log; it takes long)");
    // Not the examples in documentation, of which some are ignored for other reasons.
    let fixed = ["--lib", "--bins", "--tests", "--no-fail-fast", "--"];
    let chosen = ["--ignored", "--nocapture", "--test-threads=1"];
    let arguments: Vec<&str> = fixed.into_iter().chain(chosen).chain(filter.split_whitespace()).collect();
    let log = checkout.logs().join("faults.log");
    let well = test_run::run(checkout, &log, None, &arguments, is_shown)?;
    screen.step_done();

    let text = test_run::text(&log)?;
    let Counts { passed, failed, .. } = Counts::of(&text);
    screen.say(format!("{passed} passed, {failed} failed"));
    test_log::listed_failures(&text).iter().for_each(|name| screen.say(format!("  {name}")));
    if passed + failed == 0 && !filter.is_empty() {
        return fail(format!(
            "no slow test has one of these in its name: FILTER='{filter}'. The slow tests: grep -rA3 '#\\[ignore' --include=*.rs ."
        ));
    }
    screen.say("What was measured:");
    let figures: Vec<&str> = text.lines().filter_map(figure).collect();
    figures.iter().for_each(|figure| screen.say(figure));
    if figures.is_empty() {
        screen.say("  (nothing)");
    }
    if well { Ok(()) } else { fail("tests failed; all of their output is in logs/faults.log") }
}

fn is_shown(line: &str) -> bool {
    (line.starts_with("test ") && line.contains(" ... "))
        || figure(line).is_some()
        || line.contains(" panicked at ")
}

/// The figure in a line of output.
fn figure(line: &str) -> Option<&str> {
    FIGURES.iter().filter_map(|words| line.find(words)).min().map(|at| &line[at..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_and_results_are_shown() {
        assert_eq!(figure("test a ... figure: 3 ms"), Some("figure: 3 ms"));
        assert_eq!(figure("the figure is 3"), None);
        assert!(is_shown("test a ... ok") && !is_shown("some output"));
    }
}
