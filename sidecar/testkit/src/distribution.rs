//! PostgreSQL as the system has it, and a tree of our own made from it.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::{Context, Outcome};

/// Copied, since PostgreSQL resolves a link to its program before it looks around.
const PROGRAMS: [&str; 5] = ["postgres", "initdb", "pg_ctl", "pg_config", "pg_basebackup"];

/// PostgreSQL as the system has it.
pub(crate) struct Distribution {
    /// Its programs.
    pub(crate) programs: PathBuf,
    /// The folder that it searches for libraries of extensions.
    pub(crate) libraries: PathBuf,
    /// The folder that it searches for everything else.
    pub(crate) share: PathBuf,
    common: PathBuf,
}

impl Distribution {
    /// The distribution of `PG_CONFIG`, else of `PGRX_PG_CONFIG_PATH`, else Debian's.
    pub(crate) fn find() -> Outcome<Distribution> {
        let config = std::env::var_os("PG_CONFIG")
            .or_else(|| std::env::var_os("PGRX_PG_CONFIG_PATH"))
            .unwrap_or_else(|| "/usr/lib/postgresql/15/bin/pg_config".into());
        let ask = |option: &str| -> Outcome<PathBuf> {
            let answer = Command::new(&config)
                .arg(option)
                .output()
                .context(format!("running {} (set PG_CONFIG)", config.display()))?;
            Ok(PathBuf::from(String::from_utf8_lossy(&answer.stdout).trim()))
        };
        let (programs, libraries, share) = (ask("--bindir")?, ask("--pkglibdir")?, ask("--sharedir")?);
        let common = programs
            .ancestors()
            .find(|folder| libraries.starts_with(folder) && share.starts_with(folder))
            .context("PostgreSQL's folders have nothing in common")?
            .to_path_buf();
        Ok(Distribution { programs, libraries, share, common })
    }

    /// The place of one of its folders in a tree of our own.
    pub(crate) fn relative(&self, path: &Path) -> Outcome<PathBuf> {
        Ok(path.strip_prefix(&self.common)?.to_path_buf())
    }

    /// Makes a tree of our own.
    pub(crate) fn copy_to(&self, tree: &Path) -> Outcome {
        let programs = tree.join(self.relative(&self.programs)?);
        fs::create_dir_all(&programs)?;
        for program in PROGRAMS {
            let from = self.programs.join(program);
            fs::copy(&from, programs.join(program)).context(format!("copying {}", from.display()))?;
        }
        link_all(&self.libraries, &tree.join(self.relative(&self.libraries)?), None)?;
        let share = tree.join(self.relative(&self.share)?);
        link_all(&self.share, &share, Some(OsStr::new("extension")))?;
        link_all(&self.share.join("extension"), &share.join("extension"), None)
    }
}

fn link_all(from: &Path, to: &Path, but: Option<&OsStr>) -> Outcome {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).context(format!("reading {}", from.display()))? {
        let name = entry?.file_name();
        if Some(name.as_os_str()) != but {
            symlink(from.join(&name), to.join(&name))?;
        }
    }
    Ok(())
}
