//! A private installation of PostgreSQL: copies of the few programs and links to everything else,
//! so that the extension gets into no one else's. Nothing under /usr changes.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::failure::{Context as _, Outcome};
use crate::pg_config::PgConfig;

/// Copied, since PostgreSQL resolves a link to its program before it looks around.
const PROGRAMS: [&str; 4] = ["postgres", "initdb", "pg_ctl", "pg_config"];

/// A private installation. It has the distribution's paths under it: PostgreSQL finds its folders
/// relative to its program.
#[derive(Clone, Debug)]
pub struct Tree(pub PathBuf);

impl Tree {
    /// A folder of the distribution, as it lies in the tree.
    pub fn within(&self, folder: &Path) -> PathBuf {
        self.0.join(folder.strip_prefix("/").unwrap_or(folder))
    }

    /// Makes it of an installation, with copies of `more` programs, too.
    pub fn fill(&self, pg_config: &PgConfig, more: &[&str]) -> Outcome {
        let programs = pg_config.ask("--bindir")?;
        let copies = self.within(&programs);
        fs::create_dir_all(&copies).context("its folder of programs")?;
        for program in PROGRAMS.iter().chain(more) {
            fs::copy(programs.join(program), copies.join(program)).context(*program)?;
        }
        for option in ["--pkglibdir", "--includedir-server", "--sharedir"] {
            let folder = pg_config.ask(option)?;
            // Headers that are not installed are not needed to run the server.
            if !folder.exists() {
                continue;
            }
            let extensions = folder.join("extension");
            let but = Some("extension").filter(|_| option == "--sharedir");
            link_all(&folder, &self.within(&folder), but)?;
            if but.is_some() {
                link_all(&extensions, &self.within(&extensions), None)?;
            }
        }
        Ok(())
    }
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
