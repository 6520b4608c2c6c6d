//! The files of the private cluster: its data directory and its settings.

use std::fs::{self, DirBuilder, File, Permissions};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;

use crate::checkout::Checkout;
use crate::failure::{Context as _, Outcome, fail};
use crate::place::{Place, fed_into};
use crate::{installation, secret};

/// The password goes in by standard input, and for initdb through a file that only the server's
/// user can read: on no command line.
const INITDB: &str = r#"umask 077 && cat >"$1/password" && "$2" --pgdata="$1/data" --pwfile="$1/password" \
    --username=postgres --auth=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8 && rm "$1/password""#;

/// The path of a socket has room for 107 bytes. A longer folder than this has no room for its name.
const LONGEST_SOCKET_FOLDER: usize = 84;

/// Makes the cluster unless it is there.
pub fn make(checkout: &Checkout, place: &Place) -> Outcome {
    if place.data.exists() {
        return Ok(());
    }
    let unfinished = place.base.join("unfinished");
    installation::remove(&unfinished)?;
    let superuser = place.base.join("superuser");
    // The password of a cluster that is not there any more.
    let _ = fs::remove_file(&superuser);
    folder(checkout, place, &unfinished, 0o700)?;
    let log = checkout.logs().join("initdb.log");
    let output = File::create(&log).context(format!("writing {}", log.display()))?;
    let errors = output.try_clone().context(format!("writing {}", log.display()))?;
    let mut initdb = place.as_postgres(checkout, "sh");
    initdb.args(["-c", INITDB, "sh"]).arg(&unfinished).arg(place.program("initdb")?);
    initdb.stderr(errors);
    let password = secret::kept(&superuser)?;
    if fed_into(&mut initdb, &format!("{password}\n"), output.into(), "initdb").is_err() {
        return fail("making the cluster failed; all of its output is in logs/initdb.log");
    }
    let settings = unfinished.join("data/postgresql.conf");
    place.write(checkout, &settings, "include_if_exists = 'tpro.conf'\n", true)?;
    // Whole or not at all: from here on it is the cluster.
    fs::rename(unfinished.join("data"), &place.data).context(format!("making {}", place.data.display()))?;
    installation::remove(&unfinished)
}

/// Writes the settings that differ from PostgreSQL's defaults.
pub fn write_settings(checkout: &Checkout, place: &Place, port: u16) -> Outcome {
    let sockets = place.base.join("socket");
    folder(checkout, place, &sockets, 0o711)?;
    let sockets = sockets.display().to_string();
    let sockets =
        if sockets.len() <= LONGEST_SOCKET_FOLDER { sockets.replace('\'', "''") } else { String::new() };
    let settings = format!(
        "\
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = '{sockets}'
max_connections = 300
max_prepared_transactions = 10
# A failed statement's text, parameters and DETAIL can hold the body of a message, with a password
# in it: none goes to the log.
log_min_error_statement = panic
log_parameter_max_length_on_error = 0
log_error_verbosity = terse
log_line_prefix = '%m [%p] %q%u@%d %a '
"
    );
    place.write(checkout, &place.data.join("tpro.conf"), &settings, false)
}

/// Makes a folder of the server's user, with these rights.
fn folder(checkout: &Checkout, place: &Place, path: &Path, mode: u32) -> Outcome {
    let making = || format!("making {}", path.display());
    DirBuilder::new().recursive(true).mode(mode).create(path).context(making())?;
    fs::set_permissions(path, Permissions::from_mode(mode)).context(making())?;
    place.give(checkout, path)
}
