//! The check beside a complete validator: it refuses nothing that this one takes, and what both
//! know it judges in the same way.

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use tpro_schema::{Schema, Verdict};

/// Any value, of few texts and numbers, so that schemas and bodies meet.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3i64..4).prop_map(Value::from),
        prop_oneof![Just(0.5), Just(1.0), Just(-2.0), Just(1e300)].prop_map(Value::from),
        prop_oneof![Just(u64::MAX), Just(1 << 53)].prop_map(Value::from),
        "[ab]{0,3}|é".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[abc]", inner, 0..3)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

const KINDS: &[&str] = &["null", "boolean", "integer", "number", "string", "array", "object"];

fn kind() -> impl Strategy<Value = Value> {
    let one = prop::sample::select(KINDS).prop_map(Value::from);
    prop_oneof![one, prop::sample::subsequence(KINDS, 1..4).prop_map(|names| json!(names))]
}

/// A keyword with its value. `inner` makes the schemas within it.
fn keyword(inner: impl Strategy<Value = Value> + Clone + 'static) -> BoxedStrategy<(String, Value)> {
    let of = |name: &'static str, value: BoxedStrategy<Value>| {
        value.prop_map(move |value| (name.to_owned(), value)).boxed()
    };
    let number = || (-2i64..3).prop_map(Value::from).boxed();
    let size = || (0u64..3).prop_map(Value::from).boxed();
    let list = || prop::collection::vec(inner.clone(), 1..4).prop_map(Value::from).boxed();
    let named = || {
        prop::collection::btree_map("[abc]", inner.clone(), 0..3)
            .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>()))
            .boxed()
    };
    prop_oneof![
        3 => of("type", kind().boxed()),
        1 => of("enum", prop::collection::vec(value(), 1..3).prop_map(Value::from).boxed()),
        1 => of("const", value().boxed()),
        3 => of("properties", named()),
        1 => of("required", prop::collection::btree_set("[abc]", 0..3).prop_map(|names| json!(names)).boxed()),
        2 => of("additionalProperties", inner.clone().boxed()),
        1 => of("patternProperties", named()),
        2 => of("items", inner.clone().boxed()),
        1 => of("prefixItems", list()),
        2 => of("anyOf", list()),
        1 => of("oneOf", list()),
        1 => of("allOf", list()),
        1 => of("not", inner.clone().boxed()),
        1 => of("$ref", prop::sample::select(vec!["#/$defs/d", "#/$defs/e"]).prop_map(Value::from).boxed()),
        1 => of("minimum", number()),
        1 => of("maximum", number()),
        1 => of("exclusiveMinimum", number()),
        1 => of("exclusiveMaximum", number()),
        1 => of("minLength", size()),
        1 => of("maxLength", size()),
        1 => of("minItems", size()),
        1 => of("maxItems", size()),
        1 => of("minProperties", size()),
        1 => of("maxProperties", size()),
    ]
    .boxed()
}

fn schema() -> impl Strategy<Value = Value> {
    let leaf =
        prop_oneof![any::<bool>().prop_map(Value::from), kind().prop_map(|kind| json!({"type": kind}))];
    leaf.prop_recursive(3, 20, 4, |inner| {
        prop::collection::vec(keyword(inner), 0..4)
            .prop_map(|keywords| Value::Object(keywords.into_iter().collect()))
    })
}

/// A schema with definitions that its references lead to. These refer to nothing, so that no check
/// goes round for ever.
fn document() -> impl Strategy<Value = Value> {
    (schema(), kind(), kind()).prop_map(|(schema, one, other)| {
        let definitions = json!({"d": {"type": one}, "e": {"items": {"type": other}}});
        match schema {
            Value::Object(mut keywords) => {
                keywords.insert("$defs".to_owned(), definitions);
                Value::Object(keywords)
            }
            other => other,
        }
    })
}

/// True if nothing in the schema is read in a milder way here.
fn is_known_whole(schema: &Value) -> bool {
    let text = schema.to_string();
    !["\"not\"", "\"oneOf\"", "\"patternProperties\""].iter().any(|keyword| text.contains(keyword))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn what_a_complete_validator_takes_is_never_refused(schema in document(), bodies in prop::collection::vec(value(), 4)) {
        let ours = Schema::of(&schema).unwrap();
        let complete = jsonschema::draft202012::new(&schema).unwrap();
        for body in bodies {
            let verdict = ours.check(&body);
            if complete.is_valid(&body) {
                prop_assert!(!matches!(verdict, Verdict::Misfits(_)), "{schema} {body}: {verdict:?}");
            } else if is_known_whole(&schema) {
                prop_assert!(verdict != Verdict::Fits, "{schema} {body} fits");
            }
        }
    }
}
