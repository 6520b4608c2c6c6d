//! The members of an envelope.
//!
//! A member that is not known is ignored. A known member that comes twice is refused. An absent
//! member is told from a null one.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny};
use serde_json::value::RawValue;

/// Text, borrowed unless it has escapes. (`Cow` alone would always be copied.)
#[derive(Deserialize)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

impl PartialEq<&str> for Text<'_> {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

/// A member that is there, be it null.
pub(super) fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// The reason why a text is not the object that was looked for.
pub(super) enum Broken {
    /// It is not JSON.
    NotJson,
    /// It is JSON of another shape.
    OtherShape,
}

/// Reads the members of an object. The text must be UTF-8: the parser does not look at it inside
/// the parts that it skips.
pub(super) fn read_object<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Broken> {
    // Serde would read the members from an array too, in order.
    let object = text.trim_start_matches([' ', '\t', '\n', '\r']).starts_with('{');
    if object && let Ok(members) = serde_json::from_str(text) {
        return Ok(members);
    }
    // The parser may have met a wrong member before a syntax error further on. The kind of the
    // error decides the code.
    match serde_json::from_str::<IgnoredAny>(text) {
        Ok(_) => Err(Broken::OtherShape),
        Err(_) => Err(Broken::NotJson),
    }
}
