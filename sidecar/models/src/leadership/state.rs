//! The state of the model of leadership, and the database's part of it.

use tpro_service::handler::settling::{Ending, Settling};

use super::Variant;

/// The identity of a row: which of the rows that ever had this id.
pub type Uid = u8;

/// A uid that no row ever had.
pub(super) const FORGED: Uid = 99;

/// The session that has the lock, or had it. The number of one that nobody remembers is used again,
/// to have fewer states.
pub type Term = u8;

/// An outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// The target said it: `ok` or `error`.
    Said,
    /// The budget is spent. Only the leader may say so.
    Timeout,
}

/// A row of `mq_reply`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Reply {
    pub(super) uid: Uid,
    pub(super) outcome: Outcome,
    /// When this was inserted, the lock was with the session that had sent the request.
    pub(super) led: bool,
}

/// A reply that a copy is about to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Task {
    pub(super) uid: Uid,
    pub(super) outcome: Outcome,
    /// When it was sent.
    pub(super) term: Term,
    /// The next statement, on a connection of the pool.
    pub(super) settling: Settling,
    /// [`Variant::CheckThenInsert`]: the leader was seen to have the lock, and nothing is inserted.
    pub(super) checked: bool,
    /// The leader had the lock when it was inserted.
    pub(super) led: bool,
}

impl Task {
    pub(super) fn new(uid: Uid, outcome: Outcome, term: Term, variant: Variant) -> Self {
        // In these forms nobody asks after the INSERT.
        let asks = !matches!(
            variant,
            Variant::WritesOutsideItsSession | Variant::DeposedSettlesTimeout | Variant::CheckThenInsert
        );
        let settling = Settling::begin(outcome == Outcome::Timeout && asks);
        Self { uid, outcome, term, settling, checked: false, led: false }
    }

    pub(super) fn is_inserted(&self) -> bool {
        matches!(self.settling, Settling::AskLeader | Settling::End(Ending::Commit))
    }

    /// No statement of it was run.
    pub(super) fn is_held(&self) -> bool {
        !self.is_inserted() && !self.checked
    }
}

/// A process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Process {
    /// At work.
    Runs,
    /// Stopped by the operating system; goes on where it was.
    Frozen,
    /// Killed; a new one may start in its place.
    Dead,
}

/// A copy of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Copy {
    pub(super) process: Process,
    /// The term in which it believes to lead.
    pub(super) leads: Option<Term>,
    /// The message that was sent and not answered, in that term.
    pub(super) in_flight: Option<Uid>,
    /// The reply that it is about to write; a handler's transaction goes on when the term is over.
    pub(super) task: Option<Task>,
}

pub(super) const NEW: Copy = Copy { process: Process::Runs, leads: None, in_flight: None, task: None };

/// One state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    pub(super) copies: [Copy; 2],
    /// The copy whose session holds the lock, and the term.
    pub(super) lock: Option<(usize, Term)>,
    /// Leaders so far, counted up to two.
    pub(super) leaders: u8,
    /// The row that the database has committed now.
    pub(super) row: Uid,
    /// The replies that are committed for its id.
    pub(super) replies: Vec<Reply>,
    /// Requests on their way, by uid.
    pub(super) requests: Vec<Uid>,
    /// Replies on their way, by the uid they answer; a forged one answers a uid that never was.
    pub(super) on_the_way: Vec<Uid>,
    /// A reply of the target's was lost.
    pub(super) reply_lost: bool,
    pub(super) faults: u8,
    pub(super) losses: u8,
    pub(super) failovers: u8,
    pub(super) forgeries: u8,
    pub(super) sends: u8,
}

/// The database's part.
impl State {
    pub(super) fn has_lock(&self, who: usize, term: Term) -> bool {
        self.lock == Some((who, term))
    }

    pub(super) fn new_term(&self) -> Term {
        let remembered = |term| {
            self.copies
                .iter()
                .any(|copy| copy.leads == Some(term) || copy.task.is_some_and(|task| task.term == term))
        };
        (0..).find(|term| !remembered(*term)).expect("two copies remember four at most")
    }

    /// The copies are in order, since it does not matter which is which.
    pub(super) fn in_order(mut self) -> Self {
        if self.copies[1] < self.copies[0] {
            self.copies.swap(0, 1);
            self.lock = self.lock.map(|(holder, term)| (1 - holder, term));
        }
        self
    }

    /// Settled by what the target said.
    pub(super) fn is_answered(&self) -> bool {
        self.replies.iter().any(|reply| reply.outcome == Outcome::Said)
    }

    /// A statement that inserts a reply waits for a transaction that has inserted one and not
    /// committed.
    pub(super) fn waits(&self, variant: Variant) -> bool {
        variant != Variant::WithoutPrimaryKey
            && self.copies.iter().any(|copy| copy.task.is_some_and(|task| task.is_inserted()))
    }

    /// ON CONFLICT DO NOTHING: the first reply wins.
    pub(super) fn conflicts(&self, variant: Variant) -> bool {
        variant != Variant::WithoutPrimaryKey && !self.replies.is_empty()
    }

    /// All that was not committed is rolled back; its copy learns it at its next statement, and
    /// tries again.
    pub(super) fn roll_back(&mut self, who: usize, variant: Variant) {
        if let Some(task) = &mut self.copies[who].task {
            *task = Task::new(task.uid, task.outcome, task.term, variant);
        }
    }
}
