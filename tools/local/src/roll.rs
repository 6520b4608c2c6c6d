//! `make roll-NAME`: a release in the place of what runs, without a pause.
//!
//! A version that is kept is started as it is; a new one (or REBUILD=yes) is built.

use crate::checkout::Checkout;
use crate::failure::{Outcome, fail};
use crate::pg_config::is_program;
use crate::{handover, ready, release, service, services};

/// Puts the release of SERVICE_VERSION in the place of the copies that run.
pub fn run(checkout: &Checkout, name: &str) -> Outcome {
    services::must_be(checkout, name)?;
    // A bad number ends the command before it waits.
    let chosen = checkout.settings.copy_number()?;
    let _lock = checkout.lock(&format!("service-{name}"))?;
    let running = service::running_copies(checkout, name)?;
    match chosen {
        _ if !running.is_empty() => {
            let version = release::version(checkout, name)?;
            ready::all(checkout, name)?;
            take_program(checkout, name, &version)?;
            handover::run(checkout, name, &running, &version)
        }
        Some(number) => fail(format!(
            "{name} {number} does not run, so there is nothing to replace; make up-{name} starts it"
        )),
        None => {
            checkout.screen.say(format!("      {name}  does not run, so it is started"));
            service::up(checkout, name)
        }
    }
}

/// Takes the kept program of a version that the user names, or builds one.
fn take_program(checkout: &Checkout, name: &str, version: &str) -> Outcome {
    let is_named = checkout.settings.get("SERVICE_VERSION").is_some();
    let is_kept = is_program(&release::program(checkout, name, version));
    if is_named && is_kept && !checkout.settings.is_yes("REBUILD") {
        checkout.screen.say(format!(
            "      {name} {version}  is kept and started as it is (REBUILD=yes builds it again)"
        ));
        return Ok(());
    }
    service::build(checkout, name)?;
    release::keep(checkout, name, version)
}
