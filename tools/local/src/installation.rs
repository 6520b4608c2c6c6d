//! The private installation of PostgreSQL, which the extension is put into.

use std::fs;

use tpro_servers::files::{first_line, remove, same};
use tpro_servers::tree::Tree;

use crate::checkout::Checkout;
use crate::failure::{Context as _, Outcome};
use crate::pg_config;
use crate::place::Place;

/// Makes the installation; also in place of one that was made before the distribution brought a
/// newer PostgreSQL.
pub fn make(checkout: &Checkout, place: &Place) -> Outcome {
    let pg_config = pg_config::checked(checkout)?;
    let programs = pg_config.ask("--bindir")?;
    let noted = first_line(&place.base.join("bindir"));
    let copied = place.tree.within(&programs).join("postgres");
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
