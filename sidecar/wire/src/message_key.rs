//! The proof that a request comes from the requester that asked first.

use std::fmt;
use std::str::FromStr;

use crate::hex::{put_hex, take_hex};

/// Length of a key as text.
pub const TEXT_LEN: usize = 2 * LEN;

/// Bytes of a key: half of an HMAC-SHA256. RFC 2104 (section 5) asks a shortened HMAC to keep at
/// least half. Nobody can guess 128 bits, and each message and each row of an inbox is 32
/// characters shorter.
const LEN: usize = 16;

/// A proof that only the sender of a message can give for its uid: the first half of an HMAC over
/// the uid, under a secret of the sending service. Its text is 32 small hex digits.
///
/// A uid names a message, and is in logs and traces. The key is in none of them, so its debug form
/// shows nothing.
#[derive(Clone, Copy)]
pub struct MessageKey([u8; LEN]);

/// A text that is no [`MessageKey`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key is 32 small hex digits")]
pub struct MessageKeyError;

impl MessageKey {
    /// The key of an HMAC, as long as its digest is.
    pub fn of(hmac: &[u8; 32]) -> Self {
        let mut key = [0; LEN];
        key.copy_from_slice(&hmac[..LEN]);
        Self(key)
    }

    /// Writes the text form into a buffer of the caller's.
    pub fn encode<'b>(&self, buffer: &'b mut [u8; TEXT_LEN]) -> &'b str {
        put_hex(&self.0, buffer);
        str::from_utf8(buffer).unwrap_or_default()
    }
}

impl PartialEq for MessageKey {
    /// Takes equally long for all keys, so that nobody finds a key digit by digit.
    fn eq(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
    }
}

impl Eq for MessageKey {}

impl FromStr for MessageKey {
    type Err = MessageKeyError;

    fn from_str(text: &str) -> Result<Self, MessageKeyError> {
        let mut key = [0; LEN];
        take_hex(text.as_bytes(), &mut key).map(|()| Self(key)).ok_or(MessageKeyError)
    }
}

impl fmt::Display for MessageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.encode(&mut [0; TEXT_LEN]))
    }
}

impl fmt::Debug for MessageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MessageKey(***)")
    }
}
