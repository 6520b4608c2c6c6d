//! Numbers arrive whole, or they are refused.
//!
//! A number of JSON may have any number of digits, and `jsonb` keeps them. Types do not: serde_json
//! reads a number that fits no `u64` and no `i64` as a double, and rounds it without a word. So a
//! body is looked through for numbers that a double would round. Mostly there are none. If there
//! are, it is read by way of a deserializer that lets them pass into types that take them whole
//! (`u64`, `i128`, raw JSON) or do not look at them, and refuses them elsewhere.
//!
//! serde_json's own `arbitrary_precision` is no way to it: it breaks floats in flattened and
//! untagged types.

mod deserializer;
mod literal;

use serde::de::DeserializeOwned;

use self::{deserializer::Whole, literal::literals};

/// The beginning of the message of this refusal.
pub(super) const ROUNDED: &str = "a number would be rounded";

/// Reads JSON.
pub(crate) fn from_str<T: DeserializeOwned>(json: &str) -> Result<T, serde_json::Error> {
    let rounded = Rounded::of(json);
    if rounded.any.is_empty() && rounded.double.is_empty() {
        return serde_json::from_str(json);
    }
    let mut inner = serde_json::Deserializer::from_str(json);
    let value = T::deserialize(Whole::new(&mut inner, &rounded))?;
    inner.end()?;
    Ok(value)
}

/// Reads JSON, and tells the path to the part that does not fit.
pub(super) fn from_str_by_path<T: DeserializeOwned>(
    json: &str,
) -> Result<T, serde_path_to_error::Error<serde_json::Error>> {
    let rounded = Rounded::of(json);
    let mut inner = serde_json::Deserializer::from_str(json);
    serde_path_to_error::deserialize(Whole::new(&mut inner, &rounded))
}

/// The numbers of a text that a double would round, as the bits of that double. Another number of
/// the text that is exactly this double is refused with them; nothing is changed by that.
#[derive(Default)]
struct Rounded {
    /// The numbers that come back with other digits from a type that takes any JSON, as
    /// `serde_json::Value` does.
    any: Vec<u64>,
    /// The numbers that come back as another number where a double is asked for.
    double: Vec<u64>,
}

impl Rounded {
    fn of(json: &str) -> Self {
        let mut rounded = Self::default();
        for literal in literals(json) {
            let Some(double) = literal.double() else { continue };
            if !literal.survives_any(double) {
                rounded.any.push(double.to_bits());
            }
            if !literal.survives_double(double) {
                rounded.double.push(double.to_bits());
            }
        }
        rounded
    }

    /// Refuses a double that stands for a number that it is not.
    fn check<E: serde::de::Error>(&self, double: f64, asked: bool) -> Result<(), E> {
        let rounded = if asked { &self.double } else { &self.any };
        if rounded.contains(&double.to_bits()) { Err(E::custom(ROUNDED)) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests;
