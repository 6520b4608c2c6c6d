//! Bodies that fit, and the words for others.

use serde_json::{Value, json};
use tpro_schema::{Schema, Verdict};

/// The problems, each as `path: text`.
fn problems(schema: &Value, body: &Value) -> Vec<String> {
    match Schema::of(schema).unwrap().check(body) {
        Verdict::Fits => Vec::new(),
        Verdict::Misfits(problems) => {
            problems.into_iter().map(|problem| format!("{}: {}", problem.path, problem.text)).collect()
        }
        Verdict::Unknown => vec!["unknown".to_owned()],
    }
}

/// As schemars makes it of a struct with an optional struct, a list of enums and a map.
fn login() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Login",
        "type": "object",
        "properties": {
            "login": {"type": "string", "minLength": 1, "maxLength": 5},
            "age": {"type": ["integer", "null"], "format": "uint8", "minimum": 0, "maximum": 255},
            "weight": {"type": "number", "exclusiveMinimum": 0},
            "tags": {"type": "array", "items": {"$ref": "#/$defs/Tag"}, "maxItems": 3},
            "address": {"anyOf": [{"$ref": "#/$defs/Address"}, {"type": "null"}]},
            "prices": {"type": "object", "additionalProperties": {"type": "integer"}}
        },
        "required": ["login"],
        "additionalProperties": false,
        "$defs": {
            "Tag": {"oneOf": [
                {"type": "string", "const": "red"},
                {"type": "string", "const": "blue"}
            ]},
            "Address": {
                "type": "object",
                "properties": {"street": {"type": "string"}, "number": {"type": "integer"}},
                "required": ["street", "number"]
            }
        }
    })
}

#[test]
fn a_body_that_fits_has_no_problems() {
    for body in [
        json!({"login": "ann"}),
        json!({"login": "ann", "age": null, "weight": 0.5, "tags": [], "address": null}),
        json!({"login": "ünïcö", "age": 255, "tags": ["red", "blue", "red"], "prices": {"any name": 7}}),
        json!({"login": "ann", "age": 7.0, "address": {"street": "x", "number": 1, "more": true}}),
    ] {
        assert_eq!(problems(&login(), &body), Vec::<String>::new(), "{body}");
    }
}

#[test]
fn each_problem_names_its_place_and_never_its_value() {
    for (body, expected) in [
        (json!("canary"), ": must be an object"),
        (json!({}), "login: is missing"),
        (json!({"login": 7_777}), "login: must be a string"),
        (json!({"login": ""}), "login: must have at least 1 characters"),
        (json!({"login": "canary"}), "login: must have at most 5 characters"),
        (json!({"login": "a", "shoe": "canary"}), "shoe: is unknown"),
        (json!({"login": "a", "the canary's": 1}), "?: is unknown"),
        (json!({"login": "a", "age": "canary"}), "age: must be an integer or null"),
        (json!({"login": "a", "age": 7_777}), "age: must be at most 255"),
        (json!({"login": "a", "age": -7_777}), "age: must be at least 0"),
        (json!({"login": "a", "weight": 0}), "weight: must be greater than 0"),
        (json!({"login": "a", "tags": ["red", "canary"]}), r#"tags[1]: must be "red" or "blue""#),
        (json!({"login": "a", "tags": ["red", "red", "red", "red"]}), "tags: must have at most 3 elements"),
        (json!({"login": "a", "address": {"street": "canary"}}), "address.number: is missing"),
        (json!({"login": "a", "address": "canary"}), "address: must be an object or null"),
        (json!({"login": "a", "prices": {"canary, 7777": "canary"}}), "?: must be an integer"),
    ] {
        let found = problems(&login(), &body);
        assert_eq!(found, [expected], "{body}");
        let told = found.concat();
        assert!(!told.contains("canary") && !told.contains("7777"), "{body}: {told}");
    }
}

#[test]
fn all_problems_are_told_at_once_up_to_a_bound() {
    let found = problems(&login(), &json!({"age": "x", "weight": "x", "tags": "x"}));
    assert_eq!(found.len(), 4, "{found:?}");
    let many = Value::Array(vec![json!("x"); 1_000]);
    let found = problems(&json!({"items": {"type": "integer"}}), &many);
    assert_eq!(found.len(), tpro_schema::MAX_PROBLEMS);
}

#[test]
fn forms_that_the_check_knows_are_held() {
    for (schema, body, expected) in [
        (json!(false), json!(1), ": is not permitted"),
        (json!({"const": {"a": 1}}), json!({"a": 2}), r#": must be {"a":1}"#),
        // Each of the two holds beside the other.
        (json!({"enum": [1, 2], "const": 3}), json!(3), ": must be one of 1, 2"),
        (json!({"enum": [1, 2], "const": 2}), json!(1), ": must be 2"),
        (json!({"enum": [1, 2, 3]}), json!(4), ": must be one of 1, 2, 3"),
        (json!({"allOf": [{"required": ["a"]}, {"required": ["b"]}]}), json!({"a": 1}), "b: is missing"),
        (
            json!({"anyOf": [{"required": ["a"]}, {"required": ["b"]}]}),
            json!({"c": 1}),
            ": fits none of its 2 forms",
        ),
        (
            json!({"prefixItems": [{"type": "string"}], "items": false}),
            json!(["a", 1]),
            "[1]: is not permitted",
        ),
        (json!({"items": [{"type": "string"}]}), json!([1]), "[0]: must be a string"),
        (json!({"minProperties": 2}), json!({"a": 1}), ": must have at least 2 members"),
        (json!({"exclusiveMaximum": 3}), json!(3), ": must be less than 3"),
        (
            json!({"type": "object", "properties": {"a/b": {"$ref": "#/properties/c"}, "c": {"type": "null"}}}),
            json!({"a/b": 1}),
            "?: must be null",
        ),
    ] {
        assert_eq!(problems(&schema, &body), [expected], "{schema} {body}");
    }
}

#[test]
fn a_form_that_the_check_does_not_know_permits_everything() {
    for (schema, body) in [
        (json!({"not": {}}), json!(1)),
        (json!({"pattern": "^a$"}), json!("b")),
        (json!({"format": "email"}), json!("b")),
        (json!({"if": true, "then": false}), json!(1)),
        (json!({"oneOf": [true, true]}), json!(1)),
        (json!({"$ref": "https://example.org/other.json"}), json!(1)),
        (json!({"$ref": "#/nowhere"}), json!(1)),
        (json!({"$ref": "#anchor"}), json!(1)),
        (json!({"patternProperties": {"^a": true}, "additionalProperties": false}), json!({"ab": 1})),
        // An `$id` within gives references another base.
        (
            json!({"properties": {"a": {"$id": "x", "$ref": "#/$defs/n"}}, "$defs": {"n": false}}),
            json!({"a": 1}),
        ),
        // In draft 7 nothing beside a reference counts.
        (
            json!({"$schema": "http://json-schema.org/draft-07/schema#", "$ref": "#/definitions/a", "type": "null",
                   "definitions": {"a": true}}),
            json!(1),
        ),
    ] {
        assert_eq!(problems(&schema, &body), Vec::<String>::new(), "{schema} {body}");
    }
}

#[test]
fn members_may_come_by_position_at_any_depth() {
    let schema = Schema::of(&login()).unwrap();
    assert_eq!(schema.check(&json!(["ann", 7])), Verdict::Unknown);
    assert_eq!(schema.check(&json!({"login": "a", "address": ["street", 7]})), Verdict::Unknown);
    let list = Schema::of(&json!({"type": "array", "items": {"type": "integer"}})).unwrap();
    assert!(matches!(list.check(&json!(["ann"])), Verdict::Misfits(_)));
}

#[test]
fn a_batch_is_checked_to_its_first_body_that_does_not_fit() {
    let schema = Schema::of(&login()).unwrap();
    assert_eq!(schema.check_batch(&[json!({"login": "a"}), json!({"login": "b"})]), Verdict::Fits);
    let verdict = schema.check_batch(&[json!({"login": "a"}), json!({"login": 7}), json!({})]);
    let Verdict::Misfits(problems) = verdict else { panic!("{verdict:?}") };
    assert_eq!(problems[0].path, "[1].login");
    assert_eq!(problems.len(), 1);
}
