//! `make test-postgres`: the tests of the extension on another PostgreSQL, in a container of the
//! Debian that has it.

use crate::checkout::Checkout;
use crate::failure::{Failure, Outcome};
use crate::replace::by;
use crate::settings::shortened;

/// The script. It makes the image, too.
const SCRIPT: &str = "docker/test/postgres.sh";
/// The major versions that a release of Debian has.
const MAJORS: [&str; 4] = ["13", "15", "17", "18"];
/// The version that is taken if nobody names one.
const DEFAULT: &str = "17";

/// Runs the tests on the version of PG.
pub fn run(checkout: &Checkout) -> Outcome {
    let major = checkout.settings.get("PG").unwrap_or_else(|| DEFAULT.to_owned());
    if !MAJORS.contains(&major.as_str()) {
        return Err(Failure::new(format!(
            "PG={}: no release of Debian has that PostgreSQL",
            shortened(&major)
        ))
        .remedy(format!("say one of {}", MAJORS.join(", "))));
    }
    let mut script = checkout.command(checkout.path(SCRIPT));
    script.env("PG", major);
    by(script)
}
