//! The form of a body on the wire.

use std::fmt;
use std::str::FromStr;

/// The protocol of a message, column `protocol`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// JSON-RPC 2.0: the body is `params` of a request, the reply is its `result` or `error`.
    JsonRpc,
    /// The body is sent as it is, and any JSON that comes back is the result. It is for services
    /// that do not know tpro.
    Json,
}

/// A text that names no [`Protocol`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a protocol is jsonrpc or json")]
pub struct ProtocolError;

impl Protocol {
    /// As the column has it: `jsonrpc` or `json`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::JsonRpc => "jsonrpc",
            Self::Json => "json",
        }
    }
}

impl FromStr for Protocol {
    type Err = ProtocolError;

    fn from_str(text: &str) -> Result<Self, ProtocolError> {
        match text {
            "jsonrpc" => Ok(Self::JsonRpc),
            "json" => Ok(Self::Json),
            _ => Err(ProtocolError),
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
