//! The packages and the Rust that everything else needs: `make/setup.sh` installs them.

use crate::checkout::Checkout;
use crate::failure::{Context as _, Outcome, fail};

/// The use for which packages are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// To build and run the services.
    Services,
    /// To run the tests, too.
    Tests,
}

/// Installs what is missing, and says so.
pub fn install(checkout: &Checkout, wanted: Use) -> Outcome {
    let mut script = checkout.command(checkout.path("make/setup.sh"));
    if wanted == Use::Tests {
        script.arg("tests");
    }
    match script.status().context("starting make/setup.sh")?.success() {
        true => Ok(()),
        // It has said why.
        false => fail("what is missing could not be installed"),
    }
}
