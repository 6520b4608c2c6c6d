//! The verdict on a case.

/// As expected, with the result; or not, with the result instead.
pub type Verdict = Result<String, String>;

/// A condition of a case.
pub fn ensure(holds: bool, otherwise: impl Into<String>) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise.into()) }
}
