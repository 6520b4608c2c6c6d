//! The files of the extension: its library, its control file and its scripts.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::failure::{Context as _, Outcome};
use crate::files::same;

/// The name of the library in PostgreSQL. Each release has its own: a session that has loaded the
/// library of an earlier release can load this one beside it.
pub const LIBRARY: &str = concat!("pg_tpro-", env!("CARGO_PKG_VERSION"), ".so");

/// The name by which a database of release 0.1.0 asks for the library, until the extension is
/// updated there. Each release adds the name of the one before it.
pub const LIBRARY_OF_BEFORE: &str = "pg_tpro.so";

/// A library and the folders of the PostgreSQL that it is for.
#[derive(Clone, Debug)]
pub struct Files {
    /// The library as it was built.
    pub library: PathBuf,
    /// The folder of libraries of extensions.
    pub libraries: PathBuf,
    /// The folder of everything else.
    pub share: PathBuf,
}

/// A file and its place in PostgreSQL.
#[derive(Clone, Debug)]
pub struct Placed {
    /// The file of the checkout.
    pub from: PathBuf,
    /// Its place.
    pub to: PathBuf,
    /// Its rights there.
    pub mode: u32,
}

impl Files {
    /// All files of the extension in a checkout, each with its place.
    pub fn placed(&self, checkout: &Path) -> Outcome<Vec<Placed>> {
        let place = |name| Placed { from: self.library.clone(), to: self.libraries.join(name), mode: 0o755 };
        let mut all = vec![place(LIBRARY), place(LIBRARY_OF_BEFORE)];
        for from in scripts(checkout)? {
            let to = self.share.join("extension").join(from.file_name().unwrap_or_default());
            all.push(Placed { from, to, mode: 0o644 });
        }
        Ok(all)
    }
}

impl Placed {
    /// True if its place has it as it is.
    pub fn is_there(&self) -> bool {
        same(&self.from, &self.to)
    }

    /// Its place until it is whole.
    pub fn beside(&self) -> PathBuf {
        self.to.with_added_extension("new")
    }

    /// Puts it there in one step and as a new file: the old one may be mapped into running
    /// backends, or be a link to that of the distribution.
    pub fn put(&self) -> Outcome {
        let new = self.beside();
        fs::copy(&self.from, &new)
            .and_then(|_| fs::set_permissions(&new, Permissions::from_mode(self.mode)))
            .and_then(|()| fs::rename(&new, &self.to))
            .context(format!("putting {} into {}", self.from.display(), self.to.display()))
    }
}

/// The control files and the scripts that PostgreSQL reads, of a checkout.
pub fn scripts(checkout: &Path) -> Outcome<Vec<PathBuf>> {
    let mut scripts = vec![checkout.join("pg_tpro/pg_tpro.control")];
    for entry in fs::read_dir(checkout.join("sql")).context("reading sql")? {
        let path = entry.context("reading sql")?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with("pg_tpro--") {
            scripts.push(path);
        }
    }
    scripts.sort();
    Ok(scripts)
}
