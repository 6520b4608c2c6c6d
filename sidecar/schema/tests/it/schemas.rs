//! Texts that are no schemas.

use serde_json::{Value, json};
use tpro_schema::{MAX_SCHEMA, Schema};

fn refused(schema: &Value) -> String {
    Schema::of(schema).unwrap_err().to_string()
}

#[test]
fn a_text_that_is_no_schema_is_refused_with_its_place() {
    for (schema, text) in [
        (json!("string"), "a schema is an object or a boolean"),
        (json!({"properties": {"a": 1}}), "a schema is an object or a boolean at /properties/a"),
        (
            json!({"items": {"type": "text"}}),
            "type at /items must be the name of a kind of JSON values, or an array of them",
        ),
        (json!({"required": [1]}), "required must be an array of texts"),
        (json!({"properties": []}), "properties must be an object"),
        (json!({"anyOf": {}}), "anyOf must be an array of schemas"),
        (json!({"minLength": -1}), "minLength must be a whole number from 0 on"),
        (json!({"maximum": "7"}), "maximum must be a number"),
        (json!({"enum": 1}), "enum must be an array"),
        (json!({"$ref": 1}), "$ref must be a text"),
        (json!({"default": "\u{0}"}), "a schema has no \\u0000, which jsonb cannot hold"),
    ] {
        assert_eq!(refused(&schema), text, "{schema}");
    }
}

#[test]
fn a_schema_has_a_bounded_size() {
    let large = json!({"description": "a".repeat(MAX_SCHEMA)});
    assert!(refused(&large).starts_with("a schema has at most 32768 bytes of JSON, not "));
    let many = Value::Array(vec![Value::Bool(true); 6_000]);
    assert_eq!(refused(&json!({"anyOf": many})), "a schema has at most 5000 schemas within it");
}

#[test]
fn places_take_bounded_memory() {
    let many: serde_json::Map<_, _> = (0..1_500).map(|n| (n.to_string(), json!(true))).collect();
    let long = json!({"properties": {"a".repeat(10_000): {"properties": many}}});
    assert_eq!(refused(&long), "a schema has at most 5000 schemas within it");
}
