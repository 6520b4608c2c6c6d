//! The major version of PostgreSQL in its container.

use super::container;
use super::names::Names;
use crate::checkout::Checkout;
use crate::debian::{self, BOOKWORM, RELEASES, Release};
use crate::failure::{Failure, Outcome};
use crate::state;

/// The version of PG, else the one that was started last, else 15; with the Debian that has it.
pub fn chosen(checkout: &Checkout) -> Outcome<Release> {
    debian::chosen(checkout, last(checkout).unwrap_or(BOOKWORM).postgres)
}

/// The version that was started last.
fn last(checkout: &Checkout) -> Option<Release> {
    // Before there were several, none was remembered.
    state::port(checkout, "postgres", "port")?;
    let major = state::get(checkout, "postgres", "major");
    let found = RELEASES.into_iter().find(|release| Some(release.postgres.to_string()) == major);
    Some(found.unwrap_or(BOOKWORM))
}

/// The version that was started last, if it is another one.
pub fn before(checkout: &Checkout, release: Release) -> Option<Release> {
    last(checkout).filter(|before| *before != release)
}

/// Fails if another version runs: its data stay where they are, and the new one begins without any.
pub fn must_not_change(checkout: &Checkout) -> Outcome {
    let release = chosen(checkout)?;
    let Some(before) = before(checkout, release) else { return Ok(()) };
    let names = Names::of(checkout)?;
    let name = names.part("postgres");
    if !container::runs(checkout, &name) {
        return Ok(());
    }
    Err(Failure::new(format!("PG={}: PostgreSQL {} runs in {name}", release.postgres, before.postgres))
        .remedy(format!(
            "make stop-db first; {} starts with the data of the volume {}, and those of {} stay in {}",
            release.postgres,
            names.volume(release),
            before.postgres,
            names.volume(before)
        )))
}
