//! The steps of the partitions' model.

use super::state::{Maintainer, Reader, Step};

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// An INSERT into the outbox begins: it uses the table, and draws its id.
    Draw,
    /// It writes its row.
    Write(usize),
    /// It commits.
    Commit(usize),
    /// It rolls back, before or after it has written.
    RollBack(usize),
    /// A reply is written, beside a look at its message.
    Reply(usize),
    /// The reply is committed.
    CommitReply(usize),
    /// The reply is rolled back.
    RollBackReply(usize),
    /// The time of retention passes.
    Age,
    /// Ids jump: `setval`, or a bulk insert that is rolled back.
    Jump,
    /// The sequence is set back to where it was before it jumped.
    SetBack,
    /// A long read begins.
    Read(Reader),
    /// It ends.
    EndRead,
    /// A maintainer begins to make partitions: it looks.
    Plan(usize, usize),
    /// It makes tables.
    MakeTables(usize),
    /// Release 0.1.0: it commits a constraint that is to prove the bound, which PostgreSQL does not
    /// check yet.
    AddCheck(usize),
    /// Release 0.1.0: PostgreSQL checks the constraint.
    Validate(usize),
    /// It has the table for itself, changes it, and commits.
    Change(usize),
    /// A maintainer looks at a partition of a table, which may go.
    Look(usize, usize, i64),
    /// It locks the partition against writers, and looks closely.
    Lock(usize),
    /// It has the table for itself, drops the partition, and commits.
    Drop(usize),
    /// Others use the table, and it empties the partition instead.
    Empty(usize),
    /// Its tries are over, or it crashes: its transaction is undone.
    GiveUp(usize),
}

impl Action {
    /// True if it belongs to work that ends by itself, once nobody reads and nobody publishes.
    pub(super) fn is_calm(&self) -> bool {
        !matches!(self, Self::Draw | Self::Jump | Self::SetBack | Self::Read(_) | Self::RollBackReply(_))
    }

    /// The maintainer's next steps that need nothing but its own place.
    pub(super) fn of(who: usize, maintainer: &Maintainer, checks_beforehand: bool) -> Vec<Self> {
        let steps = match &maintainer.step {
            Step::Idle => return Vec::new(),
            Step::Planned(_, plan) if checks_beforehand && plan.cut.is_some() => vec![Self::AddCheck(who)],
            Step::Planned(..) => vec![Self::MakeTables(who)],
            Step::Bounded(..) => vec![Self::Validate(who)],
            Step::Made(..) => vec![Self::Change(who)],
            Step::Looked(..) => vec![Self::Lock(who)],
            Step::Locked(..) => vec![Self::Drop(who), Self::Empty(who)],
        };
        steps.into_iter().chain([Self::GiveUp(who)]).collect()
    }
}
