//! The grammar of a subject's tokens. Bytes, not patterns: this runs for every row that is
//! published.

use crate::limits::{MAX_NAME, MAX_WORD};

/// True if this is the name of a space or a service: `^[a-z][a-z0-9_]{0,39}$`.
pub(crate) fn is_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() <= MAX_NAME
        && bytes.first().is_some_and(u8::is_ascii_lowercase)
        && bytes.iter().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'))
}

/// True if this is an entity or a method name: `^[A-Za-z0-9_-]{1,100}$`.
pub(crate) fn is_word(text: &str) -> bool {
    let bytes = text.as_bytes();
    (1..=MAX_WORD).contains(&bytes.len())
        && bytes.iter().all(|b| matches!(b, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-'))
}

/// Decimal digits without sign, without leading zeros, as we write them ourselves: one text for one
/// number.
pub(crate) fn canonical_u32(text: &str) -> Option<u32> {
    let canonical = text == "0" || (!text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit()));
    canonical.then(|| text.parse().ok()).flatten()
}
