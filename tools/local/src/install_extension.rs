//! The extension in a PostgreSQL of the user's own, the one of PG_CONFIG.

use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};
use tpro_servers::extension::Files;

use crate::checkout::Checkout;
use crate::failure::{Failure, Outcome};
use crate::pg_config;
use crate::{cargo, digest, extension_files, progress};

/// Builds it for figures and for other machines, and puts it there.
pub fn install(checkout: &Checkout) -> Outcome {
    if checkout.settings.get("PG_CONFIG").is_none() {
        return Err(Failure::new("say which PostgreSQL")
            .remedy("make install-extension PG_CONFIG=/usr/lib/postgresql/15/bin/pg_config"));
    }
    let pg_config = pg_config::checked(checkout)?;
    let files = Files {
        library: build(checkout, &pg_config)?,
        libraries: pg_config.ask("--pkglibdir")?,
        share: pg_config.ask("--sharedir")?,
    };
    let (libraries, extensions) = (files.libraries.display(), files.share.join("extension"));
    let is_ours = |folder: &Path| access(folder, Access::WRITE_OK).is_ok();
    let sudo = (!is_ours(&files.libraries) || !is_ours(&extensions)).then_some("sudo");
    let extensions = extensions.display();
    if sudo.is_some() {
        checkout.screen.say(format!("      sudo, since {libraries} and {extensions} are not yours"));
    }
    let unchanged = if extension_files::put(checkout, &files, sudo)? { "" } else { ", unchanged" };
    checkout.screen.say(format!(
        "      pg_tpro is in {libraries} and {extensions}{unchanged}; CREATE EXTENSION pg_tpro as a superuser uses it"
    ));
    Ok(())
}

/// Builds the library for this PostgreSQL; returns its place.
fn build(checkout: &Checkout, pg_config: &pg_config::PgConfig) -> Outcome<PathBuf> {
    let measured = cargo::Profile::Measured;
    let mut settings = checkout.settings.clone();
    ["PG_CONFIG", "PGRX_PG_CONFIG_PATH"].iter().for_each(|key| settings.remove(key));
    let usual = Checkout::open(checkout.root.clone(), settings)?;
    if pg_config::checked(&usual).is_ok_and(|usual| usual.version == pg_config.version) {
        // An equal server in another place: a build for the one fits the other.
        cargo::build_in(&usual, measured, "building the extension", &["--lib"])?;
        return Ok(measured.folder(checkout).join("libpg_tpro.so"));
    }
    // Bindings to another PostgreSQL get a folder of their own, or each of the two would be built
    // again whenever the other is.
    let path = pg_config.path.display().to_string();
    let target = checkout.path(format!("target-pg-{}", digest::short(&path)));
    let mut cargo = cargo::command(checkout)?;
    pg_config::for_cargo(pg_config, &mut cargo);
    cargo.env("CARGO_TARGET_DIR", &target).arg("build").args(cargo::flags(checkout));
    cargo.args(["--profile", "measured", "--package", "pg_tpro"]).args(pg_config::features(pg_config));
    progress::logged(checkout, "logs/build.log", &format!("building the extension for {path}"), cargo)?;
    Ok(target.join("measured/libpg_tpro.so"))
}
