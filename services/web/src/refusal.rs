//! The rule that keeps a request from a place.

use std::fmt;

/// The rule that keeps a request from a place. Its text goes on from the name of the place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It is no URL of HTTP.
    NoUrl,
    /// A user or a password stands in it.
    Login,
    /// The host is not listed.
    Unlisted,
    /// The address is private, and the host is not listed by its name or address.
    Private,
    /// A redirect gives up TLS.
    Plain,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoUrl => "must be an http or https URL with a host",
            Self::Login => "must hold no user and no password: send them in the header authorization",
            Self::Unlisted => "names a host that is not allowed: list it in WEB_HOSTS of the service web",
            Self::Private => {
                "leads to a private address: to allow that, list the host in WEB_HOSTS of the service web"
            }
            Self::Plain => "must not lead from https to http",
        })
    }
}

impl std::error::Error for Refusal {}
