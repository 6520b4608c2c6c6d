//! The priority of a message. Of the messages to one service, those of a higher one go first.

use std::cmp::Reverse;
use std::str::FromStr;

use crate::limits::MAX_PRIORITY;

/// The number of priorities.
const COUNT: usize = MAX_PRIORITY as usize + 1;

/// A priority, 0 to 3: the higher goes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Priority(u8);

impl Priority {
    /// All, the highest first.
    pub const ALL: [Self; COUNT] = [Self(3), Self(2), Self(1), Self(0)];

    /// The priority of a row with this number. A number that no publish lets in counts as the
    /// nearest that it does.
    pub fn of(number: i32) -> Self {
        Self(number.clamp(0, MAX_PRIORITY) as u8)
    }

    /// Its number.
    pub fn number(self) -> u8 {
        self.0
    }

    /// The weight of its part where several priorities share something: 8, 4, 2 or 1.
    pub fn weight(self) -> usize {
        1 << self.0
    }
}

impl FromStr for Priority {
    type Err = UnknownPriority;

    /// Reads one digit, 0 to 3, as a header has it.
    fn from_str(text: &str) -> Result<Self, UnknownPriority> {
        match text.as_bytes() {
            [digit @ b'0'..=b'3'] => Ok(Self(digit - b'0')),
            _ => Err(UnknownPriority),
        }
    }
}

/// The text is no priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a priority is 0 to {MAX_PRIORITY}")]
pub struct UnknownPriority;

/// A value for each priority.
#[derive(Default)]
pub struct ByPriority<T>([T; COUNT]);

impl<T> ByPriority<T> {
    /// The value of this priority.
    pub fn get(&self, priority: Priority) -> &T {
        &self.0[usize::from(priority.0)]
    }

    /// The value of this priority, to be changed.
    pub fn get_mut(&mut self, priority: Priority) -> &mut T {
        &mut self.0[usize::from(priority.0)]
    }

    /// All values, that of the highest priority first.
    pub fn iter(&self) -> impl Iterator<Item = (Priority, &T)> {
        Priority::ALL.into_iter().map(|priority| (priority, self.get(priority)))
    }

    /// All values to be changed, in no order.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.0.iter_mut()
    }
}

/// The turns of the priorities where one of them at a time is served: each as often as its weight
/// says, and evenly spread (the smooth weighted round robin of nginx).
///
/// The credit of each.
#[derive(Default)]
pub struct Turns(ByPriority<isize>);

/// The turns of a round in which all want one: the sum of the weights.
const ROUND: isize = 15;

impl Turns {
    /// The priorities, that whose turn it is first.
    pub fn order(&self) -> [Priority; COUNT] {
        let mut all = Priority::ALL;
        // Of equals the highest stays before the others.
        all.sort_by_key(|priority| Reverse(self.0.get(*priority) + priority.weight() as isize));
        all
    }

    /// One of those that want a turn has had it.
    pub fn took(&mut self, priority: Priority, wants: impl Fn(Priority) -> bool) {
        let mut all = 0;
        for other in Priority::ALL.into_iter().filter(|other| *other == priority || wants(*other)) {
            *self.0.get_mut(other) += other.weight() as isize;
            all += other.weight() as isize;
        }
        *self.0.get_mut(priority) -= all;
        // One that cannot be served when its turn comes saves up no more than one round.
        self.0.values_mut().for_each(|credit| *credit = (*credit).clamp(-ROUND, ROUND));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_out_of_bounds_counts_as_the_nearest() {
        let numbers = [i32::MIN, -1, 0, 1, 2, 3, 4, i32::MAX].map(|number| Priority::of(number).number());
        assert_eq!(numbers, [0, 0, 0, 1, 2, 3, 3, 3]);
    }

    #[test]
    fn a_header_has_one_digit() {
        for number in 0..=MAX_PRIORITY {
            assert_eq!(number.to_string().parse(), Ok(Priority::of(number)));
        }
        for text in ["", "4", "-1", "+1", "01", " 1", "1 ", "high"] {
            assert_eq!(text.parse::<Priority>(), Err(UnknownPriority), "{text:?}");
        }
    }

    #[test]
    fn each_has_as_many_turns_as_its_weight_says() {
        let mut turns = Turns::default();
        let mut had = ByPriority([0; COUNT]);
        for _ in 0..150 {
            let priority = turns.order()[0];
            turns.took(priority, |_| true);
            *had.get_mut(priority) += 1;
        }
        assert_eq!(had.0, [10, 20, 40, 80]);
    }

    #[test]
    fn the_highest_comes_first() {
        let all = ByPriority(["0", "1", "2", "3"]);
        let found: Vec<_> = all.iter().map(|(priority, text)| (priority.number(), *text)).collect();
        assert_eq!(found, [(3, "3"), (2, "2"), (1, "1"), (0, "0")]);
    }
}
