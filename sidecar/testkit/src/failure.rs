//! The reason why a test could not go on: the step that failed, every cause below it, and the end
//! of the log that tells more.

use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};

/// The result of a test.
pub type Outcome<T = ()> = Result<T, Failure>;

/// The lines of a log that a failure shows.
const TAIL: usize = 30;

/// One failed step. It is deliberately no `std::error::Error`, so that `?` turns every error into
/// it.
///
/// Its `Debug` text is for people, since the test harness prints it.
pub struct Failure {
    steps: Vec<String>,
    logs: Vec<PathBuf>,
}

impl Failure {
    /// A failure with this text.
    pub fn new(what: impl Into<String>) -> Failure {
        Failure { steps: vec![what.into()], logs: Vec::new() }
    }

    /// Names the larger step that this one was part of.
    pub fn during(mut self, what: impl Into<String>) -> Failure {
        self.steps.insert(0, what.into());
        self
    }

    /// Shows the end of this log below the failure.
    pub fn with_log(mut self, log: impl Into<PathBuf>) -> Failure {
        self.logs.push(log.into());
        self
    }
}

impl<E: Error> From<E> for Failure {
    fn from(error: E) -> Failure {
        // The causes matter: tokio-postgres for one says only "db error" by itself.
        let mut steps = vec![error.to_string()];
        let mut cause = error.source();
        while let Some(error) = cause {
            steps.push(error.to_string());
            cause = error.source();
        }
        Failure { steps, logs: Vec::new() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.steps.join(": "))?;
        for log in &self.logs {
            write!(out, "\n--- the end of {} ---\n{}", log.display(), tail(log))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// Adds to an error the step that it ended.
pub trait Context<T> {
    /// Names the step.
    fn context(self, what: impl Into<String>) -> Outcome<T>;
}

impl<T, E: Into<Failure>> Context<T> for Result<T, E> {
    fn context(self, what: impl Into<String>) -> Outcome<T> {
        self.map_err(|error| error.into().during(what))
    }
}

impl<T> Context<T> for Option<T> {
    fn context(self, what: impl Into<String>) -> Outcome<T> {
        self.ok_or_else(|| Failure::new(what))
    }
}

/// The last lines of a log, or the reason why it cannot be read.
pub fn tail(log: &Path) -> String {
    match std::fs::read(log) {
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            // A sidecar begins with forty lines of configuration, which tell little.
            let lines: Vec<&str> = text.lines().filter(|line| !line.contains(": configuration: ")).collect();
            lines[lines.len().saturating_sub(TAIL)..].join("\n")
        }
        Err(error) => format!("(cannot be read: {error})"),
    }
}
