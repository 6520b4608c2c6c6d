//! The moments at which messages come.

use std::time::Duration;

/// A pattern of arrivals.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Arrival {
    /// One message at a time, each so long after the reply of the last.
    Gap(Duration),
    /// So many a second at random moments, whether replies have come or not.
    Poisson(f64),
}

/// The gaps, in milliseconds.
const GAPS: [u64; 6] = [0, 1, 5, 20, 50, 200];
/// The rates, a second.
const RATES: [f64; 3] = [50.0, 500.0, 2_000.0];
/// The gaps up to which the slowest answers count: above it too few messages are sent.
pub const LONGEST_FOR_P99: Duration = Duration::from_millis(20);

impl Arrival {
    /// Each message right after the last reply.
    pub const AT_ONCE: Self = Self::Gap(Duration::ZERO);

    /// The patterns that are measured.
    pub fn all(quick: bool) -> Vec<Self> {
        let gaps = GAPS.into_iter().filter(|gap| !quick || [0, 20].contains(gap));
        let rates = RATES.into_iter().filter(|rate| !quick || *rate == 500.0);
        gaps.map(|ms| Self::Gap(Duration::from_millis(ms))).chain(rates.map(Self::Poisson)).collect()
    }

    /// The name in tables.
    pub fn name(self) -> String {
        match self {
            Self::Gap(Duration::ZERO) => "at once".to_owned(),
            Self::Gap(gap) => format!("after {} ms", gap.as_millis()),
            Self::Poisson(rate) => format!("Poisson, {rate}/s"),
        }
    }

    /// The messages of a round.
    pub fn messages(self, quick: bool) -> usize {
        match self {
            Self::Gap(gap) if quick => {
                if gap.is_zero() {
                    100
                } else {
                    50
                }
            }
            Self::Gap(gap) if gap <= LONGEST_FOR_P99 => 400,
            Self::Gap(gap) if gap.as_millis() <= 50 => 80,
            Self::Gap(_) => 30,
            // A second, and at a low rate as long as it takes for some hundreds.
            Self::Poisson(rate) => (rate as usize).max(200),
        }
    }

    /// True if the slowest answers are judged.
    pub fn has_p99(self) -> bool {
        match self {
            Self::Gap(gap) => gap <= LONGEST_FOR_P99,
            Self::Poisson(_) => true,
        }
    }
}

/// The moments of a Poisson process, from its start; equal seeds give equal moments.
pub fn moments(rate: f64, messages: usize, seed: u64) -> Vec<Duration> {
    let mut state = seed;
    let mut at = 0.0;
    let gaps = std::iter::repeat_with(|| {
        // The mean of the negative logarithm of a number between 0 and 1 is 1.
        -(1.0 - fraction(&mut state)).ln() / rate
    });
    gaps.take(messages)
        .map(|gap| {
            at += gap;
            Duration::from_secs_f64(at)
        })
        .collect()
}

/// A number from 0 to below 1, by SplitMix64.
fn fraction(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_poisson_process_has_its_rate_and_is_the_same_again() {
        let all = moments(500.0, 50_000, 7);
        assert_eq!(all, moments(500.0, 50_000, 7));
        assert!(all.is_sorted());
        let seconds = all.last().expect("there are moments").as_secs_f64();
        assert!((95.0..105.0).contains(&seconds), "{seconds}");
        // Of exponential gaps the share of those below their mean is 1 - 1/e.
        let short = all.windows(2).filter(|pair| pair[1] - pair[0] < Duration::from_millis(2)).count();
        assert!((0.62..0.65).contains(&(short as f64 / 50_000.0)), "{short}");
    }
}
