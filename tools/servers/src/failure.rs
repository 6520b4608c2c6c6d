//! The failure that ends a command: its text, and its remedy where there is one.

use std::fmt;

/// The reason why a command ended before its work was done.
#[derive(Debug)]
pub struct Failure {
    what: String,
    remedy: Option<String>,
}

/// The result of a step.
pub type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    /// A failure with its text.
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), remedy: None }
    }

    /// Adds its remedy.
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

/// Text and remedy on one line.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        self.remedy.as_ref().map_or(Ok(()), |remedy| write!(f, ": {remedy}"))
    }
}

impl std::error::Error for Failure {}

/// Ends a function with a failure.
pub fn fail<T>(what: impl Into<String>) -> Outcome<T> {
    Err(Failure::new(what))
}

/// Says of an error of the operating system what was tried.
pub trait Context<T> {
    /// The result, with `what` before its error.
    fn context(self, what: impl Into<String>) -> Outcome<T>;
}

impl<T, E: fmt::Display> Context<T> for Result<T, E> {
    fn context(self, what: impl Into<String>) -> Outcome<T> {
        self.map_err(|error| Failure::new(format!("{}: {error}", what.into())))
    }
}

impl<T> Context<T> for Option<T> {
    fn context(self, what: impl Into<String>) -> Outcome<T> {
        self.ok_or_else(|| Failure::new(what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_one_line_with_its_remedy() {
        let failure = Failure::new("PG_PORT=x is no port").remedy("it must be a number");
        assert_eq!(failure.to_string(), "PG_PORT=x is no port: it must be a number");
        let failed: Result<(), _> = Err(std::io::Error::other("disk full"));
        assert_eq!(failed.context("writing a file").unwrap_err().to_string(), "writing a file: disk full");
    }
}
