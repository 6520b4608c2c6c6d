//! `BIND` and the local trace viewer.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::process::Command;

use tpro_testkit::ports::free_port;
use tpro_testkit::{Outcome, Process, Signal};

use crate::make_commands::Checkout;

/// Ends the viewer with the test, however the test ends.
const KEEPER: &str =
    "trap '' INT HUP QUIT; trap 'kill $!; make stop-jaeger; exit' TERM; sleep infinity & wait";
/// An address of this machine at which nothing answers that listens on 127.0.0.1 alone.
const ANOTHER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

#[test]
fn the_viewer_is_open_to_the_network_where_bind_says_so_and_only_its_pages() -> Outcome {
    let (ui, otlp) = (free_port()?, free_port()?);
    let checkout = Checkout::new("jaeger")?.with_programs()?.env("JAEGER_PORT", ui).env("OTLP_PORT", otlp);
    let mut keeper = Command::new("bash");
    keeper.args(["-c", KEEPER]).current_dir(&checkout.root).env_clear().envs(&checkout.environment);
    let _keeper =
        Process::start("make stop-jaeger", keeper, &checkout.root.join("keeper.out"), Signal::TERM, None)?;

    checkout.well(&["up-jaeger"])?;
    assert!(pages(Ipv4Addr::LOCALHOST, ui)?.contains(" 200 "));
    assert!(is_closed(ui) && is_closed(otlp), "all of it is on loopback");
    // One that runs stays as it is, and the command says so.
    let told = checkout.well(&["up-jaeger", "BIND=0.0.0.0"])?;
    assert!(told.contains("it listens on 127.0.0.1: make stop-jaeger"), "{told}");
    assert!(is_closed(ui));
    checkout.well(&["stop-jaeger"])?;

    let told = checkout.well(&["up-jaeger", "BIND=0.0.0.0"])?;
    assert!(told.contains("open to the network"), "{told}");
    assert!(pages(ANOTHER, ui)?.contains(" 200 "), "an address of this machine leads to the pages");
    assert!(is_closed(otlp), "spans of this machine alone are taken");
    let told = checkout.well(&["up-jaeger", "BIND=0.0.0.0"])?;
    assert!(told.contains("running") && !told.contains("it listens on"), "{told}");
    checkout.well(&["stop-jaeger"])?;
    Ok(())
}

/// True if the port is refused at the other address.
fn is_closed(port: u16) -> bool {
    TcpStream::connect((ANOTHER, port)).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}

/// The answer of the viewer at an address of this machine, by the name that a browser in the network says.
fn pages(address: Ipv4Addr, port: u16) -> Outcome<String> {
    let mut stream = TcpStream::connect((address, port))?;
    let host = if address == ANOTHER { "10.1.2.3" } else { "127.0.0.1" };
    write!(stream, "GET /api/services HTTP/1.0\r\nHost: {host}:{port}\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
