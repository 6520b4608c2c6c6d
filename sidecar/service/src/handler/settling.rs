//! The order of statements by which a connection of the pool settles a reply. No IO; the model is
//! `sidecar/models/src/leadership.rs`.
//!
//! The reply is inserted, then the leader's lock is looked at, then all is committed. A leader
//! after this one would find the reply in the table and wait for the commit. So nothing is said in
//! the name of a leader that was followed already.

use tpro_runtime::plant;

/// The next statement of a transaction that settles a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Settling {
    /// Insert the reply, if the message has none and is still the one that was asked.
    Insert {
        /// Only the leader may say it.
        by_leader: bool,
    },
    /// Look whether the leader has its lock.
    AskLeader,
    /// Nothing more is to be asked.
    End(Ending),
}

/// The end of a transaction that settles a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ending {
    /// Run the handler, and commit.
    Commit,
    /// Roll back: the message has its reply, or is another by now.
    Settled,
    /// Roll back: the leader leads no more.
    Deposed,
}

impl Settling {
    /// Begins.
    pub fn begin(by_leader: bool) -> Self {
        Self::Insert { by_leader }
    }

    /// The INSERT has added a row, or none.
    pub fn inserted(self, is_new: bool) -> Self {
        match self {
            Self::Insert { .. } if !is_new => Self::End(Ending::Settled),
            Self::Insert { by_leader: true } => Self::AskLeader,
            Self::Insert { by_leader: false } => Self::End(Ending::Commit),
            other => other,
        }
    }

    /// The leader leads, or does not.
    pub fn asked(self, leads: bool) -> Self {
        match self {
            Self::AskLeader if leads || plant::is_planted("deposed leader writes") => {
                Self::End(Ending::Commit)
            }
            Self::AskLeader => Self::End(Ending::Deposed),
            other => other,
        }
    }
}

/// True if the INSERT asks for the message by its uid as well. After a failover another message may
/// have its id.
pub fn asks_for_uid() -> bool {
    !plant::is_planted("settle by id without uid")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_inserted_before_the_leader_is_asked_for() {
        let timeout = Settling::begin(true).inserted(true);
        assert_eq!(timeout, Settling::AskLeader);
        assert_eq!(timeout.asked(true), Settling::End(Ending::Commit));
        assert_eq!(timeout.asked(false), Settling::End(Ending::Deposed));
    }

    #[test]
    fn the_word_of_the_target_needs_no_leader() {
        assert_eq!(Settling::begin(false).inserted(true), Settling::End(Ending::Commit));
    }

    #[test]
    fn a_message_that_has_its_reply_is_left_alone() {
        for by_leader in [false, true] {
            assert_eq!(Settling::begin(by_leader).inserted(false), Settling::End(Ending::Settled));
        }
    }
}
