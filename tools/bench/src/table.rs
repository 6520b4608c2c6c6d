//! Medians, and the form of numbers.

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
    let ratios: Vec<f64> = ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect();
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
}
