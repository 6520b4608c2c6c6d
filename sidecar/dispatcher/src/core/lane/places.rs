//! The places of messages in a lane, and their way from one to another.

use super::Lane;
use crate::core::message::Place;

impl Lane {
    /// A message of this size has its outcome. Returns whether it flew.
    pub fn land(&mut self, bytes: usize, place: Place) -> bool {
        self.bytes -= bytes;
        self.leave(place)
    }

    /// A message leaves its place, and waits without one until it is due. Returns whether it flew.
    pub fn put_off(&mut self, place: Place) -> bool {
        self.put_off += 1;
        self.leave(place)
    }

    /// A message that was put off is due; it flies.
    pub fn come_back(&mut self) {
        self.put_off -= 1;
        self.flying += 1;
    }

    /// A place is free. Returns whether its message flew.
    fn leave(&mut self, place: Place) -> bool {
        match place {
            Place::Flying => self.flying -= 1,
            Place::Refused(refusal) => self.refused.leave(refusal),
            Place::PutOff => self.put_off -= 1,
        }
        place == Place::Flying
    }

    /// An outcome goes to its reply handler.
    pub fn begin_handling(&mut self) {
        self.handling += 1;
    }

    /// The reply handler of an outcome is done.
    pub fn handled(&mut self) {
        self.handling -= 1;
    }
}
