//! A reply handler at work.

use tpro_dispatcher::core::{Place, Settled};
use tpro_service::handler::settling::Settling;

use crate::{postgres::SessionId, time::Time};

/// A reply handler at work.
pub struct AtHandler {
    /// The process.
    pub process: usize,
    /// The session that led when it was asked for; none: the word is the target's.
    pub leader: Option<u32>,
    /// The leader that is to hear of its end.
    pub term: SessionId,
    /// The place that it has.
    pub place: Place,
    /// The outcome.
    pub settled: Settled,
    /// The leader led when the reply was inserted, if only it may say it.
    pub led: bool,
    /// Where it is.
    pub settling: Settling,
    /// The statement whose answer it awaits.
    pub stage: Stage,
    /// Its session.
    pub session: Option<SessionId>,
    /// When it gives up.
    pub until: Time,
}

/// The statement that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// BEGIN.
    Begin,
    /// As production has it.
    Settling,
    /// The hold of its key, or the end of that.
    Hold,
    /// The function is looked up.
    Look,
    /// The effect of the handler.
    Effect,
    /// The handler works.
    Work,
    /// COMMIT.
    Commit,
    /// A moment before another try.
    Pause,
}
