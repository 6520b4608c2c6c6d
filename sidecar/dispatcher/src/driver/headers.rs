//! Messages of the NATS client as the core sees them.

use async_nats::{HeaderMap, Message};
use tpro_runtime::nats::headers::find;

use crate::core::incoming::{Headers, Incoming};

impl Headers for HeaderMap {
    fn first(&self, name: &str) -> Option<&str> {
        find(self, name)
    }
}

/// A message that came on a reply subject.
pub(crate) fn incoming(message: &Message) -> Incoming<'_> {
    Incoming {
        subject: &message.subject,
        status: message.status.map(|status| status.as_u16()),
        headers: message.headers.as_ref().map_or(&() as &dyn Headers, |headers| headers),
        payload: &message.payload,
    }
}
