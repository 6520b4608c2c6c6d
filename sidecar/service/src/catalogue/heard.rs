//! The words of a service on NATS about its methods, by the Service API (ADR-32): for services of
//! other databases, and for those that know nothing of tpro.
//!
//! Anybody may say anything there. So what cannot be a method is left out, and the rest is noted as
//! heard, not as known.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};
use tpro_schema::Schema;
use tpro_wire::Target;

/// The longest name of a copy, and the longest release, in bytes.
const MAX_NAME: usize = 64;
/// The longest sentence about a method, in bytes.
const MAX_TEXT: usize = 500;
/// The most methods of a copy.
const MAX_METHODS: usize = 200;

/// The answer to `$SRV.INFO`, as far as it is read here.
#[derive(Deserialize)]
struct Info {
    id: String,
    version: String,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
    #[serde(default)]
    endpoints: Vec<Endpoint>,
}

#[derive(Deserialize)]
struct Endpoint {
    subject: String,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
}

/// The copies of an answer, as `tpro.heard` takes them: one for each service and space that the
/// subjects of its methods name.
pub(super) fn copies(answer: &[u8]) -> Vec<Value> {
    let Ok(info) = serde_json::from_slice::<Info>(answer) else { return Vec::new() };
    let release = info.metadata.get("tpro.release").unwrap_or(&info.version);
    if !is_plain(&info.id) || !is_plain(release) {
        return Vec::new();
    }
    let mut copies: BTreeMap<(String, String), BTreeMap<String, Value>> = BTreeMap::new();
    for endpoint in info.endpoints.into_iter().take(MAX_METHODS) {
        let Ok(target) = Target::parse(&endpoint.subject) else { continue };
        let service = (target.service().to_owned(), target.space().to_owned());
        copies
            .entry(service)
            .or_default()
            .insert(target.method().to_owned(), method(&target, &endpoint.metadata));
    }
    let copy = |((service, space), methods): ((String, String), BTreeMap<String, Value>)| {
        json!({
            "service_name": service,
            "space_name": space,
            "copy": info.id,
            "release": release,
            "methods": methods.into_values().collect::<Vec<_>>(),
        })
    };
    copies.into_iter().map(copy).collect()
}

/// True for a name that a terminal and `jsonb` can take.
fn is_plain(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len()) && !name.chars().any(char::is_control)
}

fn method(target: &Target, metadata: &BTreeMap<String, String>) -> Value {
    let schema = |key: &str| {
        let schema: Value = serde_json::from_str(metadata.get(key)?).ok()?;
        Schema::of(&schema).is_ok().then_some(schema)
    };
    let mode = metadata.get("tpro.way");
    json!({
        "entity": target.entity(),
        "method_name": target.method_name(),
        "mode": mode.filter(|mode| ["default", "transactional", "stateless"].contains(&mode.as_str())),
        "description": metadata.get("tpro.description").filter(|text| text.len() <= MAX_TEXT && !text.chars().any(char::is_control)),
        "body_schema": schema("tpro.body_schema"),
        "result_schema": schema("tpro.result_schema"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(answer: Value) -> Vec<Value> {
        copies(answer.to_string().as_bytes())
    }

    #[test]
    fn a_copy_is_read_with_its_methods_by_their_subjects() {
        let answer = json!({
            "type": "io.nats.micro.v1.info_response", "name": "any", "id": "ABC", "version": "1.2.3",
            "endpoints": [
                {"name": "a", "subject": "tpro.shop.item.price", "metadata": {
                    "tpro.way": "default", "tpro.description": "prices", "tpro.body_schema": "{\"type\": \"object\"}"}},
                {"name": "b", "subject": "tpro.shop.item.count", "metadata": {
                    "tpro.way": "odd", "tpro.body_schema": "{", "tpro.result_schema": "7"}},
                {"name": "c", "subject": "other.shop.item.price"},
                {"name": "d", "subject": "tpro.shop.>"},
                {"name": "e", "subject": "plain"}
            ]
        });
        let copies = heard(answer);
        assert_eq!(copies.len(), 2);
        assert_eq!((&copies[0]["space_name"], &copies[0]["release"]), (&json!("other"), &json!("1.2.3")));
        let shop = &copies[1];
        assert_eq!((&shop["service_name"], &shop["copy"]), (&json!("shop"), &json!("ABC")));
        let (count, price) = (&shop["methods"][0], &shop["methods"][1]);
        assert_eq!(price["body_schema"], json!({"type": "object"}));
        assert_eq!((&price["mode"], &price["description"]), (&json!("default"), &json!("prices")));
        for unknown in ["mode", "description", "body_schema", "result_schema"] {
            assert_eq!(count[unknown], Value::Null, "{unknown}");
        }
    }

    #[test]
    fn what_is_no_answer_is_nobody() {
        let endpoints = json!([{"subject": "tpro.a.b.c"}]);
        for (id, version) in [
            (json!(1), "1"),
            (json!(""), "1"),
            (json!("a\u{0}"), "1"),
            (json!("\u{1b}[2J"), "1"),
            (json!("a"), "\n"),
        ] {
            assert!(heard(json!({"id": id, "version": version, "endpoints": endpoints})).is_empty(), "{id}");
        }
        assert!(heard(json!(7)).is_empty() && heard(json!({})).is_empty());
        let endpoint = json!({"subject": "tpro.a.b.c", "metadata": {
            "tpro.description": "\u{1b}[2J", "tpro.body_schema": json!({"default": "\u{0}"}).to_string()}});
        let told = heard(json!({"id": "a", "version": "1", "endpoints": [endpoint]}));
        let method = &told[0]["methods"][0];
        assert_eq!((&method["description"], &method["body_schema"]), (&Value::Null, &Value::Null));
        let long = json!({"id": "a".repeat(65), "version": "1", "endpoints": [{"subject": "tpro.a.b.c"}]});
        assert!(heard(long).is_empty());
        assert!(copies(b"{").is_empty() && copies(&[0xff]).is_empty());
    }
}
