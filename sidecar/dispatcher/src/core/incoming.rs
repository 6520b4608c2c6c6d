//! A message that came from NATS, as far as the core looks at it.

/// Headers by name. NATS may give a name several values; the first counts.
pub trait Headers {
    /// The first value of a header.
    fn first(&self, name: &str) -> Option<&str>;
}

/// No headers.
impl Headers for () {
    fn first(&self, _: &str) -> Option<&str> {
        None
    }
}

/// Headers as a list, for those who make messages themselves.
impl Headers for Vec<(String, String)> {
    fn first(&self, name: &str) -> Option<&str> {
        self.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }
}

/// A message that came on a reply subject. It borrows from the message of the NATS client.
#[derive(Clone, Copy)]
pub struct Incoming<'m> {
    /// The subject it came on.
    pub subject: &'m str,
    /// The status by which the server itself speaks.
    pub status: Option<u16>,
    /// Its headers.
    pub headers: &'m dyn Headers,
    /// Its body.
    pub payload: &'m [u8],
}

impl<'m> Incoming<'m> {
    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&'m str> {
        self.headers.first(name)
    }
}
