//! The identity of a message.

use std::fmt;
use std::str::FromStr;

use uuid::{Builder, Uuid, Variant, Version};

use crate::target::Target;

/// Length of a uid as text: `0198c2a4-7b1e-7cc3-98c4-dc0c0c07398f`.
pub const TEXT_LEN: usize = 36;

/// A uuid of version 7 (RFC 9562): the identity of a message everywhere, and its time.
///
/// It is the inbox key, the JSON-RPC id, `Nats-Msg-Id` and a token of the reply subject. Uids order
/// by time, to the millisecond; within one millisecond the order says nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Uid(Uuid);

/// The reason why a value is no uid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UidError {
    /// The text is no uuid of 36 characters.
    #[error("a uid is a uuid of 36 characters, as in 0198c2a4-7b1e-7cc3-98c4-dc0c0c07398f")]
    Malformed,
    /// It is a uuid, but of another version than 7.
    #[error("a uid is a uuid of version 7")]
    Version,
}

impl Uid {
    /// A uid of this time, in milliseconds since 1970, and of these random bytes (74 of their 80
    /// bits are kept).
    ///
    /// The time has 48 bits; one past the year 10889 is taken as the last that fits.
    pub fn v7(unix_ms: u64, random: [u8; 10]) -> Self {
        const LAST_MS: u64 = (1 << 48) - 1;
        Self(Builder::from_unix_timestamp_millis(unix_ms.min(LAST_MS), &random).into_uuid())
    }

    /// Takes a uuid, if it is of version 7.
    pub fn from_uuid(uuid: Uuid) -> Result<Self, UidError> {
        if uuid.get_version() == Some(Version::SortRand) && uuid.get_variant() == Variant::RFC4122 {
            Ok(Self(uuid))
        } else {
            Err(UidError::Version)
        }
    }

    /// The uuid.
    pub fn uuid(&self) -> Uuid {
        self.0
    }

    /// The time at which it was made, in milliseconds since 1970.
    pub fn unix_ms(&self) -> u64 {
        let [a, b, c, d, e, f, ..] = *self.0.as_bytes();
        u64::from_be_bytes([0, 0, a, b, c, d, e, f])
    }

    /// The uid of the `ordinal`-th call that the handler of this message makes to this target.
    ///
    /// It has this uid's time, and in place of randomness a hash of this uid, target and ordinal
    /// (SHA-1, as of uuid version 5). A handler that is delivered twice makes its calls twice under
    /// the same uids, and the called service sees repeats.
    pub fn child(&self, target: &Target, ordinal: u32) -> Self {
        // No subject contains a zero byte, so that the two cannot run into each other.
        let mut name = Vec::with_capacity(target.subject().len() + 5);
        name.extend_from_slice(target.subject().as_bytes());
        name.push(0);
        name.extend_from_slice(&ordinal.to_be_bytes());
        let hash = Uuid::new_v5(&self.0, &name);
        let mut random = [0; 10];
        random.copy_from_slice(&hash.as_bytes()[6..]);
        // Bytes 6 and 8 of the hash carry its own version and variant in the bits that version 7
        // overwrites too, so that no bit of the hash is lost twice.
        Self::v7(self.unix_ms(), random)
    }

    /// Writes the text form, small letters, into a buffer of the caller's.
    pub fn encode<'b>(&self, buffer: &'b mut [u8; TEXT_LEN]) -> &'b str {
        self.0.hyphenated().encode_lower(buffer)
    }
}

impl FromStr for Uid {
    type Err = UidError;

    /// Reads the hyphenated form only; capital letters are taken, as RFC 9562 asks.
    fn from_str(text: &str) -> Result<Self, UidError> {
        // The uuid crate also reads braces, URNs and bare hex; here one uid has one form.
        if text.len() != TEXT_LEN {
            return Err(UidError::Malformed);
        }
        Self::from_uuid(Uuid::try_parse(text).map_err(|_| UidError::Malformed)?)
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.encode(&mut [0; TEXT_LEN]))
    }
}

impl fmt::Debug for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Uid({self})")
    }
}
