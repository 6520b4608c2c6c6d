//! Copies of a service hand over to their successors, one after the other.
//!
//! Each copy is drained once its successor is ready, so that somebody always answers.

use crate::copies::Copies;
use crate::failure::{Outcome, fail};
use crate::release;

/// Puts the kept build of this version in the place of these copies, one after the other.
pub fn run(copies: &impl Copies, numbers: &[u32], version: &str) -> Outcome {
    let (checkout, name) = (copies.checkout(), copies.service());
    for number in numbers {
        let next = (1..).find(|number| !copies.runs(*number)).unwrap_or(1);
        replace(copies, *number, next, version)?;
    }
    copies.save()?;
    let (count, kept) = (numbers.len(), copies.kept()?.join(" "));
    checkout.screen.say(format!("      {name}  is version {version} now ({count} replaced); kept: {kept}"));
    if release::version_of_file(checkout, name)? != version {
        checkout.screen.note(format!(
            "      copies started later have the version of services/{name}/.env: set SERVICE_VERSION={version} there"
        ));
    }
    Ok(())
}

/// Puts copy `next` in the place of copy `old`. One that does not come up changes nothing.
fn replace(copies: &impl Copies, old: u32, next: u32, version: &str) -> Outcome {
    let begun = copies.begin(next, version);
    let gone = if begun.is_ok() { old } else { next };
    if let Err(failure) = &begun {
        copies.checkout().screen.error(failure.to_string());
    }
    copies.stop(gone)?;
    let of_old = copies.version(old);
    copies.forget(gone)?;
    let name = copies.service();
    match begun {
        Ok(()) => Ok(()),
        Err(_) => {
            fail(format!("{name} {version} did not become ready; {name} {old} (version {of_old}) goes on"))
        }
    }
}
