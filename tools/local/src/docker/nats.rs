//! The container of nats-server, with a user for each service.

use std::fs;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::names::Names;
use super::{compose, container, engine, image, network, postgres, private};
use crate::checkout::Checkout;
use crate::failure::{Context as _, Outcome, fail};
use crate::process::LOOK;
use crate::say::since;
use crate::{http, nats_users, port, services, state};

/// Its settings, with a place for the users.
const TEMPLATE: &str = "docker/nats-container.conf";
/// The time that it has to start, or to take up its users.
const PATIENCE: Duration = Duration::from_secs(60);

/// Starts it; one that runs takes up the users that there are by now.
pub fn up(checkout: &Checkout, renewed: bool) -> Outcome {
    let at = Instant::now();
    let _lock = checkout.lock("nats")?;
    let names = Names::of(checkout)?;
    let name = names.part("nats");
    container::must_be_ours(checkout, &name)?;
    let last = |key: &str| state::port(checkout, "nats", key);
    if let (true, Some(port), Some(monitor)) =
        (container::runs(checkout, &name), last("port"), last("monitor"))
    {
        take_up_users(checkout, &name, monitor)?;
        checkout.screen.remark(format!("      nats      127.0.0.1:{port}, running"));
        return Ok(());
    }
    let tag = image::of_part(checkout, "nats", "NATS_IMAGE", renewed)?;
    network::need(checkout)?;
    let settings = settings(checkout)?;
    private::replace(&settings, &filled_in(checkout)?)?;
    let folder = settings.parent().map(|folder| folder.display().to_string()).unwrap_or_default();
    let _ports = checkout.lock("ports")?;
    let pick = |setting: &str, default: &str, last: Option<u16>| {
        port::pick(setting, checkout.settings.get(setting).as_deref(), default, last)
    };
    let port = pick("NATS_PORT", "4222", last("port"))?;
    let monitor = pick("NATS_MONITOR_PORT", "8222", last("monitor"))?;
    let ports = [port.to_string(), monitor.to_string()];
    let variables = [
        ("NATS_TAG", &*tag),
        ("NATS_SETTINGS", &folder),
        ("NATS_PORT", &ports[0]),
        ("NATS_MONITOR_PORT", &ports[1]),
    ];
    compose::up(checkout, &names.project, "docker/parts.yml", "nats", &variables)?;
    state::put(checkout, "nats", &[("port", &ports[0]), ("monitor", &ports[1])])?;
    wait(checkout, &name, || http::get(monitor, "/healthz").status == 200, "did not start")?;
    let took = since(at);
    checkout.screen.say(format!(
        "      nats      127.0.0.1:{port}, monitoring on {monitor}, container {name}, started in {took}"
    ));
    Ok(())
}

/// Stops it.
pub fn stop(checkout: &Checkout) -> Outcome {
    postgres::stop_part(checkout, "nats", "")
}

/// The running server takes up its users without a restart.
fn take_up_users(checkout: &Checkout, name: &str, monitor: u16) -> Outcome {
    let (settings, new) = (settings(checkout)?, filled_in(checkout)?);
    if fs::read_to_string(&settings).is_ok_and(|now| now == new) {
        return Ok(());
    }
    let loaded = || http::get(monitor, "/varz").text("config_load_time").map(str::to_owned);
    let before = loaded();
    private::replace(&settings, &new)?;
    engine::ask(checkout, &["kill", "--signal", "HUP", name])?;
    let taken_up = || loaded().is_some_and(|now| Some(now) != before);
    wait(checkout, name, taken_up, "did not take up its users")?;
    checkout.screen.remark(format!("      nats      knows {}", services::all(checkout).join(" ")));
    Ok(())
}

fn wait(checkout: &Checkout, name: &str, is_done: impl Fn() -> bool, failed: &str) -> Outcome {
    let until = Instant::now() + PATIENCE;
    while !is_done() {
        if !container::runs(checkout, name) || Instant::now() > until {
            container::last_words(checkout, name);
            return fail(format!("nats-server {failed}: docker logs {name} says why"));
        }
        sleep(LOOK);
    }
    Ok(())
}

fn filled_in(checkout: &Checkout) -> Outcome<String> {
    let template = fs::read_to_string(checkout.path(TEMPLATE)).context(format!("reading {TEMPLATE}"))?;
    Ok(template.replace("@USERS@\n", &nats_users::entries(checkout)?))
}

fn settings(checkout: &Checkout) -> Outcome<PathBuf> {
    Ok(private::folder(checkout, "nats")?.join("nats.conf"))
}
