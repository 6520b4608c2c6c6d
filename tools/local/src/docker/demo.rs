//! `make demo RUNTIME=docker`: from an engine to eight cases that are as they should be.

use std::process::Command;
use std::time::Instant;

use super::names::Names;
use super::{
    all, container, engine, environment, extension, image, jaeger, major, nats, postgres, private, service,
};
use crate::checkout::Checkout;
use crate::failure::{Context as _, Outcome, fail};
use crate::release;
use crate::say::since;
use crate::service_settings::is_chosen_for_any;

/// The services of the demo.
const SERVICES: [&str; 3] = ["main", "analytic", "co"];

/// Builds and starts all of it, and runs the cases. With CASES=only it runs the cases on the
/// services that run.
pub fn run(checkout: &mut Checkout) -> Outcome {
    let began = Instant::now();
    if checkout.settings.get("CASES").as_deref() != Some("only") {
        // Before the images, which take minutes.
        major::must_not_change(checkout)?;
        checkout.screen.steps(6);
        checkout.screen.step("Images (a first build takes minutes; its output is in logs/images.log)");
        all::build(checkout, &SERVICES.map(str::to_owned))?;
        image::build(checkout, "demo", &Names::of(checkout)?.image("demo"))?;
        start(checkout)?;
        checkout.screen.step("Eight cases");
    }
    let status = cases(checkout)?.status().context("starting the demo's container")?;
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
    let is_local = |key: &str| {
        let chosen = is_chosen_for_any(checkout, key, &SERVICES);
        if chosen {
            screen.say(format!("      {key} is yours: none is started"));
        }
        !chosen
    };
    screen.step("PostgreSQL and the extension");
    if is_local("DATABASE_URL") {
        postgres::up(checkout, true)?;
        extension::up(checkout)?;
    }
    screen.step("NATS");
    if is_local("NATS_URL") {
        nats::up(checkout, false)?;
    }
    screen.step("Traces");
    if is_local("OTEL_EXPORTER_OTLP_ENDPOINT") {
        jaeger::up(checkout, false)?;
    }
    screen.step(format!("Services {}", SERVICES.join(" ")));
    for name in SERVICES {
        // A copy of an older image would show yesterday's program.
        if is_outdated(checkout, name)? {
            service::roll(checkout, name)?
        } else {
            service::up(checkout, name)?
        }
    }
    Ok(())
}

/// True if the first copy of a service runs another image than the latest of its version.
fn is_outdated(checkout: &Checkout, name: &str) -> Outcome<bool> {
    let names = Names::of(checkout)?;
    let running = container::find(checkout, &names.copy(name, 1)).filter(container::Container::runs);
    let latest = image::id(checkout, &names.service_image(name, &release::version(checkout, name)?)?);
    Ok(running.is_some_and(|running| Some(running.image) != latest))
}

/// The program of the cases in a container that sees this machine's loopback, where everything is
/// published. It reads the addresses from a file: `docker inspect` shows no secret.
fn cases(checkout: &Checkout) -> Outcome<Command> {
    let tag = Names::of(checkout)?.image("demo");
    if !image::is_there(checkout, &tag) {
        return fail(
            "CASES=only runs the cases on what is there, and nothing is: make demo RUNTIME=docker first",
        );
    }
    let file = environment::write(checkout)?;
    let mut run =
        engine::docker(checkout, &["run", "--rm", "--network", "host", "--read-only", "--cap-drop", "ALL"]);
    run.args(["--security-opt", "no-new-privileges", "--user", &private::user()]);
    run.arg("--mount").arg(format!("type=bind,source={},target=/run/tpro/env,readonly", file.display()));
    for key in ["NO_COLOR", "TERM", "LANG"] {
        run.args(["--env", key]);
    }
    if checkout.screen.is_terminal {
        run.arg("--tty");
    }
    run.arg(tag);
    Ok(run)
}
