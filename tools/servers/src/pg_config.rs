//! The installation of PostgreSQL that everything starts from.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

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
    /// This program. Fails if it is not one of our version.
    pub fn checked(path: PathBuf) -> Outcome<Self> {
        let shown = path.display();
        if !is_program(&path) {
            return Err(Failure::new(format!("PG_CONFIG={shown} is no program")).remedy(format!(
                "run make setup, or set PG_CONFIG to the pg_config of a PostgreSQL {MAJOR}"
            )));
        }
        let version = ask(&path, "--version")?;
        if !is_of_our_major(&version) {
            return Err(Failure::new(format!("PG_CONFIG={shown} is of {version}"))
                .remedy(format!("the extension is built for PostgreSQL {MAJOR}")));
        }
        Ok(Self { path, version })
    }

    /// One of its answers, such as the folder of `--bindir`.
    pub fn ask(&self, option: &str) -> Outcome<PathBuf> {
        ask(&self.path, option).map(PathBuf::from)
    }
}

/// The program to be taken when nobody names one: the distribution's, else one of our version in
/// these folders, as `PATH` lists them. It may not be there.
pub fn usual(folders: &str) -> PathBuf {
    if is_program(Path::new(DEFAULT)) {
        return PathBuf::from(DEFAULT);
    }
    let found =
        folders.split(':').map(|folder| Path::new(folder).join("pg_config")).find(|path| is_program(path));
    let fits = |path: &PathBuf| ask(path, "--version").is_ok_and(|version| is_of_our_major(&version));
    found.filter(fits).unwrap_or_else(|| PathBuf::from(DEFAULT))
}

/// True if this file can be run.
pub fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

/// An answer of a pg_config that may be of another version.
pub fn ask(path: &Path, option: &str) -> Outcome<String> {
    let running = || format!("running {} {option}", path.display());
    let answer = Command::new(path).arg(option).output().context(running())?;
    Ok(String::from_utf8_lossy(&answer.stdout).trim_end().to_owned())
}

fn is_of_our_major(version: &str) -> bool {
    let rest = version.strip_prefix("PostgreSQL ").and_then(|rest| rest.strip_prefix(&MAJOR.to_string()));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', ' ']))
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
