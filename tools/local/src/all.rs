//! `make up` and `make down`: all services and what they need.

use crate::checkout::Checkout;
use crate::failure::Outcome;
use crate::setup::{self, Use};
use crate::{bridge, cargo, cluster, jaeger, nats, service, services};

/// Starts all services and what they need. A ready-made one is among them if it has a `.env`.
pub fn up(checkout: &mut Checkout) -> Outcome {
    checkout.screen.steps(3);
    checkout.screen.step("What it needs");
    setup::install(checkout, Use::Services)?;
    checkout.screen.step("Building");
    let names = services::wanted(checkout);
    build(checkout, &names, &[])?;
    checkout.screen.step(format!("Starting {} and what they need", names.join(" ")));
    names.iter().try_for_each(|name| service::up(checkout, name))?;
    checkout.screen.step_done();
    checkout.screen.say("make status shows what runs, make down ends it.");
    Ok(())
}

/// Builds the programs of these services, the extension, the trace viewer and these programs;
/// nothing after it builds again.
pub fn build(checkout: &mut Checkout, services: &[String], programs: &[&str]) -> Outcome {
    let of_services: Vec<String> = services.iter().map(|name| services::program(checkout, name)).collect();
    let programs =
        of_services.iter().map(String::as_str).chain([jaeger::PROGRAM]).chain(programs.iter().copied());
    let arguments: Vec<&str> =
        ["--lib"].into_iter().chain(programs.flat_map(|name| ["--bin", name])).collect();
    cargo::build(checkout, "building", &arguments)?;
    checkout.settings.set("BUILT", "yes");
    Ok(())
}

/// Stops all of it. Data stays.
pub fn down(checkout: &Checkout) -> Outcome {
    for name in services::all(checkout) {
        service::down(checkout, &name)?;
    }
    if bridge::known_copies(checkout).next().is_some() {
        bridge::stop(checkout)?;
    }
    jaeger::stop(checkout)?;
    nats::stop(checkout)?;
    cluster::stop(checkout)
}
