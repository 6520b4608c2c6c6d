//! The id of a request, which its answer repeats.

use std::fmt;

use serde_json::value::RawValue;

use crate::uid::{TEXT_LEN, Uid};

/// The id of a request, to be echoed as it came: a string, a number or null.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RequestId(Id);

#[derive(Clone, PartialEq, Eq, Hash)]
enum Id {
    /// A uid in our own form, without an allocation.
    Uid(Uid),
    /// Any other, as JSON text.
    Json(Box<str>),
}

impl RequestId {
    /// Takes a member `id`, if it is text, a number or null.
    pub(super) fn read(raw: &RawValue) -> Option<Self> {
        let text = raw.get();
        match text.as_bytes().first()? {
            b'"' => Some(Self(match quoted_uid(text) {
                Some(uid) => Id::Uid(uid),
                None => Id::Json(text.into()),
            })),
            b'0'..=b'9' | b'-' | b'n' => Some(Self(Id::Json(text.into()))),
            _ => None,
        }
    }

    /// The uid, if the id is one in our own form: a text of 36 characters, small letters.
    pub fn uid(&self) -> Option<Uid> {
        match self.0 {
            Id::Uid(uid) => Some(uid),
            Id::Json(_) => None,
        }
    }

    /// True if the id is null. A request with a null id is answered, a notification is not.
    pub fn is_null(&self) -> bool {
        matches!(&self.0, Id::Json(text) if &**text == "null")
    }

    /// Writes the JSON text of the id.
    pub(super) fn push_to(&self, payload: &mut Vec<u8>) {
        match &self.0 {
            Id::Uid(uid) => {
                payload.push(b'"');
                payload.extend_from_slice(uid.encode(&mut [0; TEXT_LEN]).as_bytes());
                payload.push(b'"');
            }
            Id::Json(text) => payload.extend_from_slice(text.as_bytes()),
        }
    }

    /// The length of the text that [`Self::push_to`] writes.
    pub(super) fn len(&self) -> usize {
        match &self.0 {
            Id::Uid(_) => TEXT_LEN + 2,
            Id::Json(text) => text.len(),
        }
    }
}

impl From<Uid> for RequestId {
    fn from(uid: Uid) -> Self {
        Self(Id::Uid(uid))
    }
}

/// The JSON text of the id.
impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Id::Uid(uid) => write!(f, "\"{uid}\""),
            Id::Json(text) => f.write_str(text),
        }
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestId({self})")
    }
}

/// The uid in a JSON string, if it is in our own form.
pub(super) fn quoted_uid(json: &str) -> Option<Uid> {
    let text = json.strip_prefix('"')?.strip_suffix('"')?;
    let uid: Uid = text.parse().ok()?;
    (uid.encode(&mut [0; TEXT_LEN]) == text).then_some(uid)
}
