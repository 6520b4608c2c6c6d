//! The state of the inbox's model, and the database's part of it.

use tpro_service::inbox::verdict::Bid;

use super::Asker;

/// A delivery of the message, or of a forgery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Delivery {
    /// Its sender.
    pub asker: Asker,
    /// The attempt, as its sender counts them.
    pub number: u8,
}

/// An outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Made {
    /// The run that made it.
    pub run: u8,
    /// The one whose question it answers.
    pub asker: Asker,
}

/// The right to a run that a copy bids for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Turn {
    /// It must be counted before it begins.
    ToCount,
    /// It may begin.
    Free,
    /// All runs are used up: an error takes the place of the handler's doing.
    GivesUp,
}

/// The step of a copy that works on the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Doing {
    /// Nothing.
    Nothing,
    /// It inserts the run that it bids for.
    Taking {
        /// The bid.
        bid: Bid,
        /// The right to that run.
        turn: Turn,
    },
    /// Somebody has that run; to look at what is known.
    Looking {
        /// The bid.
        bid: Bid,
        /// The right to its run.
        turn: Turn,
    },
    /// Transactional: rolled back; to count the run that is about to begin.
    Counting,
    /// Accepted as this run; the handler runs. Transactional: the transaction is open.
    Running {
        /// The run's number.
        run: u8,
    },
    /// The handler has run (transactional: nothing is committed), its outcome is not written.
    Finishing {
        /// The run's number.
        run: u8,
        /// The handler had its effect; none had it where an error takes its place.
        has_effect: bool,
    },
    /// The server has ended its transaction.
    Undone,
    /// The outcome is committed, the answer not sent.
    Answering {
        /// The outcome that won.
        answer: Made,
    },
}

/// A copy of the service.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Copy {
    pub(super) frozen: bool,
    /// Its instance lock is held.
    pub(super) present: bool,
    pub(super) doing: Doing,
    /// The deliveries that wait for what it does: the one it took, and those that joined.
    pub(super) waiting: Vec<Delivery>,
}

/// The process that has accepted the last run.
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
    /// Deliveries on their way; which is next is anybody's guess.
    pub(super) on_the_way: Vec<Delivery>,
    pub(super) faults: u8,
    /// Runs that were accepted: the rows of `mq_receive`, whose key is message and run.
    pub(super) runs: u8,
    /// Runs that were put off. Each has a second row, which has no owner.
    pub(super) put_off: u8,
    pub(super) owner: Owner,
    /// The deadline of the last run is over.
    pub(super) late: bool,
    /// The one who asked, in the last row of `mq_receive`.
    pub(super) first: Option<Asker>,
    /// Transactional: the runs that were counted.
    pub(super) counted: u8,
    /// Runs that a handler began on behalf of the sender.
    pub(super) begun: u8,
    /// The rows of `mq_outcome`.
    pub(super) outcomes: Vec<Made>,
    /// Counted up to two.
    pub(super) effects: u8,
    /// The answers; none is the error of a mismatch.
    pub(super) answers: Vec<(Delivery, Option<Made>)>,
}

/// The database's part.
impl State {
    pub(super) fn has_open_transaction(&self, who: usize) -> bool {
        matches!(self.copies[who].doing, Doing::Running { .. } | Doing::Finishing { .. })
    }

    /// A row for a run, in the way of default handlers.
    pub(super) fn accept(&mut self, who: usize, run: u8) {
        (self.runs, self.owner, self.late, self.first) = (run, Owner::Copy(who), false, self.asker(who));
    }

    /// The handler of a copy puts its run off. Where another run was taken since, no row is
    /// written.
    pub(super) fn put_off(&mut self, who: usize, run: u8) {
        // Runs that began before the calm are not counted in it.
        self.begun = self.begun.saturating_sub(u8::from(self.asker(who) == Some(Asker::Sender)));
        if self.runs == run {
            (self.runs, self.owner) = (run + 1, Owner::Dead);
            self.put_off += 1;
        }
        self.leave_unanswered(who);
    }

    /// ON CONFLICT DO NOTHING: the first outcome wins, the loser answers with the winner's.
    pub(super) fn store(&mut self, made: Made, has_key: bool) -> Made {
        if has_key && let Some(first) = self.outcomes.first() {
            return *first;
        }
        self.outcomes.push(made);
        made
    }
}

impl State {
    /// The one whose question a copy is at work on: all who wait have asked the same.
    pub(super) fn asker(&self, who: usize) -> Option<Asker> {
        self.copies[who].waiting.first().map(|delivery| delivery.asker)
    }

    /// All who wait are answered.
    pub(super) fn answer(&mut self, who: usize, answer: Option<Made>) {
        for delivery in std::mem::take(&mut self.copies[who].waiting) {
            self.tell(delivery, answer);
        }
        self.copies[who].doing = Doing::Nothing;
    }

    pub(super) fn tell(&mut self, delivery: Delivery, answer: Option<Made>) {
        self.answers.push((delivery, answer));
        self.answers.sort_unstable();
    }

    /// "Working on it", "overloaded", or nothing: the requester sends again.
    pub(super) fn leave_unanswered(&mut self, who: usize) {
        self.copies[who].doing = Doing::Nothing;
        self.copies[who].waiting.clear();
    }

    pub(super) fn is_refused(&self, asker: Asker) -> bool {
        self.answers.iter().any(|(to, answer)| to.asker == asker && answer.is_none())
    }
}
