//! `make roll-NAME`: a release in the place of what runs, without a pause.
//!
//! Each copy is drained once its successor is ready, so that somebody always answers. A version
//! that is kept is started as it is; a new one (or REBUILD=yes) is built.

use crate::checkout::Checkout;
use crate::copy::{self, ServiceCopy};
use crate::failure::{Outcome, fail};
use crate::pg_config::is_program;
use crate::{environment, ready, release, service, services, state};

/// Puts the release of SERVICE_VERSION in the place of the copies that run.
pub fn run(checkout: &Checkout, name: &str) -> Outcome {
    services::must_be(checkout, name)?;
    let screen = &checkout.screen;
    // A bad number ends the command before it waits.
    checkout.settings.copy_number()?;
    let _lock = checkout.lock(&format!("service-{name}"))?;
    let version = release::version(checkout, name)?;
    let copies = service::chosen_copies(checkout, name)?;
    let runs = |number: &u32| ServiceCopy::new(name, *number).pid(checkout).is_some();
    let old: Vec<u32> = copies.into_iter().filter(runs).collect();
    if old.is_empty() {
        if let Some(number) = checkout.settings.copy_number()? {
            return fail(format!(
                "{name} {number} does not run, so there is nothing to replace; make up-{name} starts it"
            ));
        }
        screen.say(format!("      {name}  does not run, so it is started"));
        return service::up(checkout, name);
    }
    ready::all(checkout, name)?;
    take_program(checkout, name, &version)?;
    for number in &old {
        let next = (1..).find(|number| !runs(number)).unwrap_or(1);
        replace(checkout, name, *number, next, &version)?;
    }
    environment::save(checkout)?;
    screen.say(format!(
        "      {name}  is version {version} now ({} replaced); kept: {}",
        old.len(),
        release::kept(checkout, name).join(" ")
    ));
    if release::version_of_file(checkout, name)? != version {
        screen.note(format!(
            "      copies started later have the version of services/{name}/.env: set SERVICE_VERSION={version} there"
        ));
    }
    Ok(())
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

/// Puts copy `next` in the place of copy `old`. One that does not come up changes nothing.
fn replace(checkout: &Checkout, name: &str, old: u32, next: u32, version: &str) -> Outcome {
    let begun = ServiceCopy::new(name, next).begin(checkout, version);
    let gone = if begun.is_ok() { old } else { next };
    if let Err(failure) = &begun {
        checkout.screen.error(failure.to_string());
    }
    copy::stop(checkout, name, &[gone])?;
    let of_old = ServiceCopy::new(name, old).version(checkout);
    state::forget(checkout, &ServiceCopy::new(name, gone).id());
    match begun {
        Ok(()) => Ok(()),
        Err(_) => {
            fail(format!("{name} {version} did not become ready; {name} {old} (version {of_old}) goes on"))
        }
    }
}
