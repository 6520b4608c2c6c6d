//! The commands on the copies of a service: `make up-NAME`, `stop-NAME`, `down-NAME`, `logs-NAME`
//! and `maintain-NAME`. The copy is the one of COPY_NUMBER.

use crate::cargo;
use crate::checkout::Checkout;
use crate::copy::{self, ServiceCopy};
use crate::failure::{Outcome, fail};
use crate::replace::by;
use crate::{chosen, environment, handover, libpq, ready, release, services, state};

/// Starts a service and what it needs. Where it runs, it is built, and copies of an older build are
/// replaced without a pause.
pub fn up(checkout: &Checkout, service: &str) -> Outcome {
    services::must_be(checkout, service)?;
    let chosen = checkout.settings.copy_number()?;
    let of_file = services::copy_of_file(checkout, service)?;
    let _lock = checkout.lock(&format!("service-{service}"))?;
    let running = running_copies(checkout, service)?;
    // A copy that the file names is started beside the others.
    let is_another = chosen.is_none() && of_file != 1 && !running.contains(&of_file);
    if running.is_empty() || is_another {
        return start(checkout, &ServiceCopy::new(service, chosen.unwrap_or(of_file)));
    }
    build(checkout, service)?;
    let version = release::version(checkout, service)?;
    let mut outdated = Vec::new();
    for number in running {
        let copy = ServiceCopy::new(service, number);
        let older = copy::is_outdated(checkout, &copy);
        // Somebody has put another version there on purpose.
        let is_ours = copy.version(checkout) == version;
        if older && is_ours {
            outdated.push(number);
            continue;
        }
        let (port, pid) = (copy.port(checkout).unwrap_or_default(), copy.pid(checkout).unwrap_or_default());
        let text = format!("      {}  http://127.0.0.1:{port}, running already (pid {pid})", copy.title());
        checkout.screen.say(text);
        if older {
            let text =
                format!("      it runs an older build: make roll-{service} replaces it without a pause");
            checkout.screen.note(text);
        }
    }
    if outdated.is_empty() {
        return Ok(());
    }
    ready::all(checkout, service)?;
    release::keep(checkout, service, &version)?;
    handover::run(checkout, service, &outdated, &version)
}

/// Starts a copy and what it needs.
fn start(checkout: &Checkout, copy: &ServiceCopy<'_>) -> Outcome {
    let version = release::version(checkout, copy.service)?;
    ready::all(checkout, copy.service)?;
    build(checkout, copy.service)?;
    release::keep(checkout, copy.service, &version)?;
    copy.begin(checkout, &version)
}

/// The copies of COPY_NUMBER, or all that are known, that run.
pub fn running_copies(checkout: &Checkout, service: &str) -> Outcome<Vec<u32>> {
    let mut copies = chosen_copies(checkout, service)?;
    copies.retain(|number| ServiceCopy::new(service, *number).pid(checkout).is_some());
    Ok(copies)
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
