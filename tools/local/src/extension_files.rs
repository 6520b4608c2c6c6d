//! The files of the extension of this checkout: what is put into a PostgreSQL, and what a database
//! was made from.

use std::fs;

use tpro_servers::extension::{Files, Placed, scripts};

use crate::checkout::Checkout;
use crate::digest;
use crate::failure::{Context as _, Outcome, fail};

/// Puts all files in their places. True if any was not there as it is. `sudo` is the program that
/// lends the right to write there.
pub fn put(checkout: &Checkout, files: &Files, sudo: Option<&str>) -> Outcome<bool> {
    let mut changed = false;
    for file in files.placed(&checkout.root)?.iter().filter(|file| !file.is_there()) {
        changed = true;
        match sudo {
            None => file.put()?,
            Some(sudo) => put_by(checkout, sudo, file)?,
        }
    }
    Ok(changed)
}

/// The digest of the scripts that a database's extension is made from.
pub fn fingerprint(checkout: &Checkout) -> Outcome<String> {
    let mut text = Vec::new();
    let scripts = scripts(&checkout.root)?;
    for script in scripts.iter().filter(|path| path.extension().is_some_and(|end| end == "sql")) {
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

fn put_by(checkout: &Checkout, sudo: &str, file: &Placed) -> Outcome {
    let new = file.beside();
    let mut install = checkout.command(sudo);
    install.arg("install").arg("-m").arg(format!("{:o}", file.mode)).arg("--").arg(&file.from).arg(&new);
    let mut rename = checkout.command(sudo);
    rename.args(["mv", "-f", "--"]).arg(&new).arg(&file.to);
    for mut command in [install, rename] {
        if !command.status().context(format!("running {sudo}"))?.success() {
            return fail(format!("{} could not be put into {}", file.from.display(), file.to.display()));
        }
    }
    Ok(())
}
