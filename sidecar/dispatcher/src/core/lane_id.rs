//! The place of a message among the lanes: its lane and its priority there.

use tpro_wire::priority::Priority;

/// The number of a lane, which stays with the lane while that holds anything, and the priority of a
/// message within it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct LaneId {
    pub(super) slot: u32,
    pub(super) priority: Priority,
}
