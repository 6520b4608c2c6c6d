//! The states that a reply can tell instead of an answer.

use std::fmt;
use std::str::FromStr;

/// The value of the header `Tpro-State`. A reply that carries it settles nothing. Its body is
/// empty, but for [`Self::Later`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReplyState {
    /// This copy or another one works on the message: keep waiting.
    Working,
    /// This copy takes no more work now: try again, and send less.
    Overloaded,
    /// The uid is from the future or from before the inbox window: the service cannot tell the
    /// message from a repeat.
    Stale,
    /// This copy does not understand the version of the request, and names those that it does
    /// ([`crate::headers::VERSIONS`]): try again, another copy may.
    Unsupported,
    /// The handler has run and asks to be asked again, not before the time of
    /// [`crate::headers::RETRY_AFTER_MS`]. The body is the error that ends the message if its
    /// budget does not suffice, as an answer would have it.
    Later,
}

/// A text that names no [`ReplyState`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a reply state is working, overloaded, stale, unsupported or later")]
pub struct ReplyStateError;

impl ReplyState {
    /// As the header has it: `working`, `overloaded`, `stale`, `unsupported` or `later`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Working => "working",
            Self::Overloaded => "overloaded",
            Self::Stale => "stale",
            Self::Unsupported => "unsupported",
            Self::Later => "later",
        }
    }
}

impl FromStr for ReplyState {
    type Err = ReplyStateError;

    fn from_str(text: &str) -> Result<Self, ReplyStateError> {
        match text {
            "working" => Ok(Self::Working),
            "overloaded" => Ok(Self::Overloaded),
            "stale" => Ok(Self::Stale),
            "unsupported" => Ok(Self::Unsupported),
            "later" => Ok(Self::Later),
            _ => Err(ReplyStateError),
        }
    }
}

impl fmt::Display for ReplyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
