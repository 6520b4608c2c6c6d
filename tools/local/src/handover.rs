//! Copies of a service hand over to their successors, one after the other.
//!
//! Each copy is drained once its successor is ready, so that somebody always answers.

use crate::checkout::Checkout;
use crate::copy::{self, ServiceCopy};
use crate::failure::{Outcome, fail};
use crate::{environment, release, state};

/// Puts the kept program of this version in the place of these copies, one after the other.
pub fn run(checkout: &Checkout, name: &str, copies: &[u32], version: &str) -> Outcome {
    for number in copies {
        let runs = |number: &u32| ServiceCopy::new(name, *number).pid(checkout).is_some();
        let next = (1..).find(|number| !runs(number)).unwrap_or(1);
        replace(checkout, name, *number, next, version)?;
    }
    environment::save(checkout)?;
    let (count, kept) = (copies.len(), release::kept(checkout, name).join(" "));
    checkout.screen.say(format!("      {name}  is version {version} now ({count} replaced); kept: {kept}"));
    if release::version_of_file(checkout, name)? != version {
        checkout.screen.note(format!(
            "      copies started later have the version of services/{name}/.env: set SERVICE_VERSION={version} there"
        ));
    }
    Ok(())
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
