//! The output of `cargo test`: the lines worth a look, the tests that failed, and how many there
//! were.

use std::collections::BTreeSet;

/// The numbers of tests, added up over all programs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Tests that passed.
    pub passed: usize,
    /// Tests that failed.
    pub failed: usize,
    /// Tests that were skipped.
    pub ignored: usize,
}

impl Counts {
    /// Reads the result lines of a log.
    pub fn of(log: &str) -> Self {
        let mut counts = Self::default();
        // test result: ok. 3 passed; 0 failed; 1 ignored; ...
        for line in log.lines().filter(|line| line.starts_with("test result:")) {
            let words: Vec<&str> = line.split_whitespace().collect();
            for pair in words.windows(2) {
                let Ok(number) = pair[0].parse::<usize>() else { continue };
                match pair[1].trim_end_matches(';') {
                    "passed" => counts.passed += number,
                    "failed" => counts.failed += number,
                    "ignored" => counts.ignored += number,
                    _ => {}
                }
            }
        }
        counts
    }
}

/// True if the line is worth showing: it is no test that passed, and no frame around tests.
pub fn is_worth_showing(line: &str) -> bool {
    let passed = line.starts_with("test ") && line.ends_with(" ... ok");
    let frame = line.is_empty() || is_heading(line) || line.starts_with("     Running ");
    !(passed || frame || line.starts_with("test result: ok. 0 passed; "))
}

/// `running 3 tests`.
fn is_heading(line: &str) -> bool {
    let number = line
        .strip_prefix("running ")
        .and_then(|rest| rest.strip_suffix(" tests").or_else(|| rest.strip_suffix(" test")));
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit()))
}

/// The tests that failed, in their order.
pub fn failed(log: &str) -> Vec<String> {
    of_result(log, " ... FAILED")
}

/// The tests that passed, in their order.
pub fn passed(log: &str) -> Vec<String> {
    of_result(log, " ... ok")
}

fn of_result(log: &str, result: &str) -> Vec<String> {
    let names = log.lines().filter_map(|line| line.strip_prefix("test ")?.strip_suffix(result));
    names.filter(|name| !name.contains(' ')).map(str::to_owned).collect()
}

/// True if every program that failed did so with a list of failed tests: none crashed, and none was
/// not built.
pub fn only_tests_failed(log: &str) -> bool {
    let lists = log.lines().filter(|line| line.starts_with("test result: FAILED")).count();
    // error: 2 targets failed:
    let mut targets = log.lines().filter_map(|line| {
        let count = line.strip_prefix("error: ")?;
        let count =
            count.strip_suffix(" targets failed:").or_else(|| count.strip_suffix(" target failed:"))?;
        count.parse::<usize>().ok()
    });
    targets.next_back().is_some_and(|targets| targets > 0 && targets == lists)
}

/// The names in the lists at the end of each program. Of tests that print while they run, the line
/// of the result holds no name.
pub fn listed_failures(log: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut listing = false;
    for line in log.lines() {
        if line == "failures:" {
            listing = true;
        } else if line.is_empty() {
            listing = false;
        } else if let Some(name) = line.strip_prefix("    ").filter(|_| listing)
            && name.starts_with(|letter: char| letter.is_ascii_lowercase())
        {
            names.extend(name.split_whitespace().next().map(str::to_owned));
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "     Running tests/it/main.rs (target/debug/deps/it-1)

running 3 tests
test a::one ... ok
test a::two ... FAILED
test a::three ... ignored, slow

failures:

---- a::two stdout ----
panicked at it.rs:1

failures:
    a::two

test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 4 filtered out; finished in 0.01s

test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
error: 1 target failed:
";

    #[test]
    fn a_log_is_read() {
        assert_eq!(Counts::of(LOG), Counts { passed: 1, failed: 1, ignored: 1 });
        assert_eq!((failed(LOG), passed(LOG)), (vec!["a::two".to_owned()], vec!["a::one".to_owned()]));
        assert_eq!(listed_failures(LOG), BTreeSet::from(["a::two".to_owned()]));
        assert!(only_tests_failed(LOG));
        let shown: Vec<&str> = LOG.lines().filter(|line| is_worth_showing(line)).collect();
        assert_eq!(shown[..2], ["test a::two ... FAILED", "test a::three ... ignored, slow"]);
        assert!(!shown.iter().any(|line| line.contains("0 passed")), "{shown:?}");
    }

    #[test]
    fn a_program_that_crashed_or_was_not_built_is_no_failed_test() {
        assert!(!only_tests_failed(&LOG.replace("1 target failed", "2 targets failed")));
        assert!(!only_tests_failed(&LOG.replace("error: 1 target failed:", "error: could not compile")));
        assert!(is_worth_showing("running into trouble tests"));
    }
}
