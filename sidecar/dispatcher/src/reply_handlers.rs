//! The dispatcher's view of those who handle replies. It knows no handlers itself.

use futures_util::future::BoxFuture;
use tpro_runtime::settlement::Settlement;
use tpro_wire::target::Target;

/// Handlers of replies, by target.
pub trait ReplyHandlers: Send + Sync {
    /// Returns true if replies of this target have a handler.
    fn has(&self, target: &Target) -> bool;

    /// Writes the reply and runs its handler in one transaction. If the handler fails, the reply is
    /// still written.
    ///
    /// A message that only the leader may settle comes with the backend that must be leading when
    /// it is settled. If that backend leads no more, nothing is written, and false is returned.
    fn settle(
        &self,
        settlement: Settlement,
        leader: Option<i32>,
    ) -> BoxFuture<'static, Result<bool, NotWritten>>;
}

/// The reply was not written, or nobody knows whether it was. It is safe to settle again.
#[derive(Debug)]
pub struct NotWritten {
    /// The cause passes by itself: the handler runs again.
    pub passes: bool,
    /// The cause, without a value of the message.
    pub why: String,
}
