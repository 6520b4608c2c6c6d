//! Messages of NATS as the core sees them.

use tpro_runtime::nats::Message;

use crate::core::incoming::{Headers, Incoming};

impl Headers for Message {
    fn first(&self, name: &str) -> Option<&str> {
        self.header(name)
    }
}

/// A message that came on a reply subject.
pub(crate) fn incoming(message: &Message) -> Incoming<'_> {
    Incoming {
        subject: message.subject(),
        status: message.status(),
        headers: message,
        payload: message.payload(),
    }
}
