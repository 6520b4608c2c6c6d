//! `make demo`: from nothing to eight cases that are as they should be.

use std::process::Command;
use std::time::Instant;

use crate::checkout::Checkout;
use crate::copy::ServiceCopy;
use crate::failure::{Context as _, Outcome, fail};
use crate::replace::by;
use crate::say::since;
use crate::service_settings::is_chosen_for_any;
use crate::setup::{self, Use};
use crate::{all, cargo, cluster, copy, environment, extension, jaeger, nats, release, service};

/// The services of the demo.
const SERVICES: [&str; 3] = ["main", "analytic", "co"];
/// The program of the cases.
const PROGRAM: &str = "tpro-demo";

/// Installs, builds and starts all of it, and runs the cases. With CASES=only it runs the cases on
/// the services that run.
pub fn run(checkout: &mut Checkout) -> Outcome {
    let began = Instant::now();
    if checkout.settings.get("CASES").as_deref() == Some("only") {
        return only_cases(checkout);
    }
    checkout.screen.steps(8);
    checkout.screen.step("What it needs");
    setup::install(checkout, Use::Services)?;
    checkout.screen.step("Building (a first build takes minutes; its output is in logs/build.log)");
    all::build(checkout, &SERVICES.map(str::to_owned), &[PROGRAM])?;
    start(checkout)?;
    checkout.screen.step("Eight cases");
    let status = cases(checkout)?.status().context("starting tpro-demo")?;
    if !status.success() {
        return fail("the demo's cases are not all as they should be");
    }
    checkout.screen.step_done();
    checkout.screen.say(format!("all of it took {}", since(began)));
    Ok(())
}

/// Starts the servers that are not the user's own, and the services.
fn start(checkout: &Checkout) -> Outcome {
    let screen = &checkout.screen;
    let is_users = |key: &str, what: &str| {
        let chosen = is_chosen_for_any(checkout, key, &SERVICES);
        if chosen {
            screen.say(format!("      {key} is yours: {what}"));
        }
        chosen
    };
    screen.step("PostgreSQL");
    if !is_users("DATABASE_URL", "none is started") {
        cluster::up(checkout)?;
    }
    screen.step("NATS");
    if !is_users("NATS_URL", "none is started") {
        nats::up(checkout)?;
    }
    screen.step("Traces");
    if !is_users("OTEL_EXPORTER_OTLP_ENDPOINT", "no viewer is started") {
        jaeger::up(checkout)?;
    }
    screen.step("The extension");
    if !is_users("DATABASE_URL", "the extension is taken to be there") {
        extension::up(checkout)?;
    }
    screen.step(format!("Services {}", SERVICES.join(" ")));
    for name in SERVICES {
        // A copy that runs an older build would show yesterday's program.
        let first = ServiceCopy::new(name, 1);
        let is_older = first.pid(checkout).is_some() && copy::is_outdated(checkout, &first);
        if is_older || first.pid(checkout).is_some_and(release::is_replaced) {
            service::stop_copies(checkout, name, &[1])?;
        }
        service::up(checkout, name)?;
    }
    Ok(())
}

/// The cases on what is there; if co is stopped, without it.
fn only_cases(checkout: &Checkout) -> Outcome {
    let program = cargo::profile(checkout).join(PROGRAM);
    if !program.exists() {
        return fail("CASES=only runs the cases on what is there, and nothing is: make demo first");
    }
    by(cases(checkout)?)
}

/// The program of the cases, with the addresses of what runs.
fn cases(checkout: &Checkout) -> Outcome<Command> {
    environment::save(checkout)?;
    let mut program = checkout.command(cargo::profile(checkout).join(PROGRAM));
    program.envs(environment::variables(checkout)?);
    Ok(program)
}
