//! The first look of a command on containers: at its settings, then at the engine.

use super::names::Names;
use super::{context, engine, major};
use crate::bind;
use crate::checkout::Checkout;
use crate::failure::Outcome;

/// Fails unless the settings are good and an engine answers.
pub fn check(checkout: &Checkout) -> Outcome {
    Names::of(checkout)?;
    bind::address(checkout)?;
    context::is_given(checkout)?;
    major::chosen(checkout)?;
    engine::need(checkout)
}
