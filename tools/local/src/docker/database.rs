//! The addresses of the database in a container.

use super::names::Names;
use super::private;
use crate::checkout::Checkout;
use crate::failure::{Context as _, Outcome};
use crate::psql::DATABASE;
use crate::{secret, state};

/// The password of a service's login. It is made at the first time.
pub fn password(checkout: &Checkout, login: &str) -> Outcome<String> {
    secret::kept(&private::folder(checkout, "logins")?.join(login))
}

/// The address for a container, with the password in it.
pub fn inside(checkout: &Checkout, login: &str) -> Outcome<String> {
    let (host, password) = (Names::of(checkout)?.host("postgres"), password(checkout, login)?);
    Ok(format!("postgres://{login}:{password}@{host}:5432/{DATABASE}"))
}

/// The address for a program of this machine, with the password in it.
pub fn outside(checkout: &Checkout, login: &str) -> Outcome<String> {
    let port = state::port(checkout, "postgres", "port")
        .context("PostgreSQL has not been started yet: make up-db RUNTIME=docker")?;
    Ok(format!("postgres://{login}:{}@127.0.0.1:{port}/{DATABASE}", password(checkout, login)?))
}
