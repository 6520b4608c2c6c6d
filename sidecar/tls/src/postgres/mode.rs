//! The modes of libpq.

/// The value of `sslmode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// No TLS.
    Disable,
    /// TLS if the server has it. `allow` is taken for the same.
    Prefer,
    /// TLS, with any server. With a file of CAs as [`Mode::VerifyCa`].
    Require,
    /// TLS, with a server that has a certificate of a known CA.
    VerifyCa,
    /// TLS, with a server that has a certificate of a known CA for its own name.
    VerifyFull,
}

impl Mode {
    /// Reads it.
    pub(crate) fn of(text: &str) -> Option<Self> {
        Some(match text {
            "disable" => Self::Disable,
            "prefer" | "allow" => Self::Prefer,
            "require" => Self::Require,
            "verify-ca" => Self::VerifyCa,
            "verify-full" => Self::VerifyFull,
            _ => return None,
        })
    }
}
