//! Rust: the cargo to use, and the builds.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::checkout::Checkout;
use crate::failure::{Context as _, Failure, Outcome, fail};
use crate::pg_config::{self, is_program};
use crate::{progress, services};

/// The log of the builds.
const LOG: &str = "logs/build.log";

/// The way in which programs are built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// For people: soon there.
    Debug,
    /// Optimised as for figures and for other machines. Its programs lie apart.
    Measured,
}

impl Profile {
    fn flags(self) -> &'static [&'static str] {
        match self {
            Self::Debug => &[],
            Self::Measured => &["--profile", "measured"],
        }
    }

    /// The folder of its programs.
    pub fn folder(self, checkout: &Checkout) -> PathBuf {
        checkout.target().join(match self {
            Self::Debug => "debug",
            Self::Measured => "measured",
        })
    }
}

/// The folder of the programs that `make demo` and `make up` run.
pub fn profile(checkout: &Checkout) -> PathBuf {
    Profile::Debug.folder(checkout)
}

/// Builds the programs that `make demo` and `make up` run, or what of them the arguments select.
pub fn build(checkout: &Checkout, label: &str, arguments: &[&str]) -> Outcome {
    build_in(checkout, Profile::Debug, label, arguments)
}

/// Builds the same programs in this profile.
///
/// They always have the features of these crates together: a package built alone would have others,
/// and everything under it would be compiled twice.
pub fn build_in(checkout: &Checkout, profile: Profile, label: &str, arguments: &[&str]) -> Outcome {
    let seldom_run = seldom_run(checkout)?;
    // A ready-made service is left out until somebody asks for it.
    let unwanted: Vec<String> = services::unwanted(checkout)
        .into_iter()
        .map(|name| services::program(checkout, name))
        .filter(|program| !arguments.contains(&program.as_str()))
        .collect();
    let left_out = seldom_run.iter().chain(&unwanted);
    let left_out = left_out.flat_map(|package| ["--exclude", package.as_str()]);
    let arguments: Vec<&str> = arguments.iter().copied().chain(left_out).collect();
    build_all(checkout, profile, label, &arguments)
}

/// Builds the programs of all crates, or what of them the arguments select. `BUILT=yes` says that
/// the caller has built everything.
pub fn build_all(checkout: &Checkout, profile: Profile, label: &str, arguments: &[&str]) -> Outcome {
    let pg_config = pg_config::checked(checkout)?;
    if checkout.settings.is_yes("BUILT") {
        return Ok(());
    }
    let mut cargo = command(checkout)?;
    pg_config::for_cargo(&pg_config, &mut cargo);
    cargo.args(["build", "--workspace"]).args(flags(checkout)).args(pg_config::features(&pg_config));
    cargo.args(profile.flags()).args(arguments);
    progress::logged(checkout, LOG, label, cargo)
}

/// The flags of each call: the unattended run builds the locked versions and nothing else.
pub fn flags(checkout: &Checkout) -> &'static [&'static str] {
    if checkout.settings.get("CI").is_some() { &["--locked"] } else { &[] }
}

/// A call of cargo. It is the one on PATH, or the one of rustup if that is missing or too old.
pub fn command(checkout: &Checkout) -> Outcome<Command> {
    let needed = oldest(checkout)?;
    let fits = |command: &mut Command| version(command).is_some_and(|version| version >= needed);
    if fits(&mut checkout.command("cargo")) {
        return Ok(checkout.command("cargo"));
    }
    // The programs that cargo calls must be rustup's, too.
    let folder = rustup_folder(checkout);
    if is_program(&folder.join("cargo")) {
        let with_rustup = || {
            let mut command = checkout.command(folder.join("cargo"));
            let path = checkout.settings.get("PATH").unwrap_or_default();
            command.env("PATH", format!("{}:{path}", folder.display()));
            command
        };
        if fits(&mut with_rustup()) {
            return Ok(with_rustup());
        }
    }
    let (major, minor) = needed;
    fail(format!("no cargo {major}.{minor} or newer here: run make setup"))
}

fn rustup_folder(checkout: &Checkout) -> PathBuf {
    let home = checkout.settings.get("CARGO_HOME").map(PathBuf::from);
    home.or_else(|| env::home_dir().map(|home| home.join(".cargo"))).unwrap_or_default().join("bin")
}

/// The packages that the workspace's manifest says are seldom run.
fn seldom_run(checkout: &Checkout) -> Outcome<Vec<String>> {
    let list = of_manifest(checkout, "seldom-run = [")?;
    let list = list.as_deref().and_then(|list| list.strip_suffix(']'));
    let Some(list) = list else { return fail("Cargo.toml has no list seldom-run on one line") };
    Ok(list.split(',').map(|name| name.trim().trim_matches('"').to_owned()).collect())
}

/// The rest of the line of the workspace's manifest that begins so.
fn of_manifest(checkout: &Checkout, begin: &str) -> Outcome<Option<String>> {
    let manifest = fs::read_to_string(checkout.path("Cargo.toml")).context("reading Cargo.toml")?;
    Ok(manifest.lines().find_map(|line| line.strip_prefix(begin)).map(str::to_owned))
}

/// The oldest Rust that the workspace says it builds with.
fn oldest(checkout: &Checkout) -> Outcome<(u32, u32)> {
    let line = of_manifest(checkout, "rust-version = \"")?;
    line.and_then(|text| numbers(text.trim_end_matches('"')))
        .ok_or_else(|| Failure::new("Cargo.toml names no rust-version, such as 1.95"))
}

fn version(cargo: &mut Command) -> Option<(u32, u32)> {
    let output = cargo.arg("--version").stdin(Stdio::null()).output().ok()?;
    numbers(String::from_utf8_lossy(&output.stdout).strip_prefix("cargo ")?)
}

/// The first two numbers of a version.
fn numbers(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split(|letter: char| !letter.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        assert_eq!(numbers("1.95"), Some((1, 95)));
        assert_eq!(numbers("1.100.0-nightly (abc 2026-01-01)"), Some((1, 100)));
        assert!(numbers("1.100.0") > numbers("1.95"));
        assert_eq!(numbers("one"), None);
    }
}
