//! psql in the local database: for commands, and for a person.

use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use crate::checkout::Checkout;
use crate::failure::{Context as _, Failure, Outcome, fail};
use crate::{libpq, pg_config, state};

/// The local database.
pub const DATABASE: &str = "tpro";
/// The file with the password of the superuser, in `.local`: everybody can read a command line.
pub const PASSFILE: &str = ".local/pgpass";

/// psql as a user of the local database, for a command. Its password comes by PGPASSWORD or
/// PGPASSFILE, which the caller sets.
pub fn local(checkout: &Checkout, user: &str) -> Outcome<Command> {
    let mut psql = plain(checkout, user)?;
    psql.args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--no-align", "--tuples-only"]);
    Ok(psql)
}

/// psql as the superuser of the local database, for a command.
pub fn admin(checkout: &Checkout) -> Outcome<Command> {
    let mut psql = local(checkout, "postgres")?;
    psql.env("PGPASSFILE", checkout.path(PASSFILE));
    Ok(psql)
}

/// Runs a statement as the superuser; returns its rows as psql prints them.
pub fn ask(checkout: &Checkout, statement: &str) -> Outcome<String> {
    answer(admin(checkout)?.arg(format!("--command={statement}")))
}

/// Runs a psql that is not to read from the terminal; returns its output.
pub fn answer(psql: &mut Command) -> Outcome<String> {
    let done = psql.stdin(Stdio::null()).stderr(Stdio::inherit()).output().context("running psql")?;
    if !done.status.success() {
        return fail(format!("psql failed: {}", done.status));
    }
    Ok(String::from_utf8_lossy(&done.stdout).trim_end().to_owned())
}

/// Asks as the superuser, and says nothing of an error: none then.
pub fn try_to_ask(checkout: &Checkout, statement: &str) -> Option<String> {
    let mut psql = admin(checkout).ok()?;
    let done = psql.arg(format!("--command={statement}")).stdin(Stdio::null()).output().ok()?;
    done.status.success().then(|| String::from_utf8_lossy(&done.stdout).trim_end().to_owned())
}

/// Puts psql as the local superuser in the place of this process.
pub fn be_superuser(checkout: &Checkout) -> Outcome {
    let mut psql = plain(checkout, "postgres")?;
    psql.env("PGPASSFILE", checkout.path(PASSFILE));
    replace_this(psql)
}

/// Puts psql at an address in the place of this process.
pub fn be_at(checkout: &Checkout, url: &str, is_local: bool) -> Outcome {
    let (url, password) = without_password(url);
    let mut psql = checkout.command(pg_config::programs(checkout)?.join("psql"));
    if is_local {
        libpq::without(checkout, &mut psql);
    }
    // The password goes by the environment: a command line can be read by everybody.
    if let Some(password) = password {
        psql.env("PGPASSWORD", password);
    }
    psql.arg(url);
    replace_this(psql)
}

fn plain(checkout: &Checkout, user: &str) -> Outcome<Command> {
    // Without a port psql would go to any server on 5432.
    let Some(port) = state::port(checkout, "postgres", "port") else {
        return Err(Failure::new("the local PostgreSQL has not been started yet").remedy("make up-db"));
    };
    let mut psql = checkout.command(pg_config::programs(checkout)?.join("psql"));
    libpq::without(checkout, &mut psql);
    psql.arg("--host=127.0.0.1").arg(format!("--port={port}"));
    psql.arg(format!("--username={user}")).arg(format!("--dbname={DATABASE}"));
    Ok(psql)
}

fn replace_this(mut psql: Command) -> Outcome {
    let error = psql.exec();
    fail(format!("psql cannot be started: {error}"))
}

/// An address without its password, and the password.
fn without_password(url: &str) -> (String, Option<String>) {
    let parts = || {
        let (scheme, rest) =
            url.split_once("://").filter(|(scheme, _)| ["postgres", "postgresql"].contains(scheme))?;
        let (login, place) = rest.split_once('@')?;
        let (user, password) = login.split_once(':')?;
        let is_login = !user.is_empty() && !user.contains('/') && !password.contains('/');
        is_login.then(|| (format!("{scheme}://{user}@{place}"), Some(percent_decoded(password))))
    };
    parts().unwrap_or_else(|| (url.to_owned(), None))
}

/// A text with its %-codes replaced; nothing else in it means anything.
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        let code = behind.get(..2).filter(|code| *first == b'%' && code.iter().all(u8::is_ascii_hexdigit));
        let byte = code.and_then(|code| u8::from_str_radix(std::str::from_utf8(code).ok()?, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &behind[2..] } else { behind };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_does_not_get_onto_the_command_line() {
        let parts = |url| without_password(url);
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(parts("postgres://co:a%20b%2@h:1/d"), ("postgres://co@h:1/d".to_owned(), some("a b%2")));
        assert_eq!(parts("postgresql://co:p:q@h/d").1, some("p:q"));
        for without in ["postgres://co@h/d", "postgres://h/d", "host=h dbname=d", "http://co:p@h/"] {
            assert_eq!(parts(without), (without.to_owned(), None));
        }
    }
}
