//! The copy that answered.

use std::fmt;
use std::str::FromStr;

use crate::limits::MAX_VERSION;
use crate::name::ServiceName;
use crate::token;

/// The copy that answered, header `Tpro-Responder` and column `responder`: `analytic/2.73/1`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Responder {
    /// The service.
    pub service: ServiceName,
    /// Its version: 1 to 64 of letters, digits and `._+-`.
    pub version: String,
    /// The number of the copy.
    pub copy: u32,
}

/// Something that is no [`Responder`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResponderError {
    /// The text is not `<service>/<version>/<copy>`.
    #[error("a responder is <service>/<version>/<copy>")]
    Malformed,
    /// The version is not as it must be.
    #[error("a version is 1 to 64 letters, digits, dots, underscores, pluses or dashes")]
    Version,
}

impl Responder {
    /// Puts a responder together.
    pub fn new(service: ServiceName, version: &str, copy: u32) -> Result<Self, ResponderError> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'+' | b'-');
        if !(1..=MAX_VERSION).contains(&version.len()) || !version.bytes().all(allowed) {
            return Err(ResponderError::Version);
        }
        Ok(Self { service, version: version.to_owned(), copy })
    }
}

impl FromStr for Responder {
    type Err = ResponderError;

    fn from_str(text: &str) -> Result<Self, ResponderError> {
        let mut parts = text.split('/');
        let (Some(service), Some(version), Some(copy), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(ResponderError::Malformed);
        };
        let service = ServiceName::parse(service).map_err(|_| ResponderError::Malformed)?;
        let copy = token::canonical_u32(copy).ok_or(ResponderError::Malformed)?;
        Self::new(service, version, copy)
    }
}

impl fmt::Display for Responder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.service, self.version, self.copy)
    }
}
