//! The source of a message.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use crate::name::ServiceName;

/// A service of one database: `main/<uuid>`. The instance tells a database from its copies.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Source {
    /// The service.
    pub service: ServiceName,
    /// The database: the random uuid that it got at `CREATE EXTENSION`.
    pub instance: Uuid,
}

/// A text that is no [`Source`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a source is <service>/<uuid>")]
pub struct SourceError;

impl Source {
    /// The first 8 hex digits of the instance, as reply subjects have them.
    pub fn instance8(&self) -> String {
        instance8(&self.instance)
    }
}

/// The first 8 hex digits of an instance.
pub(crate) fn instance8(instance: &Uuid) -> String {
    let (first, ..) = instance.as_fields();
    format!("{first:08x}")
}

impl FromStr for Source {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        let (service, instance) = text.split_once('/').ok_or(SourceError)?;
        // The hyphenated form only, as we write it.
        if instance.len() != crate::uid::TEXT_LEN {
            return Err(SourceError);
        }
        Ok(Self {
            service: ServiceName::parse(service).map_err(|_| SourceError)?,
            instance: Uuid::try_parse(instance).map_err(|_| SourceError)?,
        })
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.service, self.instance)
    }
}
