//! The private installation of PostgreSQL, which the extension is put into.

use std::fs;

use tpro_servers::files::{first_line, remove, same};
use tpro_servers::tree::Tree;

use crate::checkout::Checkout;
use crate::failure::{Context as _, Failure, Outcome};
use crate::pg_config::{self, PgConfig};
use crate::place::Place;

/// Fails if the cluster is there and another version has made it.
pub fn fits(place: &Place, pg_config: &PgConfig) -> Outcome {
    match first_line(&place.data.join("PG_VERSION")) {
        Some(made_by) if made_by != pg_config.major.to_string() => Err(Failure::new(format!(
            "the local cluster is of PostgreSQL {made_by}, and {} is of {}",
            pg_config.path.display(),
            pg_config.version
        ))
        .remedy(format!(
            "set PG_CONFIG to the pg_config of a PostgreSQL {made_by}, or begin with an empty cluster: make clean"
        ))),
        _ => Ok(()),
    }
}

/// Makes the installation; also in place of one that was made before the distribution brought a
/// newer PostgreSQL.
pub fn make(checkout: &Checkout, place: &Place) -> Outcome {
    let pg_config = pg_config::checked(checkout)?;
    let programs = pg_config.ask("--bindir")?;
    let noted = first_line(&place.base.join("bindir"));
    let copied = place.tree.within(&programs).join("postgres");
    fits(place, &pg_config)?;
    if noted.as_deref() == programs.to_str() && same(&programs.join("postgres"), &copied) {
        return Ok(());
    }
    let new = Tree(place.base.join("installation.new"));
    for tree in [&place.tree, &new] {
        remove(&tree.0)?;
    }
    let making = || format!("making {}", place.tree.0.display());
    new.fill(&pg_config, &[]).context(making())?;
    fs::rename(&new.0, &place.tree.0).context(making())?;
    let note = place.base.join("bindir");
    fs::write(&note, format!("{}\n", programs.display())).context(format!("writing {}", note.display()))
}
