//! `make check`: the checks that need no running server. Each runs, also after another has failed:
//! one round shows all that is to be mended.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::cargo;
use crate::checkout::Checkout;
use crate::failure::{Context as _, Outcome, fail};
use crate::pg_config::{self, PgConfig};
use crate::progress::{last_lines, logged};
use crate::setup::{self, Use};
use crate::sql_check;

/// A check: its title, and the work.
type Check = (&'static str, fn(&Checkout, &PgConfig) -> Outcome);

const CHECKS: [Check; 6] = [
    ("Form (cargo fmt)", form),
    ("Lints (cargo clippy, warnings are errors)", lints),
    ("Documentation (cargo doc, warnings are errors)", documentation),
    ("Dependencies (cargo deny)", dependencies),
    ("Scripts (shellcheck)", scripts),
    ("SQL (pgspot)", |checkout, _| sql_check::run(checkout)),
];

/// Runs all checks.
pub fn run(checkout: &Checkout) -> Outcome {
    let screen = &checkout.screen;
    screen.steps(CHECKS.len() + 1);
    screen.step("What it needs");
    setup::install(checkout, Use::Services)?;
    let pg_config = pg_config::checked(checkout)?;
    let mut failed = Vec::new();
    for (title, check) in CHECKS {
        screen.step(title);
        if let Err(failure) = check(checkout, &pg_config) {
            screen.error(failure.to_string());
            failed.push(title);
        }
    }
    screen.step_done();
    if !failed.is_empty() {
        return fail(format!("failed: {}", failed.join("; ")));
    }
    screen.say("all checks passed");
    Ok(())
}

/// Says that a check is left out, since its program is missing.
pub fn say_skipped(checkout: &Checkout, program: &str, remedy: &str) {
    checkout.screen.say(format!("      skipped: {program} is not installed ({remedy})"));
}

/// True if a program is there and answers.
pub fn is_there(checkout: &Checkout, program: &str, argument: &str) -> bool {
    let mut command = checkout.command(program);
    command.arg(argument).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Runs a program that says itself what is wrong.
fn spoken(mut command: Command, what: &str) -> Outcome {
    match command.status().context(format!("starting {what}"))?.success() {
        true => Ok(()),
        false => fail(format!("{what} failed")),
    }
}

fn form(checkout: &Checkout, _: &PgConfig) -> Outcome {
    let mut cargo = cargo::command(checkout)?;
    let colour = if checkout.screen.bold.is_empty() { "never" } else { "always" };
    cargo.args(["fmt", "--all", "--check", "--", "--color", colour]);
    spoken(cargo, "cargo fmt --check")
}

fn lints(checkout: &Checkout, pg_config: &PgConfig) -> Outcome {
    let mut cargo = cargo::command(checkout)?;
    pg_config::for_cargo(pg_config, &mut cargo);
    cargo.args(["clippy", "--workspace"]).args(cargo::flags(checkout)).args(pg_config::features(pg_config));
    cargo.args(["--all-targets", "--", "-D", "warnings"]);
    logged(checkout, "logs/clippy.log", "clippy", cargo)
}

fn documentation(checkout: &Checkout, pg_config: &PgConfig) -> Outcome {
    let mut cargo = cargo::command(checkout)?;
    pg_config::for_cargo(pg_config, &mut cargo);
    cargo.args(["doc", "--workspace"]).args(cargo::flags(checkout)).args(pg_config::features(pg_config));
    cargo.args(["--no-deps", "--document-private-items"]);
    cargo.env("RUSTDOCFLAGS", "-D warnings -A rustdoc::private_intra_doc_links");
    logged(checkout, "logs/doc.log", "rustdoc", cargo)
}

fn dependencies(checkout: &Checkout, _: &PgConfig) -> Outcome {
    failpoints(checkout)?;
    let mut version = cargo::command(checkout)?;
    version.args(["deny", "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
    if !version.status().is_ok_and(|status| status.success()) {
        say_skipped(checkout, "cargo-deny", "cargo install cargo-deny --locked");
        return Ok(());
    }
    let mut deny = cargo::command(checkout)?;
    deny.args(["deny", "--workspace", "check", "bans", "licenses", "sources"]);
    logged(checkout, "logs/deny.log", "cargo deny", deny)?;
    advisories(checkout)
}

/// No program that is built without tests depends on failpoints.
fn failpoints(checkout: &Checkout) -> Outcome {
    let mut tree = cargo::command(checkout)?;
    tree.args(["tree", "--workspace", "--edges", "normal,build,features", "--invert", "fail"]);
    let output = tree.output().context("starting cargo tree")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return fail(format!("cargo tree failed: {}", said.trim_end()));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let lines: Vec<&str> = text.lines().filter(|line| line.contains("failpoints")).collect();
    if lines.is_empty() {
        return Ok(());
    }
    lines.iter().for_each(|line| eprintln!("{line}"));
    fail("failpoints are for tests; as it is they would be in a release")
}

/// The only part that needs the net: a machine without it has checked the rest.
fn advisories(checkout: &Checkout) -> Outcome {
    let mut deny = cargo::command(checkout)?;
    deny.args(["deny", "--workspace", "check", "advisories"]).stdin(Stdio::null());
    let output = deny.output().context("starting cargo deny")?;
    let log = checkout.logs().join("advisories.log");
    fs::write(&log, [output.stdout, output.stderr].concat()).context("writing logs/advisories.log")?;
    if output.status.success() {
        return Ok(());
    }
    let text = fs::read_to_string(&log).unwrap_or_default();
    if text.contains("failed to fetch advisory database") {
        checkout.screen.say("      advisories skipped: their database could not be fetched");
        return Ok(());
    }
    last_lines(&log, 40).iter().for_each(|line| eprintln!("{line}"));
    fail("cargo deny check advisories failed; all of its output is in logs/advisories.log")
}

fn scripts(checkout: &Checkout, _: &PgConfig) -> Outcome {
    if !is_there(checkout, "shellcheck", "--version") {
        say_skipped(checkout, "shellcheck", "apt-get install shellcheck");
        return Ok(());
    }
    let scripts = ["make", "docker/build", "docker/postgres", "docker/test"];
    let scripts = scripts.into_iter().flat_map(|folder| scripts_in(checkout, folder));
    let mut shellcheck = checkout.command("shellcheck");
    shellcheck.arg("--external-sources").args(scripts).arg(".ci/run");
    spoken(shellcheck, "shellcheck")
}

/// The scripts in a folder.
fn scripts_in(checkout: &Checkout, folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(checkout.path(folder)).into_iter().flatten().flatten();
    let names = entries.map(|entry| PathBuf::from(folder).join(entry.file_name()));
    names.filter(|name| name.extension().is_some_and(|end| end == "sh")).collect()
}
