//! The failure of a statement.

use tokio_postgres::error::SqlState;
use tpro_runtime::db::{is_held, is_refusal, is_shortage, plain};

use crate::core::{Trouble, Unwritten};

/// A statement of the leader's session failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutboxError {
    /// A statement could not be prepared: most likely the extension or the schema is of another
    /// version, or gone.
    #[error("{name} cannot be prepared: {}", plain(source))]
    Prepare {
        /// The statement.
        name: &'static str,
        /// The words of the server.
        source: tokio_postgres::Error,
    },
    /// A statement failed.
    #[error("{name} failed: {}", plain(source))]
    Run {
        /// The statement.
        name: &'static str,
        /// The words of the server.
        source: tokio_postgres::Error,
    },
    /// The guard of `outbox.read` found a transaction id where there must be none.
    #[error(
        "outbox.read returned nothing, not even its snapshot: its transaction had an id of its own, which is a bug"
    )]
    Guard,
}

impl OutboxError {
    /// True if the server lacks room (53: disk, memory), which may pass while the session stays.
    pub fn is_shortage(&self) -> bool {
        match self {
            Self::Prepare { source, .. } | Self::Run { source, .. } => is_shortage(source),
            Self::Guard => false,
        }
    }
}

/// Reply handlers were named that were not known when the outcomes were sorted.
pub(super) fn new_handlers() -> Unwritten {
    let text = "there are new reply handlers in SQL".to_owned();
    Unwritten { kind: Trouble::NewHandlers, sqlstate: String::new(), text }
}

/// The reason why outcomes could not be written; none if it is the session's.
pub(super) fn unwritten(error: &tokio_postgres::Error) -> Option<Unwritten> {
    let code = error.code();
    let kind = if code.is_some_and(is_held) {
        Trouble::Held
    } else if is_bad_value(code) {
        Trouble::BadValue
    } else if is_refusal(error) {
        Trouble::Refused
    } else if is_shortage(error) {
        Trouble::Shortage
    } else {
        return None;
    };
    let sqlstate = code.map_or("22000", SqlState::code).to_owned();
    Some(Unwritten { kind, sqlstate, text: plain(error) })
}

/// True if the error is about a value and not about the server: data exceptions (22), and limits of
/// what it takes (54), which `\u0000`, lone surrogates, `1e200000` and 20,000 levels of nesting run
/// into.
fn is_bad_value(code: Option<&SqlState>) -> bool {
    code.is_some_and(|code| code.code().starts_with("22") || code.code().starts_with("54"))
}
