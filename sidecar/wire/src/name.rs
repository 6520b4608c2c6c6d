//! The name of a service.

use std::fmt;
use std::str::FromStr;

use crate::token;

/// Names that no service can have.
///
/// Some are taken by the house (`make up-nats`, `services/contracts`), some by PostgreSQL (a role `public`
/// cannot be made), some by tpro itself. Names that begin with `pg_` are refused too, since PostgreSQL keeps
/// schemas and roles of that prefix for itself; `pg` is here because its schema would be `pg_service`.
/// Names that end in `_publisher` or `_sidecar` are refused as well: a login role named after such a service would be
/// the role of another.
pub const RESERVED: &[&str] = &[
    "all",
    "contracts",
    "db",
    "docker",
    "env",
    "jaeger",
    "local",
    "logs",
    "nats",
    "none",
    "pg",
    "postgres",
    "public",
    "reply",
    "service",
    "services",
    "sidecar",
    "sql",
    "template",
    "tpro",
];

/// The name of a service: `^[a-z][a-z0-9_]{0,39}$`, and not [reserved](RESERVED).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceName(Box<str>);

/// Why a text names no service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It does not match the pattern.
    #[error(
        "a service name is a small letter followed by at most 39 small letters, digits or underscores (^[a-z][a-z0-9_]{{0,39}}$)"
    )]
    Malformed,
    /// It is one of [`RESERVED`], or begins or ends as is said there.
    #[error("the name is reserved")]
    Reserved,
}

impl ServiceName {
    /// Reads a name.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        Self::check(text)?;
        Ok(Self(text.into()))
    }

    /// Checks a name and makes nothing of it.
    pub fn check(text: &str) -> Result<(), NameError> {
        if !token::is_name(text) {
            return Err(NameError::Malformed);
        }
        let another_role = text.ends_with("_publisher") || text.ends_with("_sidecar");
        if RESERVED.contains(&text) || text.starts_with("pg_") || another_role {
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

    /// The channel on which the bell rings: `task_for_main_service`.
    pub fn channel(&self) -> String {
        format!("task_for_{self}_service")
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
