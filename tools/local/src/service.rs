//! The commands on the copies of a service: `make up-NAME`, `stop-NAME`, `down-NAME`, `logs-NAME`
//! and `maintain-NAME`. The copy is the one of COPY_NUMBER.

use crate::cargo;
use crate::checkout::Checkout;
use crate::copy::{self, ServiceCopy};
use crate::failure::{Outcome, fail};
use crate::replace::by;
use crate::{chosen, environment, libpq, ready, release, services, state};

/// Starts a copy and what it needs.
pub fn up(checkout: &Checkout, service: &str) -> Outcome {
    services::must_be(checkout, service)?;
    up_copy(checkout, service, checkout.settings.copy_number()?.unwrap_or(1))
}

/// Starts the copy of this number and what it needs.
pub fn up_copy(checkout: &Checkout, service: &str, number: u32) -> Outcome {
    let _lock = checkout.lock(&format!("service-{service}"))?;
    let version = release::version(checkout, service)?;
    let copy = ServiceCopy::new(service, number);
    if let Some(pid) = copy.pid(checkout) {
        let port = copy.port(checkout).unwrap_or_default();
        checkout
            .screen
            .say(format!("      {service} {number}  http://127.0.0.1:{port}, running already (pid {pid})"));
        if copy::is_outdated(checkout, &copy) {
            checkout.screen.note(format!(
                "      it runs an older build: make roll-{service} replaces it without a pause"
            ));
        }
        return Ok(());
    }
    ready::all(checkout, service)?;
    build(checkout, service)?;
    release::keep(checkout, service, &version)?;
    copy.begin(checkout, &version)
}

/// Builds the program of a service.
pub fn build(checkout: &Checkout, service: &str) -> Outcome {
    cargo::build(checkout, &format!("building {service}"), &["--bin", &format!("{service}_service")])
}

/// The copy of COPY_NUMBER, or all that are known. Another command changes these unless the caller
/// holds the lock of the service.
pub fn chosen_copies(checkout: &Checkout, service: &str) -> Outcome<Vec<u32>> {
    Ok(match checkout.settings.copy_number()? {
        Some(number) => vec![number],
        None => services::known_copies(checkout, service),
    })
}

/// Stops copies gracefully.
pub fn stop(checkout: &Checkout, service: &str) -> Outcome {
    services::must_be(checkout, service)?;
    // A bad number ends the command before it waits.
    checkout.settings.copy_number()?;
    let _lock = checkout.lock(&format!("service-{service}"))?;
    let copies = chosen_copies(checkout, service)?;
    if copies.is_empty() {
        checkout.screen.say(format!("      {service}  not running"));
        return Ok(());
    }
    stop_copies(checkout, service, &copies)
}

/// Stops the copies of these numbers gracefully.
pub fn stop_copies(checkout: &Checkout, service: &str, numbers: &[u32]) -> Outcome {
    let _lock = checkout.lock(&format!("service-{service}"))?;
    copy::stop(checkout, service, numbers)?;
    environment::save(checkout)
}

/// Stops copies, and forgets their ports.
pub fn down(checkout: &Checkout, service: &str) -> Outcome {
    services::must_be(checkout, service)?;
    checkout.settings.copy_number()?;
    let _lock = checkout.lock(&format!("service-{service}"))?;
    stop(checkout, service)?;
    for number in chosen_copies(checkout, service)? {
        state::forget(checkout, &ServiceCopy::new(service, number).id());
    }
    environment::save(checkout)
}

/// Follows the log of a copy.
pub fn logs(checkout: &Checkout, service: &str) -> Outcome {
    services::must_be(checkout, service)?;
    let log = services::log(service, checkout.settings.copy_number()?.unwrap_or(1));
    if !checkout.path(&log).exists() {
        return fail(format!("{log} does not exist: {service} has not run yet; make up-{service} starts it"));
    }
    checkout.screen.note(format!("{log} (Ctrl-C ends)"));
    let mut tail = checkout.command("tail");
    tail.args(["-n", "50", "--follow=name", "--retry", "--", &log]);
    by(tail)
}

/// Runs the maintenance once, by the program itself, with the settings of the service.
pub fn maintain(checkout: &Checkout, service: &str) -> Outcome {
    ready::database(checkout, service)?;
    build(checkout, service)?;
    let mut program = checkout.command(release::built(checkout, service));
    if chosen::by_user(checkout, "DATABASE_URL", Some(service)).is_none() {
        libpq::without(checkout, &mut program);
    }
    program.arg("maintain");
    by(program)
}
