//! The files of the extension, as they are built now.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use crate::distribution::Distribution;
use crate::failure::{Context, Failure, Outcome};
use crate::paths;

/// The extension's files in the checkout.
pub(crate) struct Extension {
    library: PathBuf,
    scripts: BTreeSet<PathBuf>,
}

impl Extension {
    /// As it is built now.
    pub(crate) fn find() -> Outcome<Extension> {
        let library = paths::extension_library()?;
        let mut scripts = BTreeSet::new();
        for folder in ["sql", "pg_tpro"] {
            find_scripts(&paths::checkout().join(folder), &mut scripts)?;
        }
        if !scripts.iter().any(|script| script.extension() == Some(OsStr::new("control"))) {
            return Err(Failure::new("pg_tpro.control is neither under sql/ nor under pg_tpro/"));
        }
        Ok(Extension { library, scripts })
    }

    /// Tells one state of it from another.
    pub(crate) fn hash(&self) -> Outcome<u64> {
        let mut hasher = DefaultHasher::new();
        for file in self.scripts.iter().chain([&self.library]) {
            fs::read(file).context(format!("reading {}", file.display()))?.hash(&mut hasher);
        }
        Ok(hasher.finish())
    }

    /// Puts it into a tree.
    pub(crate) fn copy_to(&self, distribution: &Distribution, tree: &Path) -> Outcome {
        let libraries = tree.join(distribution.relative(&distribution.libraries)?);
        copy_over(&self.library, &libraries.join("pg_tpro.so"))?;
        let scripts = tree.join(distribution.relative(&distribution.share)?).join("extension");
        for script in &self.scripts {
            copy_over(script, &scripts.join(script.file_name().unwrap_or_default()))?;
        }
        Ok(())
    }
}

/// Finds the control file and the scripts `pg_tpro--*.sql`.
fn find_scripts(folder: &Path, found: &mut BTreeSet<PathBuf>) -> Outcome {
    for entry in fs::read_dir(folder).context(format!("reading {}", folder.display()))? {
        let path = entry?.path();
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        if path.is_dir() {
            find_scripts(&path, found)?;
        } else if name == "pg_tpro.control" || (name.starts_with("pg_tpro--") && name.ends_with(".sql")) {
            found.insert(path);
        }
    }
    Ok(())
}

/// Copies a file; where there is a link (to a version that the system has installed), it is
/// replaced, never written through.
fn copy_over(from: &Path, to: &Path) -> Outcome {
    if to.symlink_metadata().is_ok() {
        fs::remove_file(to)?;
    }
    fs::copy(from, to).context(format!("copying {} to {}", from.display(), to.display()))?;
    Ok(())
}
