//! The rules that the model knows: as built, and simpler ones.

/// The rules that are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Variant {
    /// As built.
    AsBuilt,
    /// A CHECK proves the bound, in transactions of its own before the cut, and the bound is that
    /// of the next single partition. Where the proof fails, the CHECK stays: release 0.1.0.
    CheckBeforehand,
    /// The overflow partition is cut where the next single partition would end, also where it has
    /// rows beyond.
    NextSinglePartition,
    /// The overflow partition is cut beyond what the sequence has given out, also where it has rows
    /// with greater ids.
    BoundBySequence,
    /// The overflow partition is cut beyond its rows, though it may begin beyond the bound, and
    /// have none.
    BoundByRowsAlone,
    /// The overflow partition is cut without a look, under the lock, for rows beyond the bound.
    CutWithoutLook,
    /// Partitions ahead are replaced without a look, under the lock, for rows in them.
    ReplacedWithoutLook,
    /// A partition is dropped after one look, before it is locked.
    DroppedAfterOneLook,
    /// The look at a partition that is to be dropped locks nothing.
    LookWithoutLock,
    /// A partition is taken off while others use the table.
    DetachedBesideWriters,
    /// Replies go by their age, also while their messages are there.
    RepliesByAge,
}

impl Variant {
    /// True if the overflow partition is cut where the next single partition would end.
    pub(super) fn cuts_singly(self) -> bool {
        matches!(self, Self::CheckBeforehand | Self::NextSinglePartition)
    }
}
