//! The installation of PostgreSQL that everything starts from.

use std::ops::RangeInclusive;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::{Context as _, Failure, Outcome};

/// The major versions that the extension is built for. The features of `pg_tpro` name them, too.
pub const MAJORS: RangeInclusive<u32> = 13..=18;
/// The one that is taken where several are installed; `make/setup.sh` prefers it as well.
pub const MAJOR: u32 = 15;
/// Its program as Debian installs it.
pub const DEFAULT: &str = "/usr/lib/postgresql/15/bin/pg_config";

/// A pg_config that fits.
#[derive(Clone, Debug)]
pub struct PgConfig {
    /// The program.
    pub path: PathBuf,
    /// The version as it says itself, such as `PostgreSQL 15.8`.
    pub version: String,
    /// The first number of it.
    pub major: u32,
}

impl PgConfig {
    /// This program. Fails if it is not one of our versions.
    pub fn checked(path: PathBuf) -> Outcome<Self> {
        let shown = path.display();
        if !is_program(&path) {
            return Err(Failure::new(format!("PG_CONFIG={shown} is no program")).remedy(format!(
                "run make setup, or set PG_CONFIG to the pg_config of a PostgreSQL {}",
                words()
            )));
        }
        let version = ask(&path, "--version")?;
        let Some(major) = our_major(&version) else {
            return Err(Failure::new(format!("PG_CONFIG={shown} is of {version}"))
                .remedy(format!("the extension is built for PostgreSQL {}", words())));
        };
        Ok(Self { path, version, major })
    }

    /// One of its answers, such as the folder of `--bindir`.
    pub fn ask(&self, option: &str) -> Outcome<PathBuf> {
        ask(&self.path, option).map(PathBuf::from)
    }
}

/// The program to be taken when nobody names one: that of the distribution's server, of the
/// preferred version or else of the newest. Without a server it is one of our versions in these
/// folders, as `PATH` lists them. It may not be there.
pub fn usual(folders: &str) -> PathBuf {
    if let Some(there) = of_debian(Path::new("/usr")) {
        return there;
    }
    let found =
        folders.split(':').map(|folder| Path::new(folder).join("pg_config")).find(|path| is_program(path));
    let fits = |path: &PathBuf| ask(path, "--version").is_ok_and(|version| our_major(&version).is_some());
    found.filter(fits).unwrap_or_else(|| PathBuf::from(DEFAULT))
}

/// The program beside a server, as Debian has it under `/usr`; a server with its headers comes
/// first. The package of the client has the program, too, and may be there alone.
fn of_debian(root: &Path) -> Option<PathBuf> {
    let program = |major: u32| root.join(format!("lib/postgresql/{major}/bin/pg_config"));
    let has_server = |major: &u32| {
        let path = program(*major);
        is_program(&path) && is_program(&path.with_file_name("postgres"))
    };
    let headers = |major: &u32| root.join(format!("include/postgresql/{major}/server/postgres.h"));
    let majors = || [MAJOR].into_iter().chain(MAJORS.rev()).filter(has_server);
    majors().find(|major| headers(major).exists()).or_else(|| majors().next()).map(program)
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

/// The major version of `PostgreSQL 15.8 (Debian ...)` or `PostgreSQL 18beta1`, if it is ours.
fn our_major(version: &str) -> Option<u32> {
    let rest = version.strip_prefix("PostgreSQL ")?;
    let digits = rest.len() - rest.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
    rest[..digits].parse().ok().filter(|major| MAJORS.contains(major))
}

/// The versions in a sentence.
fn words() -> String {
    format!("{} to {}", MAJORS.start(), MAJORS.end())
}

#[cfg(test)]
mod tests {
    use std::{env, fs};

    use super::*;

    #[test]
    fn the_server_that_is_there_is_taken_and_not_a_client_alone() {
        let all = env::temp_dir().join(format!("tpro-pg-config-{}", std::process::id()));
        let put = |place: &str| {
            let path = all.join(place);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        };
        assert_eq!(of_debian(&all), None);
        put("lib/postgresql/18/bin/pg_config");
        assert_eq!(of_debian(&all), None);
        let program = |major: u32| Some(all.join(format!("lib/postgresql/{major}/bin/pg_config")));
        for (major, taken) in [(16, 16), (17, 17), (12, 17), (15, 15), (18, 15)] {
            put(&format!("lib/postgresql/{major}/bin/postgres"));
            put(&format!("lib/postgresql/{major}/bin/pg_config"));
            assert_eq!(of_debian(&all), program(taken), "with {major}");
        }
        // One that can be built for comes first.
        for (major, taken) in [(12, 15), (16, 16), (17, 17), (15, 15)] {
            put(&format!("include/postgresql/{major}/server/postgres.h"));
            assert_eq!(of_debian(&all), program(taken), "with headers of {major}");
        }
        fs::remove_dir_all(&all).unwrap();
    }

    #[test]
    fn only_our_major_versions_fit() {
        for version in ["PostgreSQL 15", "PostgreSQL 15.8", "PostgreSQL 15.8 (Debian 15.8-0+deb12u1)"] {
            assert_eq!(our_major(version), Some(15), "{version}");
        }
        for version in ["PostgreSQL 18beta1", "PostgreSQL 18.1"] {
            assert_eq!(our_major(version), Some(18), "{version}");
        }
        for version in ["PostgreSQL 12.22", "PostgreSQL 150", "PostgreSQL 1.5", "PostgreSQL ", "15.8", ""] {
            assert_eq!(our_major(version), None, "{version}");
        }
    }
}
