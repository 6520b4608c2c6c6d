//! Ports on loopback.

use std::fs;

use crate::failure::{Failure, Outcome, fail};
use crate::settings::shortened;

/// The number of ports that are looked at from the default on.
const RANGE: u16 = 200;

/// True if somebody listens there. Read from the kernel: a trial connection would leave a line in
/// the log of the other process.
pub fn listening(port: u16) -> bool {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| fs::read_to_string(path).unwrap_or_default());
    tables.iter().flat_map(|table| table.lines()).any(|line| is_listener(line, port))
}

/// True if a line of the kernel's table is a socket that listens on this port.
fn is_listener(line: &str, port: u16) -> bool {
    let mut fields = line.split_whitespace().skip(1);
    let (Some(local), Some(remote), Some(state)) = (fields.next(), fields.next(), fields.next()) else {
        return false;
    };
    let is_ours = local.rsplit_once(':').is_some_and(|(_, digits)| digits == format!("{port:04X}"));
    is_ours && remote.ends_with(":0000") && state == "0A"
}

/// A port for a server. One that the user has given must be free; else it is the first free one
/// from the one of last time or from the default on. `setting` is its name for the person.
pub fn pick(setting: &str, given: Option<&str>, default: &str, last: Option<u16>) -> Outcome<u16> {
    // A file may hold anything.
    let default = number(default).ok_or_else(|| no_port(setting, &shortened(default)))?;
    // Blanks count as nothing, as in the programs.
    let given: String = given.unwrap_or_default().split_whitespace().collect();
    if !given.is_empty() {
        let port = number(&given).ok_or_else(|| no_port(setting, &given))?;
        if listening(port) {
            return Err(Failure::new(format!("{setting}={port} is taken by another process"))
                .remedy(format!("set {setting} to a free port, or leave it out to take the next free one")));
        }
        return Ok(port);
    }
    let last_port = default.saturating_add(RANGE);
    let candidates = last.into_iter().chain(default..=last_port);
    match candidates.into_iter().find(|port| !listening(*port)) {
        Some(port) => Ok(port),
        None => fail(format!("no free port from {default} to {last_port}: set {setting}")),
    }
}

/// The port that a text names.
pub fn number(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|c| c.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|_| digits)
}

fn no_port(setting: &str, value: &str) -> Failure {
    Failure::new(format!("{setting}={value} is no port")).remedy("it must be a number from 1 to 65535")
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_listener_is_seen_in_both_families_and_a_connection_is_none() {
        let line = "  2: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000";
        assert!(is_listener(line, 8080) && !is_listener(line, 8081));
        assert!(!is_listener(&line.replace(" 0A ", " 01 "), 8080));
        let line = "  2: 00000000000000000000000001000000:1F90 00000000000000000000000000000000:0000 0A 0";
        assert!(is_listener(line, 8080));
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a listener");
        assert!(listening(listener.local_addr().expect("its address").port()));
    }

    #[test]
    fn a_port_that_is_given_is_free_or_refused_by_name() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a listener");
        let taken = listener.local_addr().expect("its address").port().to_string();
        let refused = |given: &str| pick("PG_PORT", Some(given), "55432", None).unwrap_err().to_string();
        assert!(refused(&taken).starts_with(&format!("PG_PORT={taken} is taken by another process: ")));
        for wrong in ["0", "65536", "x", "+1", "01", "a[$(touch pwned)]"] {
            assert!(refused(wrong).contains("is no port: it must be a number from 1 to 65535"), "{wrong}");
        }
        let refused = pick("SERVICE_PORT", None, "a[1]", None).unwrap_err().to_string();
        assert!(refused.starts_with("SERVICE_PORT=a[1] is no port"), "{refused}");
        let next = pick("PG_PORT", Some(" \t"), &taken, taken.parse().ok()).expect("another port");
        assert_ne!(next.to_string(), taken);
    }
}
