//! Equality as JSON Schema has it: numbers are equal by their values.

use std::cmp::Ordering;

use serde_json::Value;

use crate::number;

/// True if both are the same value.
pub fn are_equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => number::compare(one, other) == Some(Ordering::Equal),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| are_equal(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .all(|(name, value)| other.get(name).is_some_and(|other| are_equal(value, other)))
        }
        _ => one == other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_equal_by_their_values() {
        assert!(are_equal(&json!({"a": [1, 2.0]}), &json!({"a": [1.0, 2]})));
        assert!(!are_equal(&json!({"a": 1}), &json!({"a": 1, "b": 2})));
        assert!(!are_equal(&json!([1]), &json!([1, 1])) && !are_equal(&json!("1"), &json!(1)));
    }
}
