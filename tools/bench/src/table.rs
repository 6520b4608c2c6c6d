//! Medians, quantiles and intervals, and the form of numbers.

/// The chance that the interval of a median misses it.
const MISS: f64 = 0.05;

/// A median and the interval that holds it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The median of the values.
    pub median: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// The median; of nothing, nothing.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match (sorted.len(), sorted.len() / 2) {
        (0, _) => f64::NAN,
        (n, half) if n % 2 == 1 => sorted[half],
        (_, half) => f64::midpoint(sorted[half - 1], sorted[half]),
    }
}

/// The value that this share of the values does not exceed; of nothing, nothing.
pub fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied().unwrap_or(f64::NAN)
}

/// The median of the values, with the interval of their order statistics that holds the true
/// median in 19 of 20 cases. Fewer than six values have none, and their range stands for it.
pub fn interval(values: &[f64]) -> Interval {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    // The chance that at most `below` of n values lie below the median, by the binomial.
    let (mut below, mut one, mut sum) = (0, 0.5_f64.powi(i32::try_from(n).unwrap_or(i32::MAX)), 0.0);
    while below < n {
        sum += one;
        if 2.0 * sum > MISS {
            break;
        }
        one *= (n - below) as f64 / (below + 1) as f64;
        below += 1;
    }
    let at = below.max(1) - 1;
    let end = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
    Interval { median: median(values), low: end(at), high: end(n.saturating_sub(1 + at)) }
}

/// A single value as an interval.
pub fn flat(value: f64) -> Interval {
    Interval { median: value, low: value, high: value }
}

/// The ratios of pairs that were measured one after the other.
pub fn ratios(ours: &[f64], theirs: &[f64]) -> Vec<f64> {
    ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect()
}

/// The smallest and the largest.
pub fn range(values: &[f64]) -> (f64, f64) {
    values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &v| (low.min(v), high.max(v)))
}

/// `12,345`.
pub fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The ratios of pairs that were measured one after the other: their median with its range, and
/// whether the goal is reached.
pub fn ratio(ours: &[f64], theirs: &[f64], goal: f64) -> String {
    let ratios = ratios(ours, theirs);
    let (low, high) = range(&ratios);
    let median = median(&ratios);
    let reached = if median >= goal { "reached" } else { "NOT reached" };
    format!("{median:>5.2}  ({low:.2} to {high:.2}; goal {goal}: {reached})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_thousands_are_right() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(thousands(1_234_567.4), "1,234,567");
        assert_eq!(thousands(999.0), "999");
        assert!(
            ratio(&[9.0, 8.0], &[10.0, 10.0], 0.9).starts_with(" 0.85  (0.80 to 0.90; goal 0.9: NOT reached")
        );
    }

    #[test]
    fn quantiles_are_values_that_were_measured() {
        let hundred: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(quantile(&hundred, 0.5), 50.0);
        assert_eq!(quantile(&hundred, 0.99), 99.0);
        assert_eq!(quantile(&hundred, 1.0), 100.0);
        assert_eq!(quantile(&[7.0], 0.01), 7.0);
        assert!(quantile(&[], 0.5).is_nan());
    }

    #[test]
    fn the_interval_of_a_median_is_that_of_the_tables() {
        let to = |n: u32| (1..=n).map(f64::from).collect::<Vec<_>>();
        let ends = |n| (interval(&to(n)).low, interval(&to(n)).high);
        // Of the sign test at 5 %: too few values have their range.
        assert_eq!(ends(1), (1.0, 1.0));
        assert_eq!(ends(5), (1.0, 5.0));
        assert_eq!(ends(6), (1.0, 6.0));
        assert_eq!(ends(9), (2.0, 8.0));
        assert_eq!(ends(15), (4.0, 12.0));
        assert_eq!(ends(31), (10.0, 22.0));
        assert!(interval(&[]).median.is_nan());
    }
}
