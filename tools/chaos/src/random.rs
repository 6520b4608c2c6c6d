//! Random numbers that a seed gives again.

use std::time::Duration;

use tpro_wire::random;

/// The numbers of a part of the run.
#[derive(Clone, Debug)]
pub struct Random(random::Random);

impl Random {
    /// The numbers of a seed, for one part of the run; other parts have others, so that none
    /// disturbs the rest.
    pub fn part(seed: u64, part: u64) -> Self {
        let mut part = random::Random::new(seed ^ part.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        Self(part.fork())
    }

    /// From `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        self.0.between(low, high)
    }

    /// One case in so many.
    pub fn one_in(&mut self, cases: u64) -> bool {
        self.0.one_in(cases)
    }

    /// A length of time within these milliseconds.
    pub fn millis(&mut self, low: u64, high: u64) -> Duration {
        Duration::from_millis(self.between(low, high))
    }

    /// One of them.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.between(0, from.len() as u64 - 1) as usize]
    }

    /// One of them, as often as its weight says.
    pub fn weighted<'a, T>(&mut self, from: &'a [(u64, T)]) -> &'a T {
        let mut left = self.between(1, from.iter().map(|(weight, _)| weight).sum());
        for (weight, one) in from {
            if left <= *weight {
                return one;
            }
            left -= weight;
        }
        &from[from.len() - 1].1
    }

    /// Puts them into another order.
    pub fn shuffle<T>(&mut self, all: &mut [T]) {
        for at in (1..all.len()).rev() {
            all.swap(at, self.between(0, at as u64) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Random;

    #[test]
    fn a_seed_gives_the_same_numbers_again_and_its_parts_give_others() {
        let words = |mut random: Random| (0..8).map(|_| random.between(0, u64::MAX)).collect::<Vec<_>>();
        assert_eq!(words(Random::part(7, 1)), words(Random::part(7, 1)));
        assert_ne!(words(Random::part(7, 1)), words(Random::part(8, 1)));
        assert_ne!(words(Random::part(7, 1)), words(Random::part(7, 2)));
    }

    #[test]
    fn a_weight_of_nothing_is_never_picked() {
        let mut random = Random::part(1, 1);
        for _ in 0..1000 {
            assert_ne!(*random.weighted(&[(0, 'a'), (3, 'b'), (1, 'c'), (0, 'd')]), 'a');
        }
    }
}
