//! The commands on the copies of a service: `make up-NAME`, `roll-NAME`, `stop-NAME`, `down-NAME`,
//! `logs-NAME` and `maintain-NAME`. The copy is the one of COPY_NUMBER.

use crate::checkout::Checkout;
use crate::copy::{self, ServiceCopy};
use crate::failure::{Outcome, fail};
use crate::processes::{self, Processes};
use crate::replace::by;
use crate::{chosen, environment, libpq, ready, release, roll, services, state, up};

/// Starts a service and what it needs. Where it runs, it is built, and copies of an older build are
/// replaced without a pause.
pub fn up(checkout: &Checkout, service: &str) -> Outcome {
    up::run(&Processes::of(checkout, service))
}

/// Puts the release of SERVICE_VERSION in the place of the copies that run.
pub fn roll(checkout: &Checkout, service: &str) -> Outcome {
    roll::run(&Processes::of(checkout, service))
}

/// Stops copies gracefully.
pub fn stop(checkout: &Checkout, service: &str) -> Outcome {
    services::must_be(checkout, service)?;
    // A bad number ends the command before it waits.
    checkout.settings.copy_number()?;
    let _lock = checkout.lock(&format!("service-{service}"))?;
    let copies = services::chosen_copies(checkout, service)?;
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
    for number in services::chosen_copies(checkout, service)? {
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
    processes::build(checkout, service)?;
    let mut program = checkout.command(release::built(checkout, service));
    if chosen::by_user(checkout, "DATABASE_URL", Some(service)).is_none() {
        libpq::without(checkout, &mut program);
    }
    if services::is_in_sql(checkout, service) {
        program.env("SERVICE_NAME", service);
    }
    program.arg("maintain");
    by(program)
}
