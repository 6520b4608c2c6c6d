use proptest::prelude::*;
use serde_json::Value;
use tpro_wire::limits::MAX_DEPTH;
use tpro_wire::shape::Shape;

use crate::support::json;

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

#[test]
fn brackets_in_texts_do_not_count() {
    for (json, expected) in [
        ("1", 0),
        ("\"[[[\"", 0),
        ("{}", 1),
        (r#"["]", "\"[", "\\", []]"#, 2),
        (r#" {"[[": {"a\\\"[": 1}} "#, 2),
        ("[[],[],[[]]]", 3),
    ] {
        let shape = Shape::of(json);
        assert_eq!(shape, Shape { bytes: json.len(), depth: expected, structured: expected > 0 }, "{json}");
    }
}

#[test]
fn the_deepest_body_can_be_read_by_a_handler_and_a_deeper_one_cannot() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(Shape::of(&nested(MAX_DEPTH)).depth, MAX_DEPTH);
    assert!(serde_json::from_str::<Value>(&nested(MAX_DEPTH)).is_ok());
    assert!(serde_json::from_str::<Value>(&nested(MAX_DEPTH + 1)).is_err());
}

proptest! {
    #[test]
    fn depth_is_that_of_the_value(json in json()) {
        if let Ok(value) = serde_json::from_str::<Value>(&json) {
            let shape = Shape::of(&json);
            prop_assert_eq!(shape.depth, depth(&value));
            prop_assert_eq!(shape.structured, value.is_array() || value.is_object());
        }
    }

    #[test]
    fn any_text_is_measured_without_a_panic(text in any::<String>(), brackets in "[\\]\\[{}\"\\\\]{0,40}") {
        let _ = Shape::of(&text);
        let _ = Shape::of(&brackets);
    }
}
