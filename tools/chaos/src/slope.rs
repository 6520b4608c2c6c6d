//! Does a series of samples grow? A slope and how sure it is.
//!
//! The samples are cut into blocks of time, and of each only the median counts: memory moves in steps and jumps back, and
//! samples that follow each other say the same thing twice. Through the medians goes the line of Theil and Sen (the median
//! of the slopes of all pairs), whose limits of confidence come from the distribution of Kendall's tau: P. K. Sen,
//! "Estimates of the regression coefficient based on Kendall's tau", 1968. Neither minds a few wild samples.

/// Blocks of time.
const BLOCKS: usize = 24;
/// Quantile of the normal distribution for 95 % between the limits.
const Z: f64 = 1.96;

/// A sample: when (hours), and what.
pub type Sample = (f64, f64);

/// A slope per hour.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slope {
    /// The best guess.
    pub guess: f64,
    /// With 95 % confidence it is above this,
    pub low: f64,
    /// and below this.
    pub high: f64,
}

/// The slope of samples in the order of time; none if there are too few.
pub fn slope(samples: &[Sample]) -> Option<Slope> {
    let points = medians(samples);
    let n = points.len();
    if n < 6 {
        return None;
    }
    let mut slopes = Vec::with_capacity(n * (n - 1) / 2);
    for (at, (x, y)) in points.iter().enumerate() {
        slopes.extend(points[at + 1..].iter().map(|(later, other)| (other - y) / (later - x)));
    }
    slopes.sort_by(f64::total_cmp);
    let count = slopes.len() as f64;
    let n = n as f64;
    let spread = Z * (n * (n - 1.0) * (2.0 * n + 5.0) / 18.0).sqrt();
    let at = |place: f64| slopes[(place.max(0.0) as usize).min(slopes.len() - 1)];
    Some(Slope { guess: at(count / 2.0), low: at((count - spread) / 2.0), high: at((count + spread) / 2.0) })
}

/// The median in time and value of each block.
fn medians(samples: &[Sample]) -> Vec<Sample> {
    let median = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let size = samples.len().div_ceil(BLOCKS).max(1);
    let block = |block: &[Sample]| {
        (
            median(block.iter().map(|sample| sample.0).collect()),
            median(block.iter().map(|sample| sample.1).collect()),
        )
    };
    samples.chunks(size).map(block).collect()
}

#[cfg(test)]
mod tests {
    use super::slope;
    use crate::random::Random;

    /// An hour of samples every ten seconds.
    fn hour(value: impl FnMut(f64) -> f64) -> Vec<(f64, f64)> {
        let mut value = value;
        (0..360).map(|at| f64::from(at) / 360.0).map(|at| (at, value(at))).collect()
    }

    #[test]
    fn a_line_has_its_slope() {
        let slope = slope(&hour(|at| 20.0 + 3.0 * at)).unwrap();
        assert!((slope.guess - 3.0).abs() < 1e-6 && (slope.low - 3.0).abs() < 1e-6, "{slope:?}");
    }

    #[test]
    fn noise_and_a_few_wild_samples_are_no_growth() {
        for seed in 0..50 {
            let mut random = Random::part(seed, 1);
            let slope = slope(&hour(|_| {
                let wild = if random.one_in(30) { 40.0 } else { 0.0 };
                20.0 + wild + random.between(0, 1000) as f64 / 1000.0
            }));
            assert!(slope.unwrap().low < 1.0, "seed {seed}: {slope:?}");
        }
    }

    #[test]
    fn growth_within_noise_is_found() {
        for seed in 0..50 {
            let mut random = Random::part(seed, 2);
            let slope = slope(&hour(|at| 20.0 + 4.0 * at + random.between(0, 1000) as f64 / 1000.0));
            assert!(slope.unwrap().low > 1.0, "seed {seed}: {slope:?}");
        }
    }

    #[test]
    fn few_samples_say_nothing() {
        assert_eq!(slope(&[(0.0, 1.0), (0.1, 2.0), (0.2, 3.0)]), None);
    }
}
