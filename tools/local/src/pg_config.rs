//! The installation of PostgreSQL that this checkout starts from.

use std::path::{Path, PathBuf};
use std::process::Command;

use tpro_servers::pg_config::{DEFAULT, MAJOR, ask, usual};

use crate::checkout::Checkout;
use crate::failure::Outcome;

pub use tpro_servers::pg_config::{PgConfig, is_program};

/// The one of PG_CONFIG, else the distribution's. Fails if it is not one of our versions.
pub fn checked(checkout: &Checkout) -> Outcome<PgConfig> {
    PgConfig::checked(path(checkout))
}

/// The program to be taken; it may not be there.
pub fn path(checkout: &Checkout) -> PathBuf {
    let folders = || checkout.settings.get("PATH").unwrap_or_default();
    checkout.settings.get("PG_CONFIG").map_or_else(|| usual(&folders()), PathBuf::from)
}

/// The folder of its programs.
pub fn programs(checkout: &Checkout) -> Outcome<PathBuf> {
    ask(&path(checkout), "--bindir").map(PathBuf::from)
}

/// Names it to cargo. .cargo/config.toml names the distribution's: a path that comes from another
/// place makes cargo build the bindings again.
pub fn for_cargo(pg_config: &PgConfig, cargo: &mut Command) {
    if pg_config.path != Path::new(DEFAULT) {
        cargo.env("PGRX_PG_CONFIG_PATH", &pg_config.path);
    }
}

/// The arguments by which cargo builds the extension for this version of the server. Without any it
/// builds for the version that is preferred.
pub fn features(pg_config: &PgConfig) -> Vec<String> {
    match pg_config.major {
        MAJOR => Vec::new(),
        major => vec!["--no-default-features".to_owned(), format!("--features=pg_tpro/pg{major}")],
    }
}
