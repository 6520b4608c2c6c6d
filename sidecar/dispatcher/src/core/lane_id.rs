//! The number of a lane.

/// The number of a lane: it stays with the lane while that holds anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct LaneId(pub(super) u32);
