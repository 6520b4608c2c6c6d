//! The number of a lane.

/// Which lane: stays with it while it holds anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct LaneId(pub(super) u32);
