//! The files of the extension: its library, its control file and its scripts.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::checkout::Checkout;
use crate::digest;
use crate::failure::{Context as _, Outcome, fail};
use crate::installation::same;

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

impl Files {
    /// Puts all files in their places. True if any was not there as it is. `sudo` is the program
    /// that lends the right to write there.
    pub fn put(&self, checkout: &Checkout, sudo: Option<&str>) -> Outcome<bool> {
        let mut changed = false;
        let mut put = |from: &Path, to: PathBuf, mode: u32| -> Outcome {
            if same(from, &to) {
                return Ok(());
            }
            changed = true;
            match sudo {
                None => put(from, &to, mode),
                Some(sudo) => put_by(checkout, sudo, from, &to, mode),
            }
        };
        put(&self.library, self.libraries.join("pg_tpro.so"), 0o755)?;
        for script in scripts(checkout)? {
            let name = script.file_name().unwrap_or_default();
            put(&script, self.share.join("extension").join(name), 0o644)?;
        }
        Ok(changed)
    }
}

/// The control file and the scripts that PostgreSQL reads.
fn scripts(checkout: &Checkout) -> Outcome<Vec<PathBuf>> {
    let mut scripts = vec![checkout.path("pg_tpro/pg_tpro.control")];
    for entry in fs::read_dir(checkout.path("sql")).context("reading sql")? {
        let path = entry.context("reading sql")?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with("pg_tpro--") && name.ends_with(".sql") {
            scripts.push(path);
        }
    }
    scripts.sort();
    Ok(scripts)
}

/// The digest of the scripts that a database's extension is made from.
pub fn fingerprint(checkout: &Checkout) -> Outcome<String> {
    let mut text = Vec::new();
    for script in scripts(checkout)?.iter().filter(|path| path.extension().is_some_and(|end| end == "sql")) {
        text.extend(fs::read(script).context(format!("reading {}", script.display()))?);
    }
    Ok(digest::hex(&text).chars().take(16).collect())
}

/// The release that this source makes.
pub fn release(checkout: &Checkout) -> Outcome<String> {
    let control = "pg_tpro/pg_tpro.control";
    let text = fs::read_to_string(checkout.path(control)).context(format!("reading {control}"))?;
    let version = text.lines().find_map(|line| line.strip_prefix("default_version = '")?.strip_suffix('\''));
    version.map(str::to_owned).context(format!("{control} has no default_version"))
}

/// In one step and as a new file, since the old one may be mapped into running backends.
fn put(from: &Path, to: &Path, mode: u32) -> Outcome {
    let new = to.with_added_extension("new");
    fs::copy(from, &new)
        .and_then(|_| fs::set_permissions(&new, Permissions::from_mode(mode)))
        .and_then(|()| fs::rename(&new, to))
        .context(format!("putting {} into {}", from.display(), to.display()))
}

fn put_by(checkout: &Checkout, sudo: &str, from: &Path, to: &Path, mode: u32) -> Outcome {
    let new = to.with_added_extension("new");
    let mut install = checkout.command(sudo);
    install.arg("install").arg("-m").arg(format!("{mode:o}")).arg("--").arg(from).arg(&new);
    let mut rename = checkout.command(sudo);
    rename.args(["mv", "-f", "--"]).arg(&new).arg(to);
    for mut command in [install, rename] {
        if !command.status().context(format!("running {sudo}"))?.success() {
            return fail(format!("{} could not be put into {}", from.display(), to.display()));
        }
    }
    Ok(())
}
