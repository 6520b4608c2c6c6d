//! A check of any schema and any body ends.

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

/// Parts of a check that take long beside the number of schemas and values.
#[test]
fn no_step_takes_long() {
    let tower = |leaf: Value| {
        let mut definitions = serde_json::Map::new();
        for level in 0..20 {
            let next = json!({"$ref": format!("#/$defs/d{}", level + 1)});
            definitions.insert(format!("d{level}"), json!({"allOf": [next, next]}));
        }
        definitions.insert("d20".to_owned(), leaf);
        json!({"$ref": "#/$defs/d0", "$defs": definitions})
    };
    let members: serde_json::Map<_, _> = (0..50_000).map(|n| (format!("m{n}"), json!(1))).collect();
    assert_eq!(check(&tower(json!({"properties": {"a": true}})), &Value::Object(members)), Verdict::Unknown);
    let text = json!("a".repeat(900_000));
    assert_eq!(check(&tower(json!({"maxLength": 1_000_000})), &text), Verdict::Unknown);
    assert_eq!(check(&tower(json!({"const": "b".repeat(15_000)})), &json!(1)), Verdict::Unknown);
    let batch = vec![json!({"a": 1}); 1_000];
    let schema = Schema::of(&tower(json!({"properties": {"a": {"type": "integer"}}}))).unwrap();
    assert_eq!(schema.check_batch(&batch), Verdict::Unknown);
}
