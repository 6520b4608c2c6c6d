//! `make status`: a table of the containers of this checkout.

use super::container;
use super::copy::Copy;
use super::names::Names;
use crate::checkout::Checkout;
use crate::failure::Outcome;
use crate::psql::DATABASE;
use crate::{http, services, state};

/// Prints the table.
pub fn print(checkout: &Checkout) -> Outcome {
    let names = Names::of(checkout)?;
    let screen = &checkout.screen;
    screen.say(format!(
        "{}{}{}",
        screen.bold,
        row(["WHAT", "STATE", "URL", "VERSION", "CONTAINER"]),
        screen.plain
    ));
    for (part, label, key, scheme, path) in [
        ("postgres", "postgres", "port", "", DATABASE),
        ("nats", "nats", "port", "nats://", ""),
        ("nats", "  monitoring", "monitor", "http://", ""),
        ("jaeger", "jaeger", "ui", "http://", ""),
        ("jaeger", "  collector", "otlp", "http://", ""),
    ] {
        let (name, port) = (names.part(part), state::port(checkout, part, key));
        let path = if path.is_empty() { String::new() } else { format!("/{path}") };
        let url = port.map(|port| format!("{scheme}127.0.0.1:{port}{path}"));
        screen.say(row([label, &state_of(checkout, &name), url.as_deref().unwrap_or("-"), "-", &name]));
    }
    for service in services::all(checkout) {
        let copies = services::known_copies(checkout, &service);
        if copies.is_empty() {
            screen.say(row([&service, "-", "-", "-", "-"]));
        }
        for number in copies {
            copy(checkout, &Copy::new(checkout, &service, number)?);
        }
    }
    Ok(())
}

/// Prints the line of a copy, and the reasons for which it is not ready.
fn copy(checkout: &Checkout, copy: &Copy) {
    let state = state_of(checkout, &copy.container);
    let port = copy.port(checkout);
    let url = port.map_or_else(|| "-".to_owned(), |port| format!("http://127.0.0.1:{port}"));
    let label = format!("{} {}", copy.service, copy.number);
    let version = copy.version(checkout);
    checkout.screen.say(row([&label, &state, &url, &version, &copy.container]));
    if let Some(port) = port.filter(|_| state == "running") {
        let answer = http::get(port, "/readyz");
        if answer.status != 200 {
            let reasons = answer.body.replace('\n', " ");
            checkout.screen.note(format!("  {} is not ready: {reasons}", copy.id()));
        }
    }
}

fn state_of(checkout: &Checkout, name: &str) -> String {
    container::find(checkout, name).map_or_else(|| "-".to_owned(), |found| found.state)
}

fn row(cells: [&str; 5]) -> String {
    let [what, state, url, version, container] = cells;
    format!("{what:<18} {state:<10} {url:<32} {version:<10} {container}")
}
