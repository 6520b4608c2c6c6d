use std::fmt;

use proptest::prelude::*;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use tpro_wire::limits::MAX_DEPTH;
use tpro_wire::shape::Shape;

use crate::support::json;

/// The depth of a JSON text by a real parser. (By way of a [`Value`], members of the same name would be one.)
struct Depth(usize);

impl<'de> Deserialize<'de> for Depth {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DepthVisitor).map(Self)
    }
}

struct DepthVisitor;

impl<'de> Visitor<'de> for DepthVisitor {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_unit<E>(self) -> Result<usize, E> {
        Ok(0)
    }

    fn visit_bool<E>(self, _: bool) -> Result<usize, E> {
        Ok(0)
    }

    fn visit_i64<E>(self, _: i64) -> Result<usize, E> {
        Ok(0)
    }

    fn visit_u64<E>(self, _: u64) -> Result<usize, E> {
        Ok(0)
    }

    fn visit_f64<E>(self, _: f64) -> Result<usize, E> {
        Ok(0)
    }

    fn visit_str<E>(self, _: &str) -> Result<usize, E> {
        Ok(0)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<usize, A::Error> {
        let mut deepest = 0;
        while let Some(Depth(depth)) = items.next_element()? {
            deepest = deepest.max(depth);
        }
        Ok(deepest + 1)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<usize, A::Error> {
        let mut deepest = 0;
        while let Some((IgnoredAny, Depth(depth))) = members.next_entry()? {
            deepest = deepest.max(depth);
        }
        Ok(deepest + 1)
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
    fn depth_is_what_a_parser_finds(json in json()) {
        if let Ok(Depth(depth)) = serde_json::from_str(&json) {
            let shape = Shape::of(&json);
            prop_assert_eq!(shape.depth, depth);
            prop_assert_eq!(shape.structured, depth > 0);
        }
    }

    #[test]
    fn any_text_is_measured_without_a_panic(text in any::<String>(), brackets in "[\\]\\[{}\"\\\\]{0,40}") {
        let _ = Shape::of(&text);
        let _ = Shape::of(&brackets);
    }
}
