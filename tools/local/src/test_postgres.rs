//! `make test-postgres`: the tests of the extension on another PostgreSQL, and a short run under
//! faults, in a container of the Debian that has it.

use crate::checkout::Checkout;
use crate::debian;
use crate::failure::Outcome;
use crate::load::{enough_seconds, seconds};
use crate::replace::by;

/// The script. It makes the image, too.
const SCRIPT: &str = "docker/test/postgres.sh";
/// The version that is taken if nobody names one.
const USUAL: u32 = 17;
/// The run under faults.
const SECONDS: u64 = 60;

/// Runs the tests on the version of PG.
pub fn run(checkout: &Checkout) -> Outcome {
    let release = debian::chosen(checkout, USUAL)?;
    let seconds = match &*seconds(&checkout.settings, SECONDS)? {
        "0" => "0".to_owned(),
        _ => enough_seconds(&checkout.settings, SECONDS)?,
    };
    let mut script = checkout.command(checkout.path(SCRIPT));
    script.env("PG", release.postgres.to_string());
    script.env("LOAD_SECONDS", seconds);
    by(script)
}
