//! Numbers as JSON Schema compares them: `1` and `1.0` are one number.
//!
//! Two integers are compared to the digit. Others are compared as floats, which rounds: a number
//! that is just beyond a bound may count as equal to it, and never the other way round.

use std::cmp::Ordering;

use serde_json::Number;

/// The largest integer up to which a float has each of them: 2 to the power of 53.
const LARGEST: f64 = 9_007_199_254_740_992.0;

/// True for a number without a fraction.
pub fn is_whole(number: &Number) -> bool {
    whole(number).is_some() || number.as_f64().is_some_and(|number| number.fract() == 0.0)
}

/// The order of two numbers. None if it is not known.
pub fn compare(one: &Number, other: &Number) -> Option<Ordering> {
    match (whole(one), whole(other)) {
        (Some(one), Some(other)) => Some(one.cmp(&other)),
        _ => one.as_f64()?.partial_cmp(&other.as_f64()?),
    }
}

/// True if both are integers, so that [`compare`] does not round.
pub fn are_exact(one: &Number, other: &Number) -> bool {
    whole(one).is_some() && whole(other).is_some()
}

/// The integer, if it is known to the digit.
fn whole(number: &Number) -> Option<i128> {
    let integer = number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
    let float = || number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() <= LARGEST);
    integer.or_else(|| float().map(|float| float as i128))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn number(value: Value) -> Number {
        let Value::Number(number) = value else { panic!("{value}") };
        number
    }

    #[test]
    fn integers_are_compared_to_the_digit() {
        let (one, other) = (number(json!(u64::MAX)), number(json!(u64::MAX - 1)));
        assert_eq!(compare(&one, &other), Some(Ordering::Greater));
        assert!(are_exact(&one, &other));
        assert_eq!(compare(&number(json!(i64::MIN)), &one), Some(Ordering::Less));
    }

    #[test]
    fn a_float_without_a_fraction_is_whole() {
        assert!(is_whole(&number(json!(2.0))) && !is_whole(&number(json!(2.5))));
        assert_eq!(compare(&number(json!(2.0)), &number(json!(2))), Some(Ordering::Equal));
        assert!(are_exact(&number(json!(2.0)), &number(json!(2))));
        assert!(!are_exact(&number(json!(1e300)), &number(json!(2))));
    }
}
