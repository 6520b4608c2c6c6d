//! The classes of a lane: its messages by their priority.
//!
//! All of them share one window, since it says what the target can do. While messages of several
//! priorities want to be sent, each priority has its part of the window: 8, 4, 2 and 1 parts from
//! the highest to the lowest. So a message of a high priority goes ahead of any number of others,
//! and none of these starves. Unused places go to the highest priority that waits.

use std::{cmp::Ordering, time::Instant};

use super::{queue::Queue, refused::REFUSED_PER_LANE};
use tpro_wire::priority::{ByPriority, Priority};

/// The messages of one priority.
#[derive(Default)]
pub struct Class {
    /// Rows that wait.
    queue: Queue,
    /// Messages sent, or about to be sent, and not answered.
    flying: usize,
    /// Refused messages that hold a place in the window.
    refused: usize,
    /// Refused messages that hold none.
    absent: usize,
    /// Messages that their handler has put off, and that are not due yet.
    put_off: usize,
    /// Since when its rows are better read without their bodies.
    tight_since: Option<Instant>,
}

impl Class {
    /// Places of the window that are its own now.
    fn places(&self) -> usize {
        self.flying + self.queue.fetching() + self.refused
    }

    /// Rows that wait.
    pub fn queue(&self) -> &Queue {
        &self.queue
    }

    /// Rows that wait, to be changed.
    pub fn queue_mut(&mut self) -> &mut Queue {
        &mut self.queue
    }

    /// A message flies.
    pub fn take_off(&mut self) {
        self.flying += 1;
    }

    /// A message flies no more.
    pub fn land(&mut self) {
        self.flying -= 1;
    }

    /// A message that flew was refused. It keeps its place in the window, or it waits without one.
    pub fn refuse(&mut self, keeps_its_place: bool) {
        self.flying -= 1;
        match keeps_its_place {
            true => self.refused += 1,
            false => self.absent += 1,
        }
    }

    /// A refused message is one no more: it is tried again, or settled.
    pub fn leave_refused(&mut self, kept_its_place: bool) {
        match kept_its_place {
            true => self.refused -= 1,
            false => self.absent -= 1,
        }
    }

    /// A message waits until it is due.
    pub fn put_off(&mut self) {
        self.put_off += 1;
    }

    /// A message that was put off waits no more: it is due, or settled.
    pub fn leave_put_off(&mut self) {
        self.put_off -= 1;
    }

    /// Since when its rows are better read without their bodies; they are now.
    pub fn tight_since(&mut self, now: Instant) -> Instant {
        *self.tight_since.get_or_insert(now)
    }

    /// Its rows are not better read without their bodies.
    pub fn has_opened(&mut self) {
        self.tight_since = None;
    }

    /// True if it keeps as many messages aside as it may.
    pub fn is_full(&self) -> bool {
        self.refused + self.absent >= REFUSED_PER_LANE || self.put_off >= REFUSED_PER_LANE
    }

    /// True if it wants its part of the window.
    pub fn is_busy(&self) -> bool {
        self.places() > 0 || !self.queue.is_empty()
    }
}

/// The classes of a lane.
#[derive(Default)]
pub struct Classes(ByPriority<Class>);

impl Classes {
    /// The class of this priority.
    pub fn get(&self, priority: Priority) -> &Class {
        self.0.get(priority)
    }

    /// The class of this priority, to be changed.
    pub fn get_mut(&mut self, priority: Priority) -> &mut Class {
        self.0.get_mut(priority)
    }

    /// All classes, the highest priority first.
    pub fn iter(&self) -> impl Iterator<Item = (Priority, &Class)> {
        self.0.iter()
    }

    /// All classes to be changed, in no order.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut Class> {
        self.0.values_mut()
    }

    /// Messages sent, or about to be sent, and not answered.
    pub fn flying(&self) -> usize {
        self.iter().map(|(_, class)| class.flying).sum()
    }

    /// Rows that are being fetched.
    pub fn fetching(&self) -> usize {
        self.iter().map(|(_, class)| class.queue.fetching()).sum()
    }

    /// Rows that wait.
    pub fn waiting(&self) -> usize {
        self.iter().map(|(_, class)| class.queue.len()).sum()
    }

    /// Messages that are put off.
    pub fn put_off(&self) -> usize {
        self.iter().map(|(_, class)| class.put_off).sum()
    }

    /// Refused messages of this priority and higher ones that hold no place.
    pub fn absent_before(&self, priority: Priority) -> usize {
        self.iter().filter(|(other, _)| *other >= priority).map(|(_, class)| class.absent).sum()
    }

    /// True if others than this priority want a part.
    pub fn are_several(&self, priority: Priority) -> bool {
        self.iter().any(|(other, class)| other != priority && class.is_busy())
    }

    /// The part of so many places that a priority has while others want theirs.
    pub fn part(&self, priority: Priority, places: usize) -> usize {
        let wants = |(other, class): &(Priority, &Class)| *other == priority || class.is_busy();
        let all: usize = self.iter().filter(wants).map(|(other, _)| other.weight()).sum();
        (places * priority.weight() / all.max(1)).max(1).min(places)
    }

    /// The places that a priority may still have: what is left of its own part of so many, or those
    /// that are left over. For these the rows of higher priorities that wait come first, and those
    /// of lower ones that have less than their part.
    pub fn room(&self, priority: Priority, places: usize) -> usize {
        let own = |priority| self.part(priority, places).saturating_sub(self.get(priority).places());
        let taken = self.iter().map(|(other, class)| {
            let waits = class.queue.len();
            class.places()
                + match other.cmp(&priority) {
                    Ordering::Greater => waits,
                    Ordering::Less => waits.min(own(other)),
                    Ordering::Equal => 0,
                }
        });
        places.saturating_sub(taken.sum()).max(own(priority))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::core::lane::Waiting;

    const HIGHEST: Priority = Priority::ALL[0];
    const LOWEST: Priority = Priority::ALL[3];

    #[test]
    fn a_message_is_counted_where_it_is() {
        let mut class = Class::default();
        let counts = |class: &Class| [class.flying, class.refused, class.absent, class.put_off];
        (0..3).for_each(|_| class.take_off());
        class.refuse(true);
        class.refuse(false);
        assert_eq!(counts(&class), [1, 1, 1, 0]);
        assert_eq!(class.places(), 2, "one that is absent has no place");
        class.put_off();
        class.leave_refused(false);
        assert_eq!(counts(&class), [1, 1, 0, 1]);
        class.leave_put_off();
        class.leave_refused(true);
        class.land();
        assert!(counts(&class) == [0; 4] && !class.is_busy());
    }

    #[test]
    fn a_class_is_tight_since_it_was_first_asked() {
        let (mut class, now) = (Class::default(), Instant::now());
        let later = now + Duration::from_secs(1);
        assert_eq!([class.tight_since(now), class.tight_since(later)], [now; 2]);
        class.has_opened();
        assert_eq!(class.tight_since(later), later);
    }

    #[test]
    fn a_priority_alone_has_the_whole_window() {
        for priority in Priority::ALL {
            let mut classes = Classes::default();
            assert_eq!((classes.part(priority, 100), classes.room(priority, 100)), (100, 100));
            classes.get_mut(priority).flying = 100;
            assert_eq!(classes.room(priority, 100), 0);
        }
    }

    #[test]
    fn in_a_full_window_each_priority_has_its_part_all_the_same() {
        let mut classes = Classes::default();
        classes.get_mut(LOWEST).flying = 90;
        assert_eq!(classes.room(HIGHEST, 90), 80);
        classes.get_mut(HIGHEST).flying = 80;
        assert_eq!((classes.room(HIGHEST, 90), classes.room(LOWEST, 90)), (0, 0));
        classes.get_mut(LOWEST).flying = 9;
        assert_eq!(classes.room(LOWEST, 90), 1, "one of its ten parts of ninety");
    }

    #[test]
    fn a_free_place_is_for_the_highest_that_waits() {
        let mut classes = Classes::default();
        classes.get_mut(LOWEST).flying = 50;
        assert_eq!(classes.room(LOWEST, 90), 40);
        (1..=30).for_each(|id| classes.get_mut(HIGHEST).queue.push(Waiting::new(id, false)));
        assert_eq!((classes.room(LOWEST, 90), classes.room(HIGHEST, 90)), (10, 80));
    }

    #[test]
    fn what_is_free_is_not_taken_from_the_part_of_a_lower_one_that_waits() {
        let mut classes = Classes::default();
        for priority in Priority::ALL {
            (1..=1_000).for_each(|id| classes.get_mut(priority).queue.push(Waiting::new(id, false)));
        }
        let rooms = Priority::ALL.map(|priority| classes.room(priority, 150));
        assert_eq!(rooms, [80, 40, 20, 10], "together they are the window");
    }

    #[test]
    fn the_parts_of_all_are_eight_four_two_and_one() {
        let mut classes = Classes::default();
        Priority::ALL.into_iter().for_each(|priority| classes.get_mut(priority).flying = 1);
        assert_eq!(Priority::ALL.map(|priority| classes.part(priority, 150)), [80, 40, 20, 10]);
        assert_eq!(Priority::ALL.map(|priority| classes.part(priority, 8)), [4, 2, 1, 1], "none has nothing");
    }
}
