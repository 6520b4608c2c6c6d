//! The address that BIND gives: to the published ports of containers, and to the pages of the local
//! trace viewer.

use crate::checkout::Checkout;
use crate::failure::{Failure, Outcome};
use crate::settings::shortened;

/// This machine alone.
pub const LOOPBACK: &str = "127.0.0.1";
/// All addresses of this machine.
pub const OPEN: &str = "0.0.0.0";

/// The address.
pub fn address(checkout: &Checkout) -> Outcome<&'static str> {
    let given = checkout.settings.get("BIND").unwrap_or_else(|| LOOPBACK.to_owned());
    [LOOPBACK, OPEN].into_iter().find(|address| *address == given).ok_or_else(|| {
        Failure::new(format!("BIND={} is no address to listen on", shortened(&given)))
            .remedy("say 127.0.0.1 for this machine alone, or 0.0.0.0 for all of the network")
    })
}
