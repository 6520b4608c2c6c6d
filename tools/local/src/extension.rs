//! The extension in the local database: built, put in its place, and upgraded if the database has
//! that of an earlier release.

use std::fs;
use std::time::Instant;

use tpro_servers::extension::Files;

use crate::checkout::Checkout;
use crate::extension_files;
use crate::failure::{Failure, Outcome};
use crate::place::Place;
use crate::say::since;
use crate::{cargo, cluster, installation, pg_config, psql};

/// Builds the extension and brings the local database to it.
pub fn up(checkout: &Checkout) -> Outcome {
    let at = Instant::now();
    checkout.screen.nowhere(|| cluster::up(checkout))?;
    cargo::build(checkout, "building the extension", &["--lib"])?;
    let _lock = checkout.lock("postgres")?;
    let place = Place::of(checkout)?;
    let pg_config = pg_config::checked(checkout)?;
    installation::fits(&place, &pg_config)?;
    let files = Files {
        library: cargo::profile(checkout).join("libpg_tpro.so"),
        libraries: place.tree.within(&pg_config.ask("--pkglibdir")?),
        share: place.tree.within(&pg_config.ask("--sharedir")?),
    };
    let renewed = extension_files::put(checkout, &files, None)?;
    let installed = installed(checkout)?;
    let made = place.base.join("extension.made");
    let fingerprint = extension_files::fingerprint(checkout)?;
    let note = |text: &str| crate::state::replace(&made, text);
    if installed.is_empty() {
        psql::ask(checkout, "CREATE EXTENSION pg_tpro").map_err(|_| {
            Failure::new("CREATE EXTENSION pg_tpro failed; the server's log is logs/postgres.log")
        })?;
        note(&fingerprint)?;
        checkout.screen.say(format!("      extension pg_tpro created in {}", since(at)));
        return Ok(());
    }
    let release = extension_files::release(checkout)?;
    if is_older(&installed, &release) {
        let at = Instant::now();
        psql::ask(checkout, "ALTER EXTENSION pg_tpro UPDATE").map_err(|_| {
            Failure::new(format!(
                "the local database has pg_tpro {installed}, and ALTER EXTENSION pg_tpro UPDATE failed; the \
                 server's log is logs/postgres.log"
            ))
        })?;
        note(&fingerprint)?;
        let took = since(at);
        checkout
            .screen
            .say(format!("      extension pg_tpro {installed} is {release} now, updated in {took}"));
        return upgrade_services(checkout);
    }
    // A script that has changed since under its version cannot be brought in.
    if fs::read_to_string(&made).unwrap_or_default().trim_end() != fingerprint {
        checkout.screen.warn(
            "sql/ has changed since the local database was made with it: make clean and a new start bring the change in",
        );
    }
    upgrade_services(checkout)?;
    let renewed = if renewed { ", its library renewed for new connections" } else { "" };
    checkout.screen.say(format!("      extension pg_tpro {installed} is there{renewed}"));
    Ok(())
}

/// Any build of this release that is there already will do; else the extension is built.
pub fn need(checkout: &Checkout) -> Outcome {
    checkout.screen.nowhere(|| cluster::up(checkout))?;
    if installed(checkout)? == extension_files::release(checkout)? { Ok(()) } else { up(checkout) }
}

/// The version in the local database; empty if there is none.
fn installed(checkout: &Checkout) -> Outcome<String> {
    psql::ask(checkout, "SELECT extversion FROM pg_extension WHERE extname = 'pg_tpro'")
}

/// Brings the services that are still as an earlier release made them to this one, each by itself.
fn upgrade_services(checkout: &Checkout) -> Outcome {
    const OUTDATED: &str =
        "SELECT count(*) FROM tpro.service_schemas s WHERE EXISTS (SELECT FROM tpro.outdated(s.name))";
    let at = Instant::now();
    // A database that was made from this release's scripts before they were finished cannot tell;
    // it has been warned of.
    let many = psql::try_to_ask(checkout, OUTDATED).unwrap_or_else(|| "0".to_owned());
    if many == "0" {
        return Ok(());
    }
    psql::ask(checkout, "CALL tpro.upgrade_services()").map_err(|_| {
        Failure::new(format!(
            "{many} services of the local database are still as an earlier release made them: end what the \
             message names, then make up-db"
        ))
    })?;
    checkout.screen.say(format!("      services of an earlier release: {many} upgraded in {}", since(at)));
    Ok(())
}

/// True if one release comes before another.
fn is_older(one: &str, other: &str) -> bool {
    let numbers = |version: &str| -> Vec<u64> {
        version.split('.').map(|part| part.parse().unwrap_or_default()).collect()
    };
    numbers(one) < numbers(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_compared_by_their_numbers() {
        assert!(is_older("0.1.0", "0.1.1") && is_older("0.1.9", "0.1.10") && is_older("0.9", "0.10.0"));
        assert!(!is_older("0.1.1", "0.1.1") && !is_older("0.2.0", "0.1.1"));
    }
}
