//! The private installation of PostgreSQL: copies of the few programs and links to everything else,
//! so that the extension gets into no one else's. Nothing under /usr changes.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::checkout::{Checkout, first_line};
use crate::failure::{Context as _, Outcome};
use crate::pg_config::{self, PgConfig};
use crate::place::Place;

/// Copied, since PostgreSQL resolves a link to its program before it looks around.
const PROGRAMS: [&str; 4] = ["postgres", "initdb", "pg_ctl", "pg_config"];

/// Makes the installation; also in place of one that was made before the distribution brought a
/// newer PostgreSQL.
pub fn make(checkout: &Checkout, place: &Place) -> Outcome {
    let pg_config = pg_config::checked(checkout)?;
    let programs = pg_config.ask(checkout, "--bindir")?;
    let noted = first_line(&place.base.join("bindir"));
    let copied = place.within_tree(&programs).join("postgres");
    if noted.as_deref() == programs.to_str() && same(&programs.join("postgres"), &copied) {
        return Ok(());
    }
    let new = Place { tree: place.base.join("installation.new"), ..place.clone() };
    for tree in [&place.tree, &new.tree] {
        remove(tree)?;
    }
    fill(checkout, &new, &pg_config, &programs).context(format!("making {}", place.tree.display()))?;
    fs::rename(&new.tree, &place.tree).context(format!("making {}", place.tree.display()))?;
    let note = place.base.join("bindir");
    fs::write(&note, format!("{}\n", programs.display())).context(format!("writing {}", note.display()))
}

fn fill(checkout: &Checkout, place: &Place, pg_config: &PgConfig, programs: &Path) -> Outcome {
    let copies = place.within_tree(programs);
    fs::create_dir_all(&copies).context("its folder of programs")?;
    for program in PROGRAMS {
        fs::copy(programs.join(program), copies.join(program)).context(program)?;
    }
    for option in ["--pkglibdir", "--includedir-server", "--sharedir"] {
        let folder = pg_config.ask(checkout, option)?;
        // Headers that are not installed are not needed to run the server.
        if !folder.exists() {
            continue;
        }
        let extensions = folder.join("extension");
        link_all(&folder, &place.within_tree(&folder), Some("extension").filter(|_| option == "--sharedir"))?;
        if option == "--sharedir" {
            link_all(&extensions, &place.within_tree(&extensions), None)?;
        }
    }
    Ok(())
}

/// Links all that is in a folder, but what has this name.
fn link_all(from: &Path, to: &Path, but: Option<&str>) -> Outcome {
    let linking = || format!("linking {}", from.display());
    fs::create_dir_all(to).context(linking())?;
    for entry in fs::read_dir(from).context(linking())? {
        let name = entry.context(linking())?.file_name();
        if name.to_str().is_none_or(|name| Some(name) != but) {
            symlink(from.join(&name), to.join(&name)).context(linking())?;
        }
    }
    Ok(())
}

/// Removes a folder that may not be there.
pub fn remove(folder: &Path) -> Outcome {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).context(format!("removing {}", folder.display()))
        }
        _ => Ok(()),
    }
}

/// True if both files are there and hold the same.
pub fn same(one: &Path, other: &Path) -> bool {
    let length = |path: &Path| fs::metadata(path).ok().map(|found| found.len());
    let content = |path: &Path| fs::read(path).ok();
    length(one).is_some() && length(one) == length(other) && content(one) == content(other)
}
