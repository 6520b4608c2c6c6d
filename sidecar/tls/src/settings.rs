//! The settings of TLS to one kind of server.

use crate::{file::Named, names::Names};

/// The settings of TLS to one kind of server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The names of the settings, for messages.
    pub names: &'static Names,
    /// The servers that are trusted.
    pub trust: Trust,
    /// The certificate that we show to a server that asks for one.
    pub own: Option<Own>,
}

/// The servers that are trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Any server: TLS keeps those out who only listen.
    Anybody,
    /// A server with a certificate of these CAs, for any name.
    Issuer(Root),
    /// A server with a certificate of these CAs for the name that is connected to.
    Full(Root),
}

/// The CAs that are trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Root {
    /// Those that the system trusts.
    System,
    /// Those of a file.
    File(Named),
}

/// The certificate that we show, and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Own {
    /// The certificate, with those between it and its CA.
    pub certificate: Named,
    /// Its private key.
    pub key: Named,
}

impl Settings {
    /// The CAs that a server is checked by.
    pub(crate) fn root(&self) -> Option<&Root> {
        match &self.trust {
            Trust::Anybody => None,
            Trust::Issuer(root) | Trust::Full(root) => Some(root),
        }
    }
}
