//! `make roll-NAME` in containers: a release in the place of what runs, without a pause. Each copy
//! is drained once its successor is ready.

use super::copy::{self, Copy};
use super::{environment, ready, release, service};
use crate::checkout::Checkout;
use crate::failure::{Outcome, fail};
use crate::{release as versions, services};

/// Puts the release of SERVICE_VERSION in the place of the copies that run.
pub fn run(checkout: &Checkout, name: &str) -> Outcome {
    services::must_be(checkout, name)?;
    let _lock = checkout.lock(&format!("service-{name}"))?;
    let version = versions::version(checkout, name)?;
    let copies = service::chosen_copies(checkout, name)?;
    let runs = |number: u32| Copy::new(checkout, name, number).is_ok_and(|copy| copy.runs(checkout));
    let old: Vec<u32> = copies.into_iter().filter(|number| runs(*number)).collect();
    if old.is_empty() {
        if let Some(number) = checkout.settings.copy_number()? {
            return fail(format!(
                "{name} {number} does not run, so there is nothing to replace; make up-{name} starts it"
            ));
        }
        checkout.screen.say(format!("      {name}  does not run, so it is started"));
        return service::up(checkout, name);
    }
    ready::all(checkout, name)?;
    release::take(checkout, name, &version)?;
    for number in &old {
        let next = (1..).find(|number| !runs(*number)).unwrap_or(1);
        replace(checkout, name, *number, next, &version)?;
    }
    environment::save(checkout)?;
    checkout.screen.say(format!(
        "      {name}  is version {version} now ({} replaced); images: {}",
        old.len(),
        release::kept(checkout, name)?.join(" ")
    ));
    if versions::version_of_file(checkout, name)? != version {
        checkout.screen.note(format!(
            "      copies started later have the version of services/{name}/.env: set SERVICE_VERSION={version} there"
        ));
    }
    Ok(())
}

/// Puts copy `next` in the place of copy `old`. One that does not come up changes nothing.
fn replace(checkout: &Checkout, name: &str, old: u32, next: u32, version: &str) -> Outcome {
    let begun = Copy::new(checkout, name, next)?.begin(checkout, version);
    let gone = if begun.is_ok() { old } else { next };
    if let Err(failure) = &begun {
        checkout.screen.error(failure.to_string());
    }
    copy::stop(checkout, name, &[gone])?;
    let of_old = Copy::new(checkout, name, old)?.version(checkout);
    service::forget(checkout, name, gone)?;
    match begun {
        Ok(()) => Ok(()),
        Err(_) => {
            fail(format!("{name} {version} did not become ready; {name} {old} (version {of_old}) goes on"))
        }
    }
}
