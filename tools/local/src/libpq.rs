//! The variables of libpq. The user's own must not lead those astray who go to the local database,
//! nor the server: it reads some of them itself.

use std::ffi::OsStr;
use std::process::Command;

use crate::checkout::Checkout;

/// Takes the variables (PGHOST, PGSSLMODE, PGTARGETSESSIONATTRS, ...) away from a command. PG_PORT
/// and others like it are settings of make.
pub fn without(checkout: &Checkout, command: &mut Command) {
    for (key, _) in checkout.settings.all().filter(|(key, _)| is_of_libpq(key)) {
        command.env_remove(key);
    }
}

fn is_of_libpq(key: &OsStr) -> bool {
    let key = key.to_string_lossy();
    let of_pg = key.strip_prefix("PG").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()));
    // The builds of the extension read these.
    of_pg && !key.starts_with("PGRX_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_of_libpq_are_told_from_settings_of_make() {
        for key in ["PGHOST", "PGSSLMODE", "PGPASSWORD", "PGTARGETSESSIONATTRS"] {
            assert!(is_of_libpq(OsStr::new(key)), "{key}");
        }
        for key in ["PG_PORT", "PG_CONFIG", "PGRX_PG_CONFIG_PATH", "PG", "HOME"] {
            assert!(!is_of_libpq(OsStr::new(key)), "{key}");
        }
    }
}
