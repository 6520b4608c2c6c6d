//! `make roll-NAME`: a release in the place of what runs, without a pause, in either runtime.
//!
//! A version that is kept is started as it is; a new one (or REBUILD=yes) is built.

use crate::copies::Copies;
use crate::failure::{Outcome, fail};
use crate::{handover, release, services, up};

/// Puts the release of SERVICE_VERSION in the place of the copies that run.
pub fn run(copies: &impl Copies) -> Outcome {
    let (checkout, name) = (copies.checkout(), copies.service());
    services::must_be(checkout, name)?;
    // A bad number ends the command before it waits.
    let chosen = checkout.settings.copy_number()?;
    let _lock = checkout.lock(&format!("service-{name}"))?;
    let running = copies.running()?;
    match chosen {
        _ if !running.is_empty() => {
            let version = release::version(checkout, name)?;
            copies.need()?;
            take(copies, &version)?;
            handover::run(copies, &running, &version)
        }
        Some(number) => fail(format!(
            "{name} {number} does not run, so there is nothing to replace; make up-{name} starts it"
        )),
        None => {
            checkout.screen.say(format!("      {name}  does not run, so it is started"));
            up::run(copies)
        }
    }
}

/// Takes the kept build of a version that the user names, or makes one.
fn take(copies: &impl Copies, version: &str) -> Outcome {
    let (checkout, name) = (copies.checkout(), copies.service());
    let is_named = checkout.settings.get("SERVICE_VERSION").is_some();
    let is_kept = || Ok(copies.kept()?.iter().any(|kept| kept == version));
    if is_named && !checkout.settings.is_yes("REBUILD") && is_kept()? {
        checkout.screen.say(format!(
            "      {name} {version}  is kept and started as it is (REBUILD=yes builds it again)"
        ));
        return Ok(());
    }
    copies.build(version)?;
    copies.keep(version)
}
