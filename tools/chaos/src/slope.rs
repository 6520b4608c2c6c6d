//! A slope of a series, and how sure it is.
//!
//! The samples are cut into blocks of time, and of each only the median counts. Through the medians
//! goes the line of Theil and Sen (the median of the slopes of all pairs), whose limits of
//! confidence come from the distribution of Kendall's tau: P. K. Sen, "Estimates of the regression
//! coefficient based on Kendall's tau", 1968. Neither minds a few wild samples.

/// Quantile of the normal distribution: each limit is passed by chance once in 2,000, so that by
/// forty series one is once in fifty. The rest up to once in twenty is for blocks that are not
/// quite independent.
const Z: f64 = 3.3;
/// The fewest points that say something.
const FEWEST: usize = 6;

/// A sample: its time (hours), and its value.
pub type Sample = (f64, f64);

/// A slope per hour.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slope {
    /// The best guess.
    pub guess: f64,
    /// It is surely above this,
    pub low: f64,
    /// and below this.
    pub high: f64,
}

/// The slope through points in the order of time; none if there are too few.
pub fn slope(points: &[Sample]) -> Option<Slope> {
    let n = points.len();
    if n < FEWEST {
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

/// The medians in time and value of blocks so long; the last may be shorter.
pub fn medians(samples: &[Sample], length: f64) -> Vec<Sample> {
    let Some((begin, _)) = samples.first() else { return Vec::new() };
    let number = |sample: &Sample| ((sample.0 - begin) / length) as u64;
    let middle = |block: &[Sample]| {
        (
            median(block.iter().map(|sample| sample.0).collect()),
            median(block.iter().map(|sample| sample.1).collect()),
        )
    };
    samples.chunk_by(|one, other| number(one) == number(other)).map(middle).collect()
}

/// The middle one; NaN of none.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::{medians, slope};

    #[test]
    fn a_line_has_its_slope() {
        let line: Vec<_> = (0..60).map(|at| f64::from(at) / 60.0).map(|at| (at, 20.0 + 3.0 * at)).collect();
        let slope = slope(&line).unwrap();
        assert!((slope.guess - 3.0).abs() < 1e-6 && (slope.low - 3.0).abs() < 1e-6, "{slope:?}");
    }

    #[test]
    fn a_wild_sample_moves_no_median() {
        let samples: Vec<_> =
            (0..360).map(|at| (f64::from(at), if at % 30 == 7 { 90.0 } else { 20.0 })).collect();
        let medians = medians(&samples, 6.0);
        assert_eq!(medians.len(), 60);
        assert!(medians.iter().all(|point| point.1 == 20.0));
    }

    #[test]
    fn few_points_say_nothing() {
        assert_eq!(slope(&[(0.0, 1.0), (0.1, 2.0), (0.2, 3.0)]), None);
    }
}
