//! `make status`: the processes that run from this checkout.

use std::process::Stdio;

use crate::checkout::Checkout;
use crate::copy::ServiceCopy;
use crate::part::{Part, Parts, Service, cell};
use crate::psql::DATABASE;
use crate::{bridge, http, pg_config, process, services, state};

/// Looks at everything that runs or has run.
pub fn look(checkout: &Checkout) -> Parts {
    let port = |part: &str, key: &str| state::port(checkout, part, key);
    let local = |scheme: &str, port: Option<u16>| port.map(|port| format!("{scheme}127.0.0.1:{port}"));
    let postgres = port("postgres", "port");
    let url = local("", postgres).map(|url| format!("{url}/{DATABASE}"));
    let mut servers = vec![Part {
        version: version_of_postgres(checkout),
        ..part(checkout, "postgres", "postgres", postgres, url)
    }];
    let nats = port("nats", "port");
    servers.push(Part {
        version: version_of_nats(checkout),
        ..part(checkout, "nats", "nats", nats, local("nats://", nats))
    });
    for (id, name, key) in [
        ("nats", "nats.monitoring", "monitor"),
        ("jaeger", "jaeger", "ui"),
        ("jaeger", "jaeger.collector", "otlp"),
    ] {
        let port = port(id, key);
        servers.push(part(checkout, id, name, port, local("http://", port)));
    }
    for number in bridge::known_copies(checkout) {
        let port = port(&bridge::id(number), "port");
        let bridge = part(checkout, &bridge::id(number), "bridge", port, local("http://", port));
        servers.push(Part { copy: Some(number), ..bridge });
    }
    let services = services::all(checkout).into_iter().map(|name| {
        let copies = services::known_copies(checkout, &name).into_iter();
        let copies = copies.map(|number| copy(checkout, &ServiceCopy::new(&name, number))).collect();
        Service { name, copies }
    });
    Parts { runtime: "native", servers, services: services.collect() }
}

/// Prints the table.
pub fn print(checkout: &Checkout) {
    let head = row(["WHAT", "STATE", "PID", "PORT", "URL", "VERSION"].map(str::to_owned));
    look(checkout).print(&checkout.screen, &head, |it| {
        let (state, url, version) = (it.state.as_ref(), it.url.as_ref(), it.version.as_ref());
        row([it.label(), cell(state), cell(it.pid), cell(it.port), cell(url), cell(version)])
    });
}

fn row(cells: [String; 6]) -> String {
    let [what, state, pid, port, url, version] = cells;
    format!("{what:<18} {state:<8} {pid:<8} {port:<6} {url:<32} {version}")
}

/// A process, or one of its ports.
fn part(checkout: &Checkout, id: &str, name: &str, port: Option<u16>, url: Option<String>) -> Part {
    let pid = process::pid_of(checkout, id);
    let state = match pid {
        _ if !state::is_known(checkout, id) => None,
        Some(_) => Some("running"),
        None => Some("stopped"),
    };
    Part { name: name.to_owned(), state: state.map(str::to_owned), pid, port, url, ..Part::default() }
}

/// A copy, and the reasons for which it is not ready.
fn copy(checkout: &Checkout, copy: &ServiceCopy<'_>) -> Part {
    let port = copy.port(checkout);
    let url = port.map(|port| format!("http://127.0.0.1:{port}"));
    let mut part = Part { copy: Some(copy.number), ..part(checkout, &copy.id(), copy.service, port, url) };
    if copy.pid(checkout).is_some() {
        part.version = port.and_then(version_of);
        part.ask_if_ready();
    }
    part
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
