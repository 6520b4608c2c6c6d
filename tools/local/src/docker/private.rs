//! The folder of secrets for containers, .local/docker/private. Nobody but its owner enters it; a
//! container gets single files and folders of it, which its user can read.

use std::fs::{self, DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use rustix::process::{getegid, geteuid};

use crate::checkout::Checkout;
use crate::failure::{Context as _, Outcome};
use crate::secret;

/// The user of our containers where root starts them.
const USER: u32 = 10_001;

/// The user and group of our containers, as compose takes them: who starts them, but never root.
pub fn user() -> String {
    match geteuid().is_root() {
        true => format!("{USER}:{USER}"),
        false => format!("{}:{}", geteuid().as_raw(), getegid().as_raw()),
    }
}

/// The folder of this name in it.
pub fn folder(checkout: &Checkout, name: &str) -> Outcome<PathBuf> {
    let private = checkout.path(".local/docker/private");
    let making = || format!("making {}", private.display());
    DirBuilder::new().recursive(true).mode(0o700).create(&private).context(making())?;
    fs::set_permissions(&private, Permissions::from_mode(0o700)).context(making())?;
    let folder = private.join(name);
    DirBuilder::new().recursive(true).mode(0o755).create(&folder).context(making())?;
    Ok(folder)
}

/// Replaces a file that our containers read.
pub fn replace(path: &Path, content: &(impl AsRef<[u8]> + ?Sized)) -> Outcome {
    let new = path.with_added_extension("new");
    secret::replace(&new, content)?;
    give(&new)?;
    fs::rename(&new, path).context(format!("replacing {}", path.display()))
}

/// Makes the user of our containers the owner of a file or a folder.
pub fn give(path: &Path) -> Outcome {
    if geteuid().is_root() {
        chown(path, Some(USER), Some(USER)).context(format!("giving {} to user {USER}", path.display()))?;
    }
    Ok(())
}

/// The secret that is kept in a file which a container of another user reads: the folder above is
/// closed to everybody else.
pub fn secret_for_any(path: &Path) -> Outcome<String> {
    let secret = secret::kept(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o444))
        .context(format!("opening {}", path.display()))?;
    Ok(secret)
}
