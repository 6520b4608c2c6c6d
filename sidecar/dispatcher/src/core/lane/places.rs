//! The places of messages in a lane, and their way from one to another.

use super::Lane;
use tpro_wire::priority::Priority;

use crate::core::message::Place;

impl Lane {
    /// A message of this size has its outcome. Returns whether it flew.
    pub fn land(&mut self, priority: Priority, bytes: usize, place: Place) -> bool {
        self.bytes -= bytes;
        self.leave(priority, place)
    }

    /// A message leaves its place, and waits without one until it is due. Returns whether it flew.
    pub fn put_off(&mut self, priority: Priority, place: Place) -> bool {
        self.classes.get_mut(priority).put_off();
        self.leave(priority, place)
    }

    /// A message that was put off is due; it flies.
    pub fn come_back(&mut self, priority: Priority) {
        let class = self.classes.get_mut(priority);
        class.leave_put_off();
        class.take_off();
    }

    /// A place is free. Returns whether its message flew.
    fn leave(&mut self, priority: Priority, place: Place) -> bool {
        let class = self.classes.get_mut(priority);
        match place {
            Place::Flying => class.land(),
            Place::Refused(refusal) => class.leave_refused(self.refused.leave(refusal)),
            Place::PutOff => class.leave_put_off(),
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
