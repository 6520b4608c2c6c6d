//! What there is in the model of leadership, and the database's part of it.

use super::Variant;

/// The identity of a row: which of the rows that ever had this id.
pub type Uid = u8;

/// A uid that no row ever had.
pub(super) const FORGED: Uid = 99;

/// Which session has the lock, or had. The number of one that nobody remembers is used again, to have fewer states.
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
    /// Whether, when this was inserted, the lock was with the session that had sent the request.
    pub(super) led: bool,
}

/// How far an outcome is on its way into the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Held; no statement yet.
    Held,
    /// Pool: the leader was seen to have the lock; nothing inserted.
    Checked,
    /// Pool: inserted; the leader's lock is to be looked at.
    Inserted {
        /// Whether the leader had the lock when it was inserted.
        led: bool,
    },
    /// Pool: only the commit is left.
    Sure {
        /// Whether the leader had the lock when it was inserted.
        led: bool,
    },
}

/// What a copy is about to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Task {
    pub(super) uid: Uid,
    pub(super) outcome: Outcome,
    /// When it was sent.
    pub(super) term: Term,
    pub(super) stage: Stage,
}

impl Task {
    pub(super) fn is_inserted(&self) -> bool {
        matches!(self.stage, Stage::Inserted { .. } | Stage::Sure { .. })
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
    /// What was sent and not answered, in that term.
    pub(super) in_flight: Option<Uid>,
    /// What it is about to write; a handler's transaction goes on when the term is over.
    pub(super) task: Option<Task>,
}

pub(super) const NEW: Copy = Copy { process: Process::Runs, leads: None, in_flight: None, task: None };

/// One state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    pub(super) copies: [Copy; 2],
    /// Whose session holds the lock, and in which term.
    pub(super) lock: Option<(usize, Term)>,
    /// How many led so far, counted up to two.
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

    /// Which copy is which does not matter: the lesser comes first.
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

    /// A statement that inserts a reply waits for whoever has inserted one and not committed.
    pub(super) fn waits(&self, variant: Variant) -> bool {
        variant != Variant::WithoutPrimaryKey
            && self.copies.iter().any(|copy| copy.task.is_some_and(|task| task.is_inserted()))
    }

    /// ON CONFLICT DO NOTHING: the first reply wins.
    pub(super) fn conflicts(&self, variant: Variant) -> bool {
        variant != Variant::WithoutPrimaryKey && !self.replies.is_empty()
    }

    /// What was not committed is rolled back; its copy learns it at its next statement, and tries again.
    pub(super) fn roll_back(&mut self, who: usize) {
        if let Some(task) = &mut self.copies[who].task {
            task.stage = Stage::Held;
        }
    }
}
