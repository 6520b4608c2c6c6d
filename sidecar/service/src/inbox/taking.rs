//! A message that the writer takes.

use tokio::sync::oneshot;

use super::{
    command::{Accept, Accepted},
    verdict::{Bid, Step, Verdict},
};

/// An accept, and its bid for a run.
pub(super) struct Taking {
    pub(super) accept: Accept,
    pub(super) bid: Bid,
    reply: oneshot::Sender<Accepted>,
}

impl Taking {
    pub(super) fn new(accept: Accept, reply: oneshot::Sender<Accepted>) -> Self {
        let bid = Bid::new(accept.alone);
        Self { accept, bid, reply }
    }

    /// The one that asked has given up waiting.
    pub(super) fn is_given_up(&self) -> bool {
        self.reply.is_closed()
    }

    /// Answers if this step is the last; otherwise the message stays to be taken.
    pub(super) fn step(self, step: Step, accepted: impl FnOnce(Verdict) -> Accepted) -> Option<Self> {
        let Step::End(verdict) = step else { return Some(self) };
        let _ = self.reply.send(accepted(verdict));
        None
    }
}
