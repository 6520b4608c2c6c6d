//! The files of the private cluster: its data directory and its settings.

use std::fs::{self, DirBuilder, File, Permissions};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Stdio;

use tpro_servers::account::Account;
use tpro_servers::cluster;
use tpro_servers::files::remove;

use crate::checkout::Checkout;
use crate::failure::{Context as _, Outcome, fail};
use crate::place::Place;
use crate::secret;

/// For the person who reads the settings.
const COMMENT: &str = "\
# A failed statement's text, parameters and DETAIL can hold the body of a message, with a password
# in it: none goes to the log.
";

/// The path of a socket has room for 107 bytes. A longer folder than this has no room for its name.
const LONGEST_SOCKET_FOLDER: usize = 84;

/// Makes the cluster unless it is there.
pub fn make(checkout: &Checkout, place: &Place) -> Outcome {
    if place.data.exists() {
        return Ok(());
    }
    let unfinished = place.base.join("unfinished");
    remove(&unfinished)?;
    let superuser = place.base.join("superuser");
    // The password of a cluster that is not there any more.
    let _ = fs::remove_file(&superuser);
    let account = Account::of_postgres()?;
    folder(account, &unfinished, 0o700)?;
    let log = checkout.logs().join("initdb.log");
    let output = File::create(&log).context(format!("writing {}", log.display()))?;
    let errors = output.try_clone().context(format!("writing {}", log.display()))?;
    // For initdb only, and as long as it runs.
    let password = place.base.join("password");
    secret::replace(&password, &format!("{}\n", secret::kept(&superuser)?))?;
    account.own(&password)?;
    let mut initdb = place.as_postgres(checkout, place.program("initdb")?)?;
    cluster::initdb(&mut initdb, &unfinished.join("data"), &password);
    let made = initdb.stdin(Stdio::null()).stdout(output).stderr(errors).status();
    fs::remove_file(&password).context(format!("removing {}", password.display()))?;
    if !made.context("running initdb")?.success() {
        return fail("making the cluster failed; all of its output is in logs/initdb.log");
    }
    let settings = unfinished.join("data/postgresql.conf");
    place.write(checkout, &settings, "include_if_exists = 'tpro.conf'\n", true)?;
    // Whole or not at all: from here on it is the cluster.
    fs::rename(unfinished.join("data"), &place.data).context(format!("making {}", place.data.display()))?;
    remove(&unfinished)
}

/// Writes the settings that differ from PostgreSQL's defaults.
pub fn write_settings(checkout: &Checkout, place: &Place, port: u16) -> Outcome {
    let sockets = place.base.join("socket");
    folder(Account::of_postgres()?, &sockets, 0o711)?;
    let sockets = sockets.display().to_string();
    let (port, sockets) =
        (port.to_string(), if sockets.len() <= LONGEST_SOCKET_FOLDER { sockets.as_str() } else { "" });
    let own =
        [("port", &*port), ("unix_socket_directories", sockets), ("log_line_prefix", "%m [%p] %q%u@%d %a ")];
    let settings = format!("{COMMENT}{}", cluster::lines(cluster::SETTINGS.into_iter().chain(own)));
    place.write(checkout, &place.data.join("tpro.conf"), &settings, false)
}

/// Makes a folder of the server's user, with these rights.
fn folder(account: Account, path: &Path, mode: u32) -> Outcome {
    let making = || format!("making {}", path.display());
    DirBuilder::new().recursive(true).mode(mode).create(path).context(making())?;
    fs::set_permissions(path, Permissions::from_mode(mode)).context(making())?;
    account.own(path)
}
