//! The installation of PostgreSQL that everything starts from.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::checkout::Checkout;
use crate::failure::{Context as _, Failure, Outcome};

/// The major version that the extension is built for.
pub const MAJOR: u32 = 15;
/// The distribution's own.
pub const DEFAULT: &str = "/usr/lib/postgresql/15/bin/pg_config";

/// A pg_config that fits.
#[derive(Clone, Debug)]
pub struct PgConfig {
    /// The program.
    pub path: PathBuf,
    /// The version as it says itself, such as `PostgreSQL 15.8`.
    pub version: String,
}

impl PgConfig {
    /// One of its answers, such as the folder of `--bindir`.
    pub fn ask(&self, checkout: &Checkout, option: &str) -> Outcome<PathBuf> {
        ask(checkout, &self.path, option).map(PathBuf::from)
    }

    /// Names it to cargo. .cargo/config.toml names the distribution's: a path that comes from
    /// another place makes cargo build the bindings again.
    pub fn for_cargo(&self, cargo: &mut Command) {
        if self.path != Path::new(DEFAULT) {
            cargo.env("PGRX_PG_CONFIG_PATH", &self.path);
        }
    }
}

/// The one of PG_CONFIG, else the distribution's. Fails if it is not one of our version.
pub fn checked(checkout: &Checkout) -> Outcome<PgConfig> {
    let path = path(checkout);
    let shown = path.display();
    if !is_program(&path) {
        return Err(Failure::new(format!("PG_CONFIG={shown} is no program"))
            .remedy(format!("run make setup, or set PG_CONFIG to the pg_config of a PostgreSQL {MAJOR}")));
    }
    let version = ask(checkout, &path, "--version")?;
    if !is_of_our_major(&version) {
        return Err(Failure::new(format!("PG_CONFIG={shown} is of {version}"))
            .remedy(format!("the extension is built for PostgreSQL {MAJOR}")));
    }
    Ok(PgConfig { path, version })
}

/// The program to be taken; it may not be there.
pub fn path(checkout: &Checkout) -> PathBuf {
    if let Some(given) = checkout.settings.get("PG_CONFIG") {
        return PathBuf::from(given);
    }
    if is_program(Path::new(DEFAULT)) {
        return PathBuf::from(DEFAULT);
    }
    let folders = checkout.settings.get("PATH").unwrap_or_default();
    let found =
        folders.split(':').map(|folder| Path::new(folder).join("pg_config")).find(|path| is_program(path));
    let fits =
        |path: &PathBuf| ask(checkout, path, "--version").is_ok_and(|version| is_of_our_major(&version));
    found.filter(fits).unwrap_or_else(|| PathBuf::from(DEFAULT))
}

/// The folder of its programs.
pub fn programs(checkout: &Checkout) -> Outcome<PathBuf> {
    ask(checkout, &path(checkout), "--bindir").map(PathBuf::from)
}

fn ask(checkout: &Checkout, path: &Path, option: &str) -> Outcome<String> {
    let running = || format!("running {} {option}", path.display());
    let answer = checkout.command(path).arg(option).output().context(running())?;
    Ok(String::from_utf8_lossy(&answer.stdout).trim_end().to_owned())
}

fn is_of_our_major(version: &str) -> bool {
    let rest = version.strip_prefix("PostgreSQL ").and_then(|rest| rest.strip_prefix(&MAJOR.to_string()));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', ' ']))
}

/// True if this file can be run.
pub fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_major_version_fits() {
        for version in ["PostgreSQL 15", "PostgreSQL 15.8", "PostgreSQL 15.8 (Debian 15.8-0+deb12u1)"] {
            assert!(is_of_our_major(version), "{version}");
        }
        for version in ["PostgreSQL 16.1", "PostgreSQL 150", "PostgreSQL 1.5", ""] {
            assert!(!is_of_our_major(version), "{version}");
        }
    }
}
