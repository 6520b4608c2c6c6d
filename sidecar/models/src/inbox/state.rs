//! What there is in the inbox's model, and the database's part of it.

use super::Variant;

/// What a copy does with the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Doing {
    /// Nothing.
    Nothing,
    /// To be accepted as this run.
    Accepting {
        /// The run's number.
        run: u8,
    },
    /// Somebody has that run; to look at what is known.
    Looking,
    /// Accepted as this run; the handler runs. Transactional: the transaction is open.
    Running {
        /// The run's number.
        run: u8,
    },
    /// The handler has had its effect (transactional: not committed), its outcome is not written.
    Finishing {
        /// The run's number.
        run: u8,
    },
    /// The server has ended its transaction.
    Undone,
    /// The outcome is committed, the answer not sent.
    Answering {
        /// What will be answered: the run whose outcome won.
        answer: u8,
    },
}

/// A copy of the service.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Copy {
    pub(super) frozen: bool,
    /// Whether its instance lock is held.
    pub(super) present: bool,
    pub(super) doing: Doing,
    /// The attempts that will be answered with what it does: the one it took, and those that joined.
    pub(super) attempts: Vec<u8>,
}

/// Who has accepted the last run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    /// Nobody yet.
    Nobody,
    /// The process that is this copy now.
    Copy(usize),
    /// A dead process whose session the server still has.
    Ghost,
    /// A dead process.
    Dead,
}

/// One state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    pub(super) copies: [Copy; 2],
    /// Attempts on their way, by number; which is delivered next is anybody's guess.
    pub(super) on_the_way: Vec<u8>,
    pub(super) faults: u8,
    /// How many runs were accepted: the rows of `mq_receive`, whose key is message and run.
    pub(super) runs: u8,
    pub(super) owner: Owner,
    /// Whether the deadline of the last run is over.
    pub(super) late: bool,
    /// The rows of `mq_outcome`, by the runs that made them.
    pub(super) outcomes: Vec<u8>,
    /// Counted up to two.
    pub(super) effects: u8,
    /// What was answered: attempt, and the run whose outcome it was.
    pub(super) answers: Vec<(u8, u8)>,
}

/// The database's part.
impl State {
    /// Whether the last run's owner seems to be at work on it: what the product asks, by lock and deadline.
    pub(super) fn seems_at_work(&self, asks: usize, variant: Variant) -> bool {
        let present = match self.owner {
            Owner::Copy(who) => who != asks && self.copies[who].present,
            Owner::Ghost => true,
            Owner::Nobody | Owner::Dead => false,
        };
        present && (!self.late || variant == Variant::WithoutDeadline)
    }

    pub(super) fn has_open_transaction(&self, who: usize) -> bool {
        matches!(self.copies[who].doing, Doing::Running { .. } | Doing::Finishing { .. })
    }

    /// ON CONFLICT DO NOTHING: the first outcome wins, the loser answers with the winner's.
    pub(super) fn record(&mut self, run: u8, has_key: bool) -> u8 {
        if has_key && let Some(first) = self.outcomes.first() {
            return *first;
        }
        self.outcomes.push(run);
        run
    }
}

impl State {
    /// "Working on it", or nothing: the requester sends again.
    pub(super) fn leave_unanswered(&mut self, who: usize) {
        self.copies[who].doing = Doing::Nothing;
        self.copies[who].attempts.clear();
    }
}
