//! A row without a reply, of which a leader knows no more than where it belongs.

use std::sync::Arc;

use tpro_wire::priority::Priority;

/// A row without a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreplied {
    /// Its number in the outbox.
    pub id: i64,
    /// The lane it belongs to, `space.service`.
    pub lane: Arc<str>,
    /// Its priority there.
    pub priority: Priority,
    /// Its ordering key.
    pub key: Option<Box<str>>,
}

#[cfg(test)]
impl Unreplied {
    /// A row of the lane `tpro.co`.
    pub fn test(id: i64) -> Self {
        Self { id, lane: "tpro.co".into(), priority: Priority::default(), key: None }
    }
}
