//! The kinds of JSON values that a schema names with `type`.

use serde_json::Value;

use crate::number;

/// The kinds, with the words for them in a sentence.
const KINDS: [(&str, &str); 7] = [
    ("null", "null"),
    ("boolean", "a boolean"),
    ("integer", "an integer"),
    ("number", "a number"),
    ("string", "a string"),
    ("array", "an array"),
    ("object", "an object"),
];

/// A set of kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kinds(u8);

impl Kinds {
    /// The kinds of a `type`. None if one of them is unknown.
    pub fn of(value: &Value) -> Option<Self> {
        let bit = |name: &Value| {
            let place = KINDS.iter().position(|(kind, _)| Some(*kind) == name.as_str())?;
            Some(1u8 << place)
        };
        match value {
            Value::Array(names) => names.iter().map(bit).try_fold(0, |all, bit| Some(all | bit?)).map(Self),
            name => bit(name).map(Self),
        }
    }

    /// True if the value is of one of these kinds.
    pub fn has(self, value: &Value) -> bool {
        let bits: u8 = match value {
            Value::Null => 1,
            Value::Bool(_) => 1 << 1,
            Value::Number(number) if number::is_whole(number) => (1 << 2) | (1 << 3),
            Value::Number(_) => 1 << 3,
            Value::String(_) => 1 << 4,
            Value::Array(_) => 1 << 5,
            Value::Object(_) => 1 << 6,
        };
        self.0 & bits != 0
    }

    /// True if objects are among these kinds.
    pub fn has_objects(self) -> bool {
        self.0 & (1 << 6) != 0
    }

    /// The kinds in a sentence: `an integer or null`.
    pub fn words(self) -> String {
        let words = KINDS.iter().enumerate().filter(|(place, _)| self.0 & (1 << place) != 0);
        let mut words: Vec<&str> = words.map(|(_, (_, word))| *word).collect();
        // Null comes last, as people say it.
        if words.first() == Some(&"null") {
            words.rotate_left(1);
        }
        words.join(" or ")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_has_its_kinds() {
        let kinds = |value: Value| Kinds::of(&value).unwrap();
        assert!(kinds(json!("integer")).has(&json!(1)) && kinds(json!("integer")).has(&json!(1.0)));
        assert!(!kinds(json!("integer")).has(&json!(1.5)) && kinds(json!("number")).has(&json!(1.5)));
        assert!(kinds(json!(["string", "null"])).has(&json!(null)));
        assert!(!kinds(json!(["string", "null"])).has(&json!([])));
        assert!(Kinds::of(&json!("text")).is_none() && Kinds::of(&json!(["string", 7])).is_none());
    }

    #[test]
    fn kinds_are_named_in_a_sentence() {
        let words = |value: Value| Kinds::of(&value).unwrap().words();
        assert_eq!(words(json!("object")), "an object");
        assert_eq!(words(json!(["null", "integer"])), "an integer or null");
    }
}
