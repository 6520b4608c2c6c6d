//! A cluster of PostgreSQL: how it is made, and its settings.

use std::path::Path;
use std::process::Command;

/// The settings that each private cluster has.
///
/// A failed statement's text, parameters and DETAIL can hold the body of a message, with a password
/// in it: none goes to the log.
pub const SETTINGS: [(&str, &str); 7] = [
    ("listen_addresses", "127.0.0.1"),
    ("max_connections", "300"),
    ("max_prepared_transactions", "10"),
    ("log_min_error_statement", "panic"),
    ("log_parameter_max_length_on_error", "0"),
    ("log_error_verbosity", "terse"),
    // The default from PostgreSQL 14 on.
    ("password_encryption", "scram-sha-256"),
];

/// The lines of settings in a file that PostgreSQL reads.
pub fn lines<'a>(settings: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let line = |(name, value): (&str, &str)| format!("{name} = '{}'\n", value.replace('\'', "''"));
    settings.into_iter().map(line).collect()
}

/// Has a call of initdb make a cluster with the superuser `postgres`. The password stands in a file
/// that the server's account can read: on no command line.
pub fn initdb<'a>(initdb: &'a mut Command, data: &Path, password: &Path) -> &'a mut Command {
    initdb.args(["--username=postgres", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8"]);
    initdb.arg("--pwfile").arg(password).arg("--pgdata").arg(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_in_a_setting_stays_one() {
        assert_eq!(lines([("a", "1"), ("b", "it's")]), "a = '1'\nb = 'it''s'\n");
    }
}
