//! The random numbers of the core: a generator that is handed a seed, so that the same inputs give
//! the same actions.

use std::time::Duration;

/// A seeded generator: splitmix64 (Steele, Lea and Flood, OOPSLA 2014). Not for secrets.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// A generator with this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Between half of the pause and the whole of it, so that leaders that met the same trouble do
    /// not act in step.
    pub fn jittered(&mut self, pause: Duration) -> Duration {
        // 53 bits: the precision of an f64.
        let unit = (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
        pause.mul_f64(0.5 + unit / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_its_numbers_again_and_a_pause_is_at_least_half_of_itself() {
        let (mut one, mut again, mut other) = (Dice::new(7), Dice::new(7), Dice::new(8));
        let pause = Duration::from_millis(100);
        let pauses: Vec<_> = (0..1_000).map(|_| one.jittered(pause)).collect();
        assert!(pauses.iter().all(|it| *it >= pause / 2 && *it < pause));
        assert!(pauses.iter().all(|it| *it == again.jittered(pause)));
        assert_ne!(pauses[0], other.jittered(pause));
    }
}
