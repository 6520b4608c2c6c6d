//! The container of the trace viewer: ours, or Jaeger.

use std::thread::sleep;
use std::time::{Duration, Instant};

use super::names::Names;
use super::{compose, container, engine, image, network, postgres};
use crate::checkout::Checkout;
use crate::failure::{Outcome, fail};
use crate::process::LOOK;
use crate::say::since;
use crate::{http, port, state};

/// The time that it has to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// Starts it, unless it runs.
pub fn up(checkout: &Checkout, renewed: bool) -> Outcome {
    let at = Instant::now();
    let _lock = checkout.lock("jaeger")?;
    let names = Names::of(checkout)?;
    let name = names.part("jaeger");
    container::must_be_ours(checkout, &name)?;
    let last = |key: &str| state::port(checkout, "jaeger", key);
    if let (true, Some(ui)) = (container::runs(checkout, &name), last("ui")) {
        checkout.screen.remark(format!("      jaeger    http://127.0.0.1:{ui}, running"));
        return Ok(());
    }
    let tag = image::of_part(checkout, "jaeger", "JAEGER_IMAGE", renewed)?;
    network::need(checkout)?;
    let _ports = checkout.lock("ports")?;
    let pick = |setting: &str, default: &str, last: Option<u16>| {
        port::pick(setting, checkout.settings.get(setting).as_deref(), default, last)
    };
    let (otlp, ui) = (pick("OTLP_PORT", "4317", last("otlp"))?, pick("JAEGER_PORT", "16686", last("ui"))?);
    let ports = [otlp.to_string(), ui.to_string()];
    let variables = [("JAEGER_TAG", &*tag), ("OTLP_PORT", &ports[0]), ("JAEGER_PORT", &ports[1])];
    compose::up(checkout, &names.project, "docker/parts.yml", "jaeger", &variables)?;
    state::put(checkout, "jaeger", &[("otlp", &ports[0]), ("ui", &ports[1])])?;
    let until = Instant::now() + PATIENCE;
    while http::get(ui, "/api/services").status != 200 {
        if !container::runs(checkout, &name) || Instant::now() > until {
            container::last_words(checkout, &name);
            return fail(format!("the trace viewer did not start: docker logs {name} says why"));
        }
        sleep(LOOK);
    }
    checkout
        .screen
        .say(format!("      jaeger    http://127.0.0.1:{ui}, container {name}, started in {}", since(at)));
    Ok(())
}

/// Stops it. Its traces are in its memory only.
pub fn stop(checkout: &Checkout) -> Outcome {
    postgres::stop_part(checkout, "jaeger", "; its traces are gone")
}

/// Removes container and image.
pub fn down_all(checkout: &Checkout) -> Outcome {
    stop(checkout)?;
    let names = Names::of(checkout)?;
    container::remove(checkout, &names.part("jaeger"))?;
    state::forget(checkout, "jaeger");
    // It may be an official one, or not there.
    engine::try_ask(checkout, &["image", "rm", &names.image("jaeger")]);
    checkout.screen.say("      jaeger    container and image are removed");
    Ok(())
}
