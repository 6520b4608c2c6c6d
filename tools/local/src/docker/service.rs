//! The commands on the copies of a service in containers: `make up-NAME`, `roll-NAME`,
//! `stop-NAME`, `down-NAME`, `logs-NAME` and `maintain-NAME`. The copy is the one of COPY_NUMBER.

use super::containers::Containers;
use super::copy::{self, Copy};
use super::{container, engine, environment};
use crate::checkout::Checkout;
use crate::copies::Copies as _;
use crate::failure::{Failure, Outcome};
use crate::replace::by;
use crate::{roll, services, up};

/// Starts a service and what it needs. Where it runs, its image is built, and copies of an older
/// image are replaced without a pause.
pub fn up(checkout: &Checkout, service: &str) -> Outcome {
    up::run(&Containers::of(checkout, service)?)
}

/// Puts the release of SERVICE_VERSION in the place of the copies that run.
pub fn roll(checkout: &Checkout, service: &str) -> Outcome {
    roll::run(&Containers::of(checkout, service)?)
}

/// Stops copies gracefully.
pub fn stop(checkout: &Checkout, service: &str) -> Outcome {
    services::must_be(checkout, service)?;
    let _lock = checkout.lock(&format!("service-{service}"))?;
    let copies = services::chosen_copies(checkout, service)?;
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
    let copies = Containers::of(checkout, service)?;
    services::chosen_copies(checkout, service)?.into_iter().try_for_each(|number| copies.forget(number))?;
    environment::save(checkout)
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
