//! The names of settings, for messages.

/// The settings of one kind of server.
#[derive(Debug, PartialEq, Eq)]
pub struct Names {
    /// The CAs that are trusted.
    pub root: &'static str,
    /// The certificate that we show.
    pub certificate: &'static str,
    /// Its key.
    pub key: &'static str,
    /// The address of the server.
    pub address: &'static str,
}
