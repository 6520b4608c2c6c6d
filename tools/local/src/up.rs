//! `make up-NAME`: a service and what it needs, in either runtime.
//!
//! Where the service runs, it is built, and copies of an older build are replaced without a pause.

use crate::copies::Copies;
use crate::failure::Outcome;
use crate::{handover, release, services};

/// Starts a service and what it needs.
pub fn run(copies: &impl Copies) -> Outcome {
    let (checkout, service) = (copies.checkout(), copies.service());
    services::must_be(checkout, service)?;
    let chosen = checkout.settings.copy_number()?;
    let of_file = services::copy_of_file(checkout, service)?;
    let _lock = checkout.lock(&format!("service-{service}"))?;
    let running = copies.running()?;
    // A copy that the file names is started beside the others.
    let is_another = chosen.is_none() && of_file != 1 && !running.contains(&of_file);
    let version = release::version(checkout, service)?;
    if running.is_empty() || is_another {
        copies.need()?;
        copies.build(&version)?;
        copies.keep(&version)?;
        copies.begin(chosen.unwrap_or(of_file), &version)?;
        return copies.save();
    }
    copies.build(&version)?;
    let mut outdated = Vec::new();
    for number in running {
        let older = copies.is_outdated(number)?;
        // Somebody has put another version there on purpose.
        let is_ours = copies.version(number) == version;
        if older && is_ours {
            outdated.push(number);
            continue;
        }
        checkout
            .screen
            .say(format!("      {service} {number}  {}, running already", copies.whereabouts(number)));
        if older {
            let text =
                format!("      it runs an older build: make roll-{service} replaces it without a pause");
            checkout.screen.note(text);
        }
    }
    if outdated.is_empty() {
        return Ok(());
    }
    copies.need()?;
    copies.keep(&version)?;
    handover::run(copies, &outdated, &version)
}
