//! `docs/promise.md` says which test proves what: here, that it speaks of every fault and of no test that is not there.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use tpro_testkit::{Context, Failure, Outcome, paths};

/// The faults are numbered from 1 to this.
const FAULTS: u32 = 87;

/// The crates that are named there, and their folders.
const CRATES: [(&str, &str); 19] = [
    ("sidecar", "sidecar"),
    ("dotenv", "sidecar/dotenv"),
    ("wire", "sidecar/wire"),
    ("runtime", "sidecar/runtime"),
    ("dispatcher", "sidecar/dispatcher"),
    ("service", "sidecar/service"),
    ("maintenance", "sidecar/maintenance"),
    ("http", "sidecar/http"),
    ("models", "sidecar/models"),
    ("simulation", "sidecar/simulation"),
    ("testkit", "sidecar/testkit"),
    ("pg_tpro", "pg_tpro"),
    ("bridge", "tools/bridge"),
    ("chaos", "tools/chaos"),
    ("demo", "tools/demo"),
    ("viewer", "tools/viewer"),
    ("tpro", "tools/tpro"),
    ("servers", "tools/servers"),
    ("web", "services/web"),
];

#[test]
fn every_fault_has_a_line_and_every_test_that_is_named_exists() -> Outcome {
    let page = fs::read_to_string(paths::checkout().join("docs/promise.md"))?;
    let mut tests = BTreeSet::new();
    for (name, folder) in CRATES {
        find_tests(name, &paths::checkout().join(folder), &mut tests)?;
    }
    let mut numbers = BTreeSet::new();
    let mut problems = Vec::new();
    for line in page.lines() {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [number, _, _, proof] = cells[..] else { continue };
        let Ok(number) = number.parse::<u32>() else { continue };
        if !numbers.insert(number) {
            problems.push(format!("line {number} is there twice"));
        }
        // What is between backquotes and has a colon is a test.
        let named: Vec<&str> =
            proof.split('`').skip(1).step_by(2).filter(|word| word.contains(": ")).collect();
        if named.is_empty() && !proof.starts_with("open") && !proof.starts_with("not here:") {
            problems
                .push(format!("line {number} names no test and does not say why (open, or not here: ...)"));
        }
        for test in named.iter().filter(|test| !tests.contains(**test)) {
            problems.push(format!("line {number}: there is no test {test}"));
        }
    }
    problems.extend((1..=FAULTS).filter(|n| !numbers.contains(n)).map(|n| format!("fault {n} has no line")));
    if problems.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!("docs/promise.md: {}", problems.join("; "))))
}

#[test]
fn every_test_that_another_page_names_exists() -> Outcome {
    let mut tests = BTreeSet::new();
    for (name, folder) in CRATES {
        find_tests(name, &paths::checkout().join(folder), &mut tests)?;
    }
    for page in ["docs/security.md", "docs/message-states.md"] {
        let text = fs::read_to_string(paths::checkout().join(page))?;
        let named: Vec<&str> =
            text.split('`').skip(1).step_by(2).filter(|word| word.contains("::")).collect();
        assert!(named.len() > 10, "{page}: {named:?}");
        let missing: Vec<&&str> = named.iter().filter(|test| !tests.contains(**test)).collect();
        assert!(missing.is_empty(), "{page}: there is no test {missing:?}");
    }
    Ok(())
}

/// The tests of a crate as the page names them: `crate: module::name`, with the module's own name only.
fn find_tests(of: &str, folder: &Path, found: &mut BTreeSet<String>) -> Outcome {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(()) };
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            // A crate in a crate's folder has a name of its own.
            if !path.join("Cargo.toml").exists() {
                find_tests(of, &path, found)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let module = path.file_stem().context("a source file has a name")?.to_string_lossy();
            let source = fs::read_to_string(&path)?;
            found.extend(names(&source).map(|name| format!("{of}: {module}::{name}")));
        }
    }
    Ok(())
}

/// The names of the tests in a source: of each function that follows an attribute `#[test]`, of tokio or of the kit, too.
fn names(source: &str) -> impl Iterator<Item = &str> {
    let mut attributed = false;
    source.lines().map(str::trim).filter_map(move |line| {
        if line.starts_with("#[") {
            attributed |=
                ["#[test]", "#[tokio::test", "#[tpro_testkit::test"].iter().any(|it| line.starts_with(it));
            return None;
        }
        let function = line.trim_start_matches("async ").strip_prefix("fn ");
        let is_test = std::mem::take(&mut attributed);
        function.filter(|_| is_test)?.split(['(', '<']).next()
    })
}
