//! `make status`: the containers of this checkout.

use super::container;
use super::copy::Copy;
use super::names::Names;
use crate::checkout::Checkout;
use crate::failure::Outcome;
use crate::part::{Part, Parts, Service, cell};
use crate::psql::DATABASE;
use crate::{services, state};

/// Looks at everything that runs or has run.
pub fn look(checkout: &Checkout) -> Outcome<Parts> {
    let names = Names::of(checkout)?;
    let mut servers = Vec::new();
    for (id, name, key, scheme, path) in [
        ("postgres", "postgres", "port", "", DATABASE),
        ("nats", "nats", "port", "nats://", ""),
        ("nats", "nats.monitoring", "monitor", "http://", ""),
        ("jaeger", "jaeger", "ui", "http://", ""),
        ("jaeger", "jaeger.collector", "otlp", "http://", ""),
    ] {
        let (container, port) = (names.part(id), state::port(checkout, id, key));
        let path = if path.is_empty() { String::new() } else { format!("/{path}") };
        servers.push(Part {
            name: name.to_owned(),
            state: state_of(checkout, &container),
            port,
            url: port.map(|port| format!("{scheme}127.0.0.1:{port}{path}")),
            container: Some(container),
            ..Part::default()
        });
    }
    let mut services = Vec::new();
    for name in services::all(checkout) {
        let copies = services::known_copies(checkout, &name).into_iter();
        let copies = copies.map(|number| Ok(copy(checkout, Copy::new(checkout, &name, number)?)));
        services.push(Service { copies: copies.collect::<Outcome<_>>()?, name });
    }
    Ok(Parts { runtime: "docker", servers, services })
}

/// Prints the table.
pub fn print(checkout: &Checkout) -> Outcome {
    let head = row(["WHAT", "STATE", "URL", "VERSION", "CONTAINER"].map(str::to_owned));
    look(checkout)?.print(&checkout.screen, &head, |it| {
        let (state, url, version) = (it.state.as_ref(), it.url.as_ref(), it.version.as_ref());
        row([it.label(), cell(state), cell(url), cell(version), cell(it.container.as_ref())])
    });
    Ok(())
}

/// A copy, and the reasons for which it is not ready.
fn copy(checkout: &Checkout, copy: Copy) -> Part {
    let port = copy.port(checkout);
    let mut part = Part {
        copy: Some(copy.number),
        state: state_of(checkout, &copy.container),
        port,
        url: port.map(|port| format!("http://127.0.0.1:{port}")),
        version: Some(copy.version(checkout)).filter(|version| !version.is_empty()),
        name: copy.service,
        container: Some(copy.container),
        ..Part::default()
    };
    if part.state.as_deref() == Some("running") {
        part.ask_if_ready();
    }
    part
}

fn state_of(checkout: &Checkout, name: &str) -> Option<String> {
    container::find(checkout, name).map(|found| found.state)
}

fn row(cells: [String; 5]) -> String {
    let [what, state, url, version, container] = cells;
    format!("{what:<18} {state:<10} {url:<32} {version:<10} {container}")
}
