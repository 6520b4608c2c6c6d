//! `make crates`: the crates, the arrows between them, and the circles among their modules.

use crate::cargo;
use crate::checkout::Checkout;
use crate::failure::Outcome;
use crate::replace::by;

/// Prints them, by the program of tools/house.
pub fn print(checkout: &Checkout) -> Outcome {
    let mut house = cargo::command(checkout)?;
    house.args(["run", "--quiet"]).args(cargo::flags(checkout)).args(["--package", "tpro-house"]);
    by(house)
}
