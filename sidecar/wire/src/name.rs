//! The name of a service.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use crate::token;

/// Names that no service can have: a word or a pattern a line. `make` reads this file, too.
const RESERVED: &str = include_str!("reserved.txt");

/// The lines of [`RESERVED`], without comments, sorted by their kind: each message names the
/// service that it comes from.
static PATTERNS: LazyLock<Patterns> = LazyLock::new(|| {
    let mut patterns = Patterns::default();
    for line in RESERVED.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match (line.strip_suffix('*'), line.strip_prefix('*')) {
            (Some(start), _) => patterns.starts.push(start),
            (None, Some(end)) => patterns.ends.push(end),
            (None, None) => patterns.names.push(line),
        }
    }
    patterns
});

#[derive(Default)]
struct Patterns {
    names: Vec<&'static str>,
    starts: Vec<&'static str>,
    ends: Vec<&'static str>,
}

/// True if [`RESERVED`] keeps the name.
fn is_reserved(name: &str) -> bool {
    let Patterns { names, starts, ends } = &*PATTERNS;
    names.contains(&name)
        || starts.iter().any(|start| name.starts_with(start))
        || ends.iter().any(|end| name.ends_with(end))
}

/// The name of a service: `^[a-z][a-z0-9_]{0,39}$`, and not one of `reserved.txt`. These are names
/// of tpro, of PostgreSQL, and of roles that are not a service's login.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceName(Box<str>);

/// The reason why a text names no service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It does not match the pattern.
    #[error(
        "a service name is a small letter followed by at most 39 small letters, digits or underscores (^[a-z][a-z0-9_]{{0,39}}$)"
    )]
    Malformed,
    /// `reserved.txt` keeps it.
    #[error("the name is reserved")]
    Reserved,
}

impl ServiceName {
    /// Reads a name.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        Self::check(text)?;
        Ok(Self(text.into()))
    }

    /// Checks a name without making a value of it.
    pub fn check(text: &str) -> Result<(), NameError> {
        if !token::is_name(text) {
            return Err(NameError::Malformed);
        }
        if is_reserved(text) {
            return Err(NameError::Reserved);
        }
        Ok(())
    }

    /// The name itself, as in `main`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The schema of the service's tables: `main_service`.
    pub fn schema(&self) -> String {
        format!("{self}_service")
    }

    /// The queue group that all copies of the service join: `main-queue`.
    pub fn queue_group(&self) -> String {
        format!("{self}-queue")
    }

    /// The channel on which the bell rings: `published_in_main_service`.
    pub fn channel(&self) -> String {
        format!("published_in_{self}_service")
    }

    /// The channel on which the bell of release 0.1.0 rings: `task_for_main_service`. Sessions that
    /// have loaded the library of that release ring there until they end. Copies of the Go system
    /// listen to it, too, and end at what they hear.
    pub fn old_channel(&self) -> String {
        format!("task_for_{self}_service")
    }

    /// The channel on which a commit tells the leader that a message is due soon:
    /// `due_in_main_service`.
    pub fn due_channel(&self) -> String {
        format!("due_in_{}", self.schema())
    }

    /// The channel on which `tpro.cancel` tells the leader to look: `cancelled_in_main_service`.
    pub fn cancel_channel(&self) -> String {
        format!("cancelled_in_{self}_service")
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for ServiceName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::parse(text)
    }
}

impl AsRef<str> for ServiceName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}
