//! The end of a connection.

use tpro_tls::Failure;

use super::frame::NotNats;

/// The reason why a connection cannot be made, or has ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    NotNats(#[from] NotNats),
    #[error(transparent)]
    Tls(#[from] Failure),
    /// TLS is asked for, and the server has none.
    #[error(
        "the server has no TLS, and tls:// in NATS_URL, NATS_CA or NATS_CERT asks for it; turn tls on there"
    )]
    NoTls,
    /// A file of a login cannot be taken.
    #[error(transparent)]
    Login(#[from] tpro_tls::Problem),
    /// The server lets nobody sign a login.
    #[error("the server asks for no signature, and {0} has a key; give the login that the server knows")]
    NoNonce(&'static str),
}

impl Ended {
    /// True if only a person can mend it.
    pub fn is_lasting(&self) -> bool {
        match self {
            Self::Io(error) => Failure::of(error).is_some_and(Failure::is_lasting),
            Self::Tls(failure) => failure.is_lasting(),
            Self::NoTls | Self::Login(_) | Self::NoNonce(_) => true,
            Self::NotNats(_) => false,
        }
    }
}
