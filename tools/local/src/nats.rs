//! The local nats-server, with a user for each service. It and its monitoring listen on loopback
//! only, as everything here.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::checkout::Checkout;
use crate::failure::{Context as _, Failure, Outcome, fail};
use crate::process::Signal;
use crate::say::since;
use crate::{environment, http, nats_users, port, process, secret, services, state};

/// Its settings, with places for what differs.
const TEMPLATE: &str = "docker/nats.conf";
/// The time that it has to start, or to take up its users.
const PATIENCE: Duration = Duration::from_secs(30);

/// Starts it; one that runs takes up the users that there are by now.
pub fn up(checkout: &Checkout) -> Outcome {
    let at = Instant::now();
    let _lock = checkout.lock("nats")?;
    let (port, monitor) = ports(checkout);
    if let (true, Some(port)) = (process::running(checkout, "nats"), port) {
        let other = checkout.settings.get("NATS_PORT").filter(|given| *given != port.to_string());
        if let Some(given) = other {
            checkout.screen.note(format!(
                "nats runs on port {port} already: make stop-nats first, then NATS_PORT={given} is taken up"
            ));
        }
        take_up_users(checkout)?;
        checkout.screen.remark(format!("      nats      127.0.0.1:{port}, running"));
        return Ok(());
    }
    let _ports = checkout.lock("ports")?;
    let given = |setting: &str| checkout.settings.get(setting);
    let port = port::pick("NATS_PORT", given("NATS_PORT").as_deref(), "4222", port)?;
    let monitor = port::pick("NATS_MONITOR_PORT", given("NATS_MONITOR_PORT").as_deref(), "8222", monitor)?;
    secret::replace(&settings(checkout), &filled_in(checkout, port, monitor)?)?;
    // Of an installation that had a token. It may not be there.
    let _ = fs::remove_file(checkout.path(".local/nats/token"));
    let mut server = checkout.command("nats-server");
    server.arg("--config").arg(settings(checkout));
    let pid = process::spawn(checkout, "nats", &server)?;
    let remembered = [port.to_string(), monitor.to_string()];
    process::remember(checkout, "nats", pid, &[("port", &remembered[0]), ("monitor", &remembered[1])])?;
    let ready = || http::get(monitor, "/healthz").status == 200;
    if !process::is_up_within(checkout, "nats", Some(&log(checkout)), PATIENCE, ready) {
        return fail(format!(
            "nats-server did not start on port {port} (NATS_PORT) and {monitor} (NATS_MONITOR_PORT)"
        ));
    }
    environment::save(checkout)?;
    let took = since(at);
    checkout
        .screen
        .say(format!("      nats      127.0.0.1:{port}, monitoring on {monitor}, started in {took}"));
    Ok(())
}

/// Has the server know the users that there are by now. Nothing where no local server runs.
pub fn follow_users(checkout: &Checkout) -> Outcome {
    let _lock = checkout.lock("nats")?;
    if process::running(checkout, "nats") { take_up_users(checkout) } else { Ok(()) }
}

/// Stops it.
pub fn stop(checkout: &Checkout) -> Outcome {
    let at = Instant::now();
    let _lock = checkout.lock("nats")?;
    let Some(pid) = process::pid_of(checkout, "nats") else {
        checkout.screen.say("      nats      not running");
        return Ok(());
    };
    process::signal(pid, Signal::TERM);
    if !process::gone_within(checkout, "nats", Duration::from_secs(15)) {
        return fail(format!("nats-server (pid {pid}) did not stop within 15 s"));
    }
    process::forget_pid(checkout, "nats");
    checkout.screen.say(format!("      nats      stopped in {}", since(at)));
    Ok(())
}

/// The running server takes up its users without a restart.
fn take_up_users(checkout: &Checkout) -> Outcome {
    let (Some(port), Some(monitor)) = ports(checkout) else {
        return Err(Failure::new("the ports of nats-server are not known").remedy("make stop-nats up-nats"));
    };
    let new = filled_in(checkout, port, monitor)?;
    if fs::read_to_string(settings(checkout)).is_ok_and(|now| now == new) {
        return Ok(());
    }
    // The moment at which the server has taken up its settings.
    let loaded = || http::get(monitor, "/varz").text("config_load_time").map(str::to_owned);
    let before = loaded();
    secret::replace(&settings(checkout), &new)?;
    if let Some(pid) = process::pid_of(checkout, "nats") {
        process::signal(pid, Signal::HUP);
    }
    let taken_up = || loaded().is_some_and(|now| Some(now) != before);
    if !process::is_up_within(checkout, "nats", Some(&log(checkout)), PATIENCE, taken_up) {
        return fail("nats-server did not take up its users");
    }
    checkout.screen.remark(format!("      nats      knows {}", services::all(checkout).join(" ")));
    Ok(())
}

/// Its settings for these ports.
fn filled_in(checkout: &Checkout, port: u16, monitor: u16) -> Outcome<String> {
    let log = log(checkout).display().to_string();
    if log.contains(['"', '\\']) {
        return fail(
            "the checkout's path holds a quote or a backslash, which nats-server's settings cannot: move it",
        );
    }
    let template = fs::read_to_string(checkout.path(TEMPLATE)).context(format!("reading {TEMPLATE}"))?;
    let users = nats_users::entries(checkout)?;
    let mut text = String::new();
    for line in template.lines() {
        let line = line.replace("@PORT@", &port.to_string()).replace("@MONITOR_PORT@", &monitor.to_string());
        let line = if line == "@USERS@" { users.clone() } else { line.replace("@LOG@", &log) };
        text.push_str(line.trim_end_matches('\n'));
        text.push('\n');
    }
    Ok(text)
}

fn ports(checkout: &Checkout) -> (Option<u16>, Option<u16>) {
    (state::port(checkout, "nats", "port"), state::port(checkout, "nats", "monitor"))
}

fn settings(checkout: &Checkout) -> PathBuf {
    checkout.path(Path::new(".local/nats/nats.conf"))
}

fn log(checkout: &Checkout) -> PathBuf {
    checkout.logs().join("nats.log")
}
