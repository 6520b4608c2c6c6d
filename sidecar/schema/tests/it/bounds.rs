//! A check ends, whatever the schema and the body are.

use serde_json::{Value, json};
use tpro_schema::{Schema, Verdict};

fn check(schema: &Value, body: &Value) -> Verdict {
    Schema::of(schema).unwrap().check(body)
}

/// A body that is nested so deep, and has a text at its end.
fn nested(depth: usize) -> Value {
    (0..depth).fold(json!("end"), |inner, _| json!({"a": inner}))
}

#[test]
fn a_schema_that_refers_to_itself_ends() {
    assert_eq!(check(&json!({"$ref": "#"}), &json!(1)), Verdict::Unknown);
    assert_eq!(check(&json!({"allOf": [{"$ref": "#"}]}), &json!(1)), Verdict::Unknown);
    let two = json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}});
    assert_eq!(check(&two, &json!(1)), Verdict::Unknown);
}

#[test]
fn a_tree_is_followed_as_far_as_the_bound() {
    let tree = json!({"properties": {"a": {"$ref": "#"}}, "type": ["object", "string"]});
    assert_eq!(check(&tree, &nested(150)), Verdict::Fits);
    assert_eq!(check(&tree, &nested(2_000)), Verdict::Unknown);
    let whole = json!({"properties": {"a": {"$ref": "#"}}, "type": "object"});
    assert!(matches!(check(&whole, &nested(100)), Verdict::Misfits(_)));
}

#[test]
fn a_check_that_would_take_for_ever_is_given_up() {
    // Each level asks three times: 3 to the power of 100.
    let step = json!({"properties": {"a": {"$ref": "#"}}});
    let schema = json!({"anyOf": [
        {"allOf": [step, {"required": ["b"]}]},
        {"allOf": [step, {"required": ["c"]}]},
        {"allOf": [step, {"required": ["d"]}]}
    ]});
    assert_eq!(check(&schema, &nested(100)), Verdict::Unknown);
    let values: Vec<Value> = (0..5_000).map(|number| json!(number)).collect();
    let wide = json!({"items": {"enum": values}});
    assert_eq!(check(&wide, &Value::Array(vec![json!(-1); 10_000])), Verdict::Unknown);
}
