//! The commands on the copies of a service in containers: `make up-NAME`, `stop-NAME`, `down-NAME`,
//! `logs-NAME` and `maintain-NAME`. The copy is the one of COPY_NUMBER.

use super::copy::{self, Copy};
use super::names::Names;
use super::{container, engine, environment, image, ready};
use crate::checkout::Checkout;
use crate::failure::{Failure, Outcome};
use crate::replace::by;
use crate::{release, services, state};

/// Starts a copy and what it needs.
pub fn up(checkout: &Checkout, service: &str) -> Outcome {
    services::must_be(checkout, service)?;
    let number = checkout.settings.copy_number()?.unwrap_or(1);
    let _lock = checkout.lock(&format!("service-{service}"))?;
    let version = release::version(checkout, service)?;
    let copy = Copy::new(checkout, service, number)?;
    if let Some(running) = container::find(checkout, &copy.container).filter(container::Container::runs) {
        let port = copy.port(checkout).unwrap_or_default();
        let name = &copy.container;
        checkout.screen.say(format!(
            "      {service} {number}  http://127.0.0.1:{port}, container {name}, running already"
        ));
        let tag = Names::of(checkout)?.service_image(service, &copy.version(checkout))?;
        if image::id(checkout, &tag).is_some_and(|id| id != running.image) {
            checkout.screen.note(format!(
                "      it runs an older image: make roll-{service} replaces it without a pause"
            ));
        }
        return Ok(());
    }
    ready::all(checkout, service)?;
    if !checkout.settings.is_yes("IMAGES_BUILT") {
        image::build_service(checkout, service, &version)?;
    }
    copy.begin(checkout, &version)?;
    environment::save(checkout)
}

/// The copy of COPY_NUMBER, or all that are known.
pub fn chosen_copies(checkout: &Checkout, service: &str) -> Outcome<Vec<u32>> {
    Ok(match checkout.settings.copy_number()? {
        Some(number) => vec![number],
        None => services::known_copies(checkout, service),
    })
}

/// Stops copies gracefully.
pub fn stop(checkout: &Checkout, service: &str) -> Outcome {
    services::must_be(checkout, service)?;
    let _lock = checkout.lock(&format!("service-{service}"))?;
    let copies = chosen_copies(checkout, service)?;
    if copies.is_empty() {
        checkout.screen.say(format!("      {service}  not running"));
        return Ok(());
    }
    copy::stop(checkout, service, &copies)?;
    environment::save(checkout)
}

/// Stops copies, removes their containers and forgets their ports.
pub fn down(checkout: &Checkout, service: &str) -> Outcome {
    let _lock = checkout.lock(&format!("service-{service}"))?;
    stop(checkout, service)?;
    for number in chosen_copies(checkout, service)? {
        forget(checkout, service, number)?;
    }
    environment::save(checkout)
}

/// Removes the container of a copy that was stopped, and what is remembered of it.
pub fn forget(checkout: &Checkout, service: &str, number: u32) -> Outcome {
    let copy = Copy::new(checkout, service, number)?;
    container::must_be_ours(checkout, &copy.container)?;
    container::remove(checkout, &copy.container)?;
    state::forget(checkout, &copy.id());
    Ok(())
}

/// Follows the output of a copy.
pub fn logs(checkout: &Checkout, service: &str) -> Outcome {
    let copy = that_is_there(checkout, service)?;
    checkout.screen.note(format!("docker logs {} (Ctrl-C ends)", copy.container));
    by(engine::docker(checkout, &["logs", "--tail", "50", "--follow", &copy.container]))
}

/// Runs the maintenance once, in the container of a copy that runs.
pub fn maintain(checkout: &Checkout, service: &str) -> Outcome {
    let copy = that_is_there(checkout, service)?;
    by(engine::docker(checkout, &["exec", &copy.container, "/service", "maintain"]))
}

fn that_is_there(checkout: &Checkout, service: &str) -> Outcome<Copy> {
    services::must_be(checkout, service)?;
    let copy = Copy::new(checkout, service, checkout.settings.copy_number()?.unwrap_or(1))?;
    match container::find(checkout, &copy.container) {
        Some(_) => Ok(copy),
        None => Err(Failure::new(format!("there is no container {}", copy.container))
            .remedy(format!("make up-{service} RUNTIME=docker starts it"))),
    }
}
