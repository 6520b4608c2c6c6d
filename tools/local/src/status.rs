//! `make status`: a table of the processes that run from this checkout.

use std::process::Stdio;

use crate::checkout::Checkout;
use crate::copy::ServiceCopy;
use crate::failure::Outcome;
use crate::psql::DATABASE;
use crate::{bridge, http, pg_config, process, services, state};

/// Prints the table.
pub fn print(checkout: &Checkout) -> Outcome {
    let head = row(["WHAT", "STATE", "PID", "PORT", "URL", "VERSION"].map(str::to_owned));
    checkout.screen.say(format!("{}{head}{}", checkout.screen.bold, checkout.screen.plain));
    let port = |part: &str, key: &str| state::port(checkout, part, key);
    let local = |scheme: &str, port: Option<u16>| port.map(|port| format!("{scheme}127.0.0.1:{port}"));
    let postgres = port("postgres", "port");
    let url = local("", postgres).map(|url| format!("{url}/{DATABASE}"));
    part(checkout, "postgres", "postgres", postgres, url, version_of_postgres(checkout));
    let nats = port("nats", "port");
    part(checkout, "nats", "nats", nats, local("nats://", nats), version_of_nats(checkout));
    for (name, label, key) in
        [("nats", "  monitoring", "monitor"), ("jaeger", "jaeger", "ui"), ("jaeger", "  collector", "otlp")]
    {
        let port = port(name, key);
        part(checkout, name, label, port, local("http://", port), None);
    }
    for number in bridge::known_copies(checkout) {
        let port = port(&bridge::id(number), "port");
        part(checkout, &bridge::id(number), &format!("bridge {number}"), port, local("http://", port), None);
    }
    for name in services::all(checkout) {
        let copies = services::known_copies(checkout, &name);
        if copies.is_empty() {
            checkout.screen.say(row([&name, "-", "-", "-", "-", "-"].map(str::to_owned)));
        }
        copies.into_iter().for_each(|number| copy(checkout, &ServiceCopy::new(&name, number)));
    }
    Ok(())
}

fn row(cells: [String; 6]) -> String {
    let [what, state, pid, port, url, version] = cells;
    format!("{what:<18} {state:<8} {pid:<8} {port:<6} {url:<32} {version}")
}

/// Prints the line of a process, or of one of its ports.
fn part(
    checkout: &Checkout,
    name: &str,
    label: &str,
    port: Option<u16>,
    url: Option<String>,
    version: Option<String>,
) {
    let pid = process::pid_of(checkout, name);
    let state = match pid {
        _ if !state::is_known(checkout, name) => "-",
        Some(_) => "running",
        None => "stopped",
    };
    let or_dash = |cell: Option<String>| cell.unwrap_or_else(|| "-".to_owned());
    checkout.screen.say(row([
        label.to_owned(),
        state.to_owned(),
        or_dash(pid.map(|pid| pid.to_string())),
        or_dash(port.map(|port| port.to_string())),
        or_dash(url),
        or_dash(version),
    ]));
}

/// Prints the line of a copy, and the reasons for which it is not ready.
fn copy(checkout: &Checkout, copy: &ServiceCopy<'_>) {
    let port = copy.port(checkout);
    let answering = port.filter(|_| copy.pid(checkout).is_some());
    let version = answering.and_then(version_of);
    let label = format!("{} {}", copy.service, copy.number);
    let url = port.map(|port| format!("http://127.0.0.1:{port}"));
    part(checkout, &copy.id(), &label, port, url, version);
    if let Some(port) = answering {
        let answer = http::get(port, "/readyz");
        if answer.status != 200 {
            let reasons = answer.body.replace('\n', " ");
            checkout.screen.note(format!("  {} is not ready: {reasons}", copy.id()));
        }
    }
}

/// The version that a copy tells.
fn version_of(port: u16) -> Option<String> {
    let answer = http::get(port, "/version");
    answer.text("version").filter(|_| answer.status == 200).map(str::to_owned)
}

fn version_of_postgres(checkout: &Checkout) -> Option<String> {
    // PostgreSQL 15.8 (Debian 15.8-0+deb12u1)
    answer_of(checkout, &pg_config::path(checkout).display().to_string())?
        .split(' ')
        .nth(1)
        .map(str::to_owned)
}

fn version_of_nats(checkout: &Checkout) -> Option<String> {
    // nats-server: v2.10.29
    answer_of(checkout, "nats-server")?.rsplit_once('v').map(|(_, version)| version.to_owned())
}

/// The answer of a program to `--version`.
fn answer_of(checkout: &Checkout, program: &str) -> Option<String> {
    let mut command = checkout.command(program);
    let output = command.arg("--version").stdin(Stdio::null()).output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).trim_end().to_owned()).filter(|answer| !answer.is_empty())
}
