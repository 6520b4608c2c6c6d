//! The address of the local database for a service's own login.

use crate::checkout::Checkout;
use crate::failure::{Context as _, Outcome};
use crate::psql::DATABASE;
use crate::state;

/// The address with the password in it. It belongs into a file of the owner's alone.
pub fn database(checkout: &Checkout, login: &str, password: &str) -> Outcome<String> {
    let port = state::port(checkout, "postgres", "port")
        .context("the local PostgreSQL has not been started yet: make up-db")?;
    Ok(format!("postgres://{login}:{password}@127.0.0.1:{port}/{DATABASE}"))
}

/// The password in an address that [`database`] has made.
pub fn password(address: &str) -> Option<String> {
    let login = address.strip_prefix("postgres://")?.split_once('@')?.0;
    let password = login.split_once(':')?.1;
    (!password.is_empty()).then(|| password.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_comes_back() {
        assert_eq!(password("postgres://co:t0f@127.0.0.1:1/tpro").as_deref(), Some("t0f"));
        for without in ["", "postgres://co@127.0.0.1/tpro", "postgres://co:@127.0.0.1/tpro", "co:x"] {
            assert_eq!(password(without), None, "{without}");
        }
    }
}
