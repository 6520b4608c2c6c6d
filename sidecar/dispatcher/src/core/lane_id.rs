//! The number of a lane.

/// Which lane: stays with it while it holds anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct LaneId(pub(super) u32);
