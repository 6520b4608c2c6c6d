//! The bytes of requests and answers.

use serde_json::{Map, Value};

/// A request: a struct of two fields without tags, in their order; the keys of maps are sorted.
pub(super) fn request(headers: &Value, body: &Value) -> Vec<u8> {
    as_go(&format!(r#"{{"Headers":{},"Body":{}}}"#, sorted(headers), sorted(body)))
}

/// An answer: a map, so its keys are sorted.
pub(super) fn answer(member: (&str, Value), meta: &Value) -> Vec<u8> {
    let (name, value) = member;
    let mut members = [(name, sorted(&value)), ("meta", sorted(meta))];
    members.sort();
    let text: Vec<String> = members.iter().map(|(name, value)| format!(r#""{name}":{value}"#)).collect();
    as_go(&format!("{{{}}}", text.join(",")))
}

/// JSON text with sorted keys.
fn sorted(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let mut keys: Vec<&String> = members.keys().collect();
            keys.sort();
            let text =
                keys.iter().map(|key| format!("{}:{}", Value::from(key.as_str()), sorted(&members[*key])));
            format!("{{{}}}", text.collect::<Vec<_>>().join(","))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(sorted).collect::<Vec<_>>().join(",")),
        other => other.to_string(),
    }
}

/// Go writes three signs as escapes, which stand in strings only.
fn as_go(json: &str) -> Vec<u8> {
    json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026").into_bytes()
}

/// The headers and the body of a request.
pub(super) type Request = (Map<String, Value>, Value);

/// Reads a request. `Err` says where the program panics; `Ok(None)`: it logs
/// an error and drops the message.
pub(super) fn read_request(payload: &[u8]) -> Result<Option<Request>, String> {
    let Ok(Value::Object(mut members)) = serde_json::from_slice(payload) else { return Ok(None) };
    let body = members.remove("Body").unwrap_or(Value::Null);
    if !(body.is_object() || body.is_null()) {
        return Ok(None);
    }
    match members.remove("Headers") {
        Some(Value::Object(headers)) => Ok(Some((headers, body))),
        // An assignment to an entry in a nil map.
        None | Some(Value::Null) => Err("assignment to entry in nil map".to_owned()),
        Some(_) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_bytes_are_those_of_the_go_system() {
        let headers = json!({
            "trace-id": "5b1f0c2d3e4f5061:5b1f0c2d3e4f5061:0000000000000000:1", "mq_id": 1,
            "from_service": "main", "request": {"type": "single"}, "content-language": "ru-RU",
        });
        let body = json!({"login": "login342", "ip": "172.19.0.8", "password": "phnd26w"});
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        assert_eq!(
            text(request(&headers, &body)),
            r#"{"Headers":{"content-language":"ru-RU","from_service":"main","mq_id":1,"request":{"type":"single"},"trace-id":"5b1f0c2d3e4f5061:5b1f0c2d3e4f5061:0000000000000000:1"},"Body":{"ip":"172.19.0.8","login":"login342","password":"phnd26w"}}"#
        );
        let meta = json!({"mq_id": 1});
        assert_eq!(text(answer(("error", json!({})), &meta)), r#"{"error":{},"meta":{"mq_id":1}}"#);
        assert_eq!(
            text(answer(("result", json!("<a>")), &meta)),
            r#"{"meta":{"mq_id":1},"result":"\u003ca\u003e"}"#
        );
    }

    #[test]
    fn a_request_of_tpro_is_the_end_of_the_program() {
        let tpro =
            br#"{"jsonrpc":"2.0","id":"0198c2a4-7b1e-7cc3-98c4-dc0c0c07398f","method":"a.b","params":{}}"#;
        assert!(read_request(tpro).is_err());
        assert_eq!(read_request(br#""MQ==""#), Ok(None));
        assert_eq!(read_request(br#"{"Headers":{},"Body":[1]}"#), Ok(None));
    }
}
