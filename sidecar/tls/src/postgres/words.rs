//! The words for an error of connecting that TLS has to do with.

use std::error::Error as _;

use tokio_postgres::{Error, error::SqlState};

use crate::failure::Failure;

/// The line for an error that TLS has to do with. It names the setting. None for other errors.
pub fn words(error: &Error) -> Option<(String, bool)> {
    if let Some(failure) = failure(error) {
        return Some((failure.to_string(), failure.is_lasting()));
    }
    let said = error.as_db_error()?;
    let remedy = match said.message() {
        _ if *said.code() != SqlState::INVALID_AUTHORIZATION_SPECIFICATION => return None,
        text if text.contains("no encryption") || text.contains("SSL off") => {
            "the server may take this login with TLS only: set PGSSLMODE=verify-full and PGSSLROOTCERT, or sslmode and sslrootcert in DATABASE_URL"
        }
        text if text.contains("certificate") => "correct PGSSLCERT and PGSSLKEY",
        _ => return None,
    };
    Some((format!("{}: {} ({}); {remedy}", said.severity(), said.message(), said.code().code()), true))
}

/// The failure of TLS that an error is about.
pub(super) fn failure(error: &Error) -> Option<Failure> {
    if let Some(failure) = Failure::of(error) {
        return Some(failure.clone());
    }
    // The words of the driver, which has no kind for it.
    let refused = error.source().is_some_and(|source| source.to_string() == "server does not support TLS");
    refused.then(|| {
        Failure::lasting(
            "the server has no TLS, and sslmode (PGSSLMODE or DATABASE_URL) asks for it; turn ssl on there"
                .to_owned(),
        )
    })
}
