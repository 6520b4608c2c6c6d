//! Whether a case is as expected.

/// As expected, with what was seen; or not, with what was seen instead.
pub type Verdict = Result<String, String>;

/// A condition of a case.
pub fn ensure(holds: bool, otherwise: impl Into<String>) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise.into()) }
}
