//! The version of the wire, by which releases of a service are told apart where they differ.
//!
//! A request of version 1 does not name it. A later one names its version. A copy that does not
//! understand the version refuses the request with
//! [`ReplyState::Unsupported`](crate::ReplyState::Unsupported) and names the versions that it does
//! understand; the requester then tries another copy. A new version is needed only when a message
//! that was there before changes its meaning, and not for a new header that may be left unread.

use std::fmt;
use std::str::FromStr;

/// A version: 1 to 65,535. Its text is its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(u16);

/// A text that is no [`Version`] or no [`Versions`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a version is a number from 1 to 65535, a range of them is 1-2")]
pub struct VersionError;

impl Version {
    /// The version of requests that name none.
    pub const FIRST: Self = Self(1);
    /// The version that this release speaks.
    pub const CURRENT: Self = Self::FIRST;
    /// The version in place of an unreadable text: nobody understands it.
    pub const UNKNOWN: Self = Self(u16::MAX);

    /// The version of this number.
    pub fn new(number: u16) -> Option<Self> {
        (number > 0).then_some(Self(number))
    }
}

impl FromStr for Version {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        // `parse` alone would take a plus sign.
        let digits = text.bytes().all(|b| b.is_ascii_digit());
        let number = digits.then(|| text.parse().ok()).flatten();
        number.and_then(Self::new).ok_or(VersionError)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The versions that a release understands: from one to another, both included. Its text is `1` or
/// `1-2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions {
    /// The oldest.
    pub oldest: Version,
    /// The newest.
    pub newest: Version,
}

impl Versions {
    /// The versions that this release understands.
    pub const UNDERSTOOD: Self = Self { oldest: Version::FIRST, newest: Version::CURRENT };

    /// True if this version is among them.
    pub fn contain(self, version: Version) -> bool {
        (self.oldest..=self.newest).contains(&version)
    }
}

impl FromStr for Versions {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        let (oldest, newest) = text.split_once('-').unwrap_or((text, text));
        let versions = Self { oldest: oldest.parse()?, newest: newest.parse()? };
        if versions.oldest <= versions.newest { Ok(versions) } else { Err(VersionError) }
    }
}

impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.oldest == self.newest {
            self.oldest.fmt(f)
        } else {
            write!(f, "{}-{}", self.oldest, self.newest)
        }
    }
}
