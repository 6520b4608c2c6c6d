//! The copy that the file of a service is for: its port and its log, in either runtime.

use crate::checkout::Checkout;
use crate::failure::Outcome;
use crate::{services, state};

/// The port that the user's line of the file gives to this copy. None if the file is for another
/// copy, or another one has the port.
pub fn port(checkout: &Checkout, service: &str, number: u32) -> Outcome<Option<String>> {
    const SETTING: &str = "SERVICE_PORT";
    let file = services::env_file(checkout, service);
    if file.is_ours(SETTING) || number != services::copy_of_file(checkout, service)? {
        return Ok(None);
    }
    let in_file = file.get(SETTING);
    // A file that was the first copy's, and in which only the number has changed.
    let is_others =
        services::known_copies(checkout, service).into_iter().filter(|other| *other != number).any(|other| {
            let port = state::port(checkout, &format!("{service}-{other}"), "port");
            port.is_some() && port.map(|port| port.to_string()) == in_file
        });
    Ok(in_file.filter(|_| !is_others))
}

/// The log that the file names for this copy. None if the file is for another copy, or names the
/// log of the first one.
pub fn log(checkout: &Checkout, service: &str, number: u32) -> Outcome<Option<String>> {
    if number != services::copy_of_file(checkout, service)? {
        return Ok(None);
    }
    let is_first = |log: &str| log.trim_start_matches("./") == services::log(service, 1);
    let in_file = services::env_file(checkout, service).get("LOG_FILE_NAME");
    Ok(in_file.filter(|log| number == 1 || !is_first(log)))
}
