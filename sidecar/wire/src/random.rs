//! Random numbers that a seed gives again. Not for secrets: what they name needs to be apart, not
//! unguessable.

use std::time::Duration;

/// A seeded generator: xoshiro256++ (Blackman and Vigna,
/// <https://prng.di.unimi.it/xoshiro256plusplus.c>).
#[derive(Clone, Debug)]
pub struct Random([u64; 4]);

impl Random {
    /// The generator of this seed. Any seed will do, zero and its neighbours included.
    pub fn new(seed: u64) -> Self {
        let mut state = seed;
        Self(std::array::from_fn(|_| splitmix(&mut state)))
    }

    /// The generator of a longer seed: as many bytes as it has state.
    pub fn from_bytes(seed: [u8; 32]) -> Self {
        let words = seed.as_chunks::<8>().0;
        let state: [u64; 4] = std::array::from_fn(|at| u64::from_le_bytes(words[at]));
        // From zeros alone nothing else comes.
        if state == [0; 4] { Self::new(0) } else { Self(state) }
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        let s = &mut self.0;
        let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// So many random bytes.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut out = [0; N];
        for chunk in out.chunks_mut(8) {
            let word = self.next_u64().to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
        out
    }

    /// A number in `0.0..1.0`.
    pub fn unit(&mut self) -> f64 {
        // 53 bits: the precision of an f64.
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Between half of the pause and the whole of it ("equal jitter": it never hits at once), so
    /// that those who met the same trouble do not act in step.
    pub fn jittered(&mut self, pause: Duration) -> Duration {
        pause.mul_f64(0.5 + self.unit() / 2.0)
    }

    /// A number below `bound`; zero if the bound is zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        // The high half of the product: the bias is below bound / 2^64.
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low).saturating_add(1))
    }

    /// True once in `of` times; never if that is zero.
    pub fn one_in(&mut self, of: u64) -> bool {
        of > 0 && self.below(of) == 0
    }

    /// One of these, if there is any.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        of.get(usize::try_from(self.below(of.len() as u64)).ok()?)
    }

    /// A generator of its own for one part: what that part draws does not shift what others draw.
    pub fn fork(&mut self) -> Self {
        Self::new(self.next_u64())
    }
}

/// Spreads a seed over the state (Steele, Lea and Flood's SplitMix64).
fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_numbers_are_those_of_the_published_algorithms() {
        let mut state = 0;
        assert_eq!(splitmix(&mut state), 0xe220_a839_7b1d_cdaf);
        let mut random = Random([1, 2, 3, 4]);
        assert_eq!([random.next_u64(), random.next_u64()], [41_943_041, 58_720_359]);
    }

    #[test]
    fn a_seed_gives_the_same_numbers_and_another_seed_others() {
        let first = |mut random: Random| [(); 8].map(|()| random.next_u64());
        assert_eq!(first(Random::new(7)), first(Random::new(7)));
        assert_ne!(first(Random::new(7)), first(Random::new(8)));
        assert_ne!(first(Random::from_bytes([7; 32])), first(Random::from_bytes([8; 32])));
        assert_ne!(first(Random::from_bytes([0; 32])), [0; 8]);
    }

    #[test]
    fn all_numbers_below_a_bound_come_and_no_others() {
        let mut random = Random::new(1);
        let mut seen = [0; 5];
        (0..1_000).for_each(|_| seen[random.below(5) as usize] += 1);
        assert!(seen.iter().all(|times| (120..280).contains(times)), "{seen:?}");
        assert_eq!(random.below(0), 0);
        assert!((0..100).all(|_| (3..=4).contains(&random.between(3, 4))));
        assert_eq!(random.pick::<u8>(&[]), None);
        assert!(!random.one_in(0) && random.one_in(1));
    }

    #[test]
    fn a_pause_is_at_least_half_of_itself_and_less_than_the_whole() {
        let (mut random, pause) = (Random::new(7), Duration::from_millis(100));
        let pauses: Vec<_> = (0..1_000).map(|_| random.jittered(pause)).collect();
        assert!(pauses.iter().all(|it| *it >= pause / 2 && *it < pause));
        assert!(pauses.iter().any(|it| *it != pauses[0]));
    }

    #[test]
    fn bytes_of_any_length_are_filled() {
        let mut random = Random::new(1);
        assert_ne!(random.bytes::<16>()[8..], [0; 8]);
        assert_eq!(random.bytes::<0>(), [0; 0]);
        assert_eq!(random.bytes::<3>().len(), 3);
    }
}
