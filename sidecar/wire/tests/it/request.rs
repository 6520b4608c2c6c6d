use proptest::prelude::*;
use serde_json::{Value, json};
use tpro_wire::envelope::{Request, RequestId, failure, request, success};
use tpro_wire::error::{RpcError, code};

use crate::support::{json, mutated, params, target, uid};

fn refused(payload: &str) -> i64 {
    Request::parse(payload.as_bytes()).expect_err(payload).code
}

#[test]
fn a_request_is_written_as_the_specification_has_it() {
    let uid = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f".parse().unwrap();
    assert_eq!(
        String::from_utf8(request(&uid, "example.simple", r#"{"ip": "172.19.0.8"}"#)).unwrap(),
        r#"{"jsonrpc":"2.0","id":"017f22e2-79b0-7cc3-98c4-dc0c0c07398f","method":"example.simple","params":{"ip": "172.19.0.8"}}"#
    );
    let without = request(&uid, "example.simple", "");
    assert_eq!(Request::parse(&without).unwrap().params.get(), "{}");
}

#[test]
fn a_payload_takes_one_allocation_of_its_size() {
    let uid = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f".parse().unwrap();
    let payload = request(&uid, "example.simple", r#"{"a":1}"#);
    assert_eq!(payload.len(), payload.capacity());
    let payload = success(&uid.into(), "[1]");
    assert_eq!(payload.len(), payload.capacity());
    let payload = failure(None, &RpcError::new(1, "no"));
    assert_eq!(payload.len(), payload.capacity());
}

#[test]
fn the_examples_of_the_specification_are_read() {
    // JSON-RPC 2.0, section 7.
    let positional = br#"{"jsonrpc": "2.0", "method": "subtract", "params": [42, 23], "id": 1}"#;
    let request = Request::parse(positional).unwrap();
    assert_eq!(request.method, "subtract");
    assert_eq!(request.params.get(), "[42, 23]");
    assert_eq!(request.id.unwrap().to_string(), "1");

    let named =
        br#"{"jsonrpc": "2.0", "method": "subtract", "params": {"subtrahend": 23, "minuend": 42}, "id": 3}"#;
    assert_eq!(Request::parse(named).unwrap().params.get(), r#"{"subtrahend": 23, "minuend": 42}"#);

    assert!(
        Request::parse(br#"{"jsonrpc": "2.0", "method": "update", "params": [1,2,3,4,5]}"#)
            .unwrap()
            .id
            .is_none()
    );
    assert!(Request::parse(br#"{"jsonrpc": "2.0", "method": "foobar"}"#).unwrap().id.is_none());

    assert_eq!(refused(r#"{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]"#), code::PARSE);
    assert_eq!(refused(r#"{"jsonrpc": "2.0", "method": 1, "params": "bar"}"#), code::INVALID_REQUEST);
    assert_eq!(refused("[]"), code::INVALID_REQUEST);
    assert_eq!(refused("[1]"), code::INVALID_REQUEST);
    assert_eq!(
        refused(
            r#"[{"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"}, {"jsonrpc": "2.0", "method""#
        ),
        code::PARSE
    );
}

#[test]
fn what_is_not_json_is_a_parse_error() {
    for payload in [
        "",
        " ",
        "{",
        "}",
        "nope",
        "{\"jsonrpc\":\"2.0\",}",
        "{'jsonrpc':'2.0'}",
        "{} {}",
        "\u{feff}{}",
        r#"{"jsonrpc":"2.0","method":"m","params":{"a":01}}"#,
        r#"{"jsonrpc":"2.0","method":"m","params":{"a":NaN}}"#,
        r#"{"jsonrpc":"2.0","method":"m","params":["\x"]}"#,
        "{\"jsonrpc\":\"2.0\",\"method\":\"m\",\"params\":[\"\n\"]}",
        // A wrong member first, the broken syntax after it.
        r#"{"jsonrpc":1,"method":"m","params":[}"#,
        r#"{"jsonrpc":"2.0","jsonrpc":"2.0","method":"m","params":["#,
    ] {
        assert_eq!(refused(payload), code::PARSE, "{payload:?}");
    }
    let not_utf8 = b"{\"jsonrpc\":\"2.0\",\"method\":\"m\",\"params\":[\"\xff\"]}";
    assert_eq!(Request::parse(not_utf8).unwrap_err().code, code::PARSE);
    let not_utf8_where_nobody_looks = b"{\"jsonrpc\":\"2.0\",\"method\":\"m\",\"other\":[\"\xff\"]}";
    assert_eq!(Request::parse(not_utf8_where_nobody_looks).unwrap_err().code, code::PARSE);
}

#[test]
fn json_that_is_no_request_is_an_invalid_request() {
    for payload in [
        "null",
        "1",
        "\"text\"",
        "{}",
        r#"["2.0","id","method",{}]"#,
        r#"{"method":"m","id":1}"#,
        r#"{"jsonrpc":"2.0","id":1}"#,
        r#"{"jsonrpc":"1.0","method":"m","id":1}"#,
        r#"{"jsonrpc":2.0,"method":"m","id":1}"#,
        r#"{"jsonrpc":null,"method":"m","id":1}"#,
        r#"{"jsonrpc":"2.0","method":null,"id":1}"#,
        r#"{"jsonrpc":"2.0","method":["m"],"id":1}"#,
        r#"{"jsonrpc":"2.0","method":"m","id":{}}"#,
        r#"{"jsonrpc":"2.0","method":"m","id":[1]}"#,
        r#"{"jsonrpc":"2.0","method":"m","id":true}"#,
        r#"{"jsonrpc":"2.0","method":"m","id":1,"params":null}"#,
        r#"{"jsonrpc":"2.0","method":"m","id":1,"params":"text"}"#,
        r#"{"jsonrpc":"2.0","method":"m","id":1,"params":7}"#,
        r#"{"jsonrpc":"2.0","method":"m","id":1,"id":1}"#,
        r#"{"jsonrpc":"2.0","method":"m","method":"n","id":1}"#,
        r#"{"jsonrpc":"2.0","method":"m","params":{},"id":1,"params":{}}"#,
        r#"{"jsonrpc":"2.0","method":"m","params":{},"id":1,"p\u0061rams":{}}"#,
        r#"{"jsonrpc":"2.0","JSONRPC":"2.0","Method":"m","id":1}"#,
    ] {
        assert_eq!(refused(payload), code::INVALID_REQUEST, "{payload}");
    }
}

#[test]
fn an_id_is_text_a_number_or_null_and_comes_back_as_it_was() {
    for id in [
        "\"\"",
        "\"a\"",
        r#""\u0061\"\\""#,
        "\"017f22e2-79b0-7cc3-98c4-dc0c0c07398f\"",
        "\"017F22E2-79B0-7CC3-98C4-DC0C0C07398F\"",
        "\"919108f7-52d1-4320-9bac-f847db4148a8\"",
        "0",
        "-1",
        "1.50",
        "1e400",
        "123456789012345678901234567890",
        "null",
    ] {
        let payload = format!(r#"{{"jsonrpc":"2.0","method":"m","id": {id} }}"#);
        let read = Request::parse(payload.as_bytes()).unwrap().id.expect("no notification");
        assert_eq!(read.to_string(), id);
        assert_eq!(read.is_null(), id == "null");
        assert_eq!(success(&read, "7"), format!(r#"{{"jsonrpc":"2.0","id":{id},"result":7}}"#).into_bytes());
        assert_eq!(read.uid().is_some(), id == "\"017f22e2-79b0-7cc3-98c4-dc0c0c07398f\"");
    }
}

#[test]
fn members_nobody_knows_are_ignored() {
    let payload = br#" {"x":1,"x":2,"jsonrpc":"2.0","trace":{"a":[1]},"method":"m","id":"a"} "#;
    assert_eq!(Request::parse(payload).unwrap().method, "m");
}

#[test]
fn a_method_with_escapes_is_read_and_written() {
    let uid = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f".parse().unwrap();
    for method in ["", "a\"b", "a\\b", "a\nb", "a\u{0}b", "métier", "a\",\"id\":\"other"] {
        let payload = request(&uid, method, "{}");
        let read = Request::parse(&payload).unwrap();
        assert_eq!(read.method, method);
        assert_eq!(read.id.unwrap().uid(), Some(uid));
    }
}

#[test]
fn depth_and_numbers_without_end_are_passed_through() {
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    for params in [deep.as_str(), "[1e200000]", "[\"\\ud800\"]", "[\"\\u0000\"]"] {
        let payload = format!(r#"{{"jsonrpc":"2.0","method":"m","id":1,"params":{params}}}"#);
        assert_eq!(Request::parse(payload.as_bytes()).unwrap().params.get(), params);
        let elsewhere = format!(r#"{{"jsonrpc":"2.0","method":"m","id":1,"other":{params}}}"#);
        assert!(Request::parse(elsewhere.as_bytes()).is_ok());
        let broken = format!(r#"{{"jsonrpc":"2.0","method":"m","id":1,"params":{params}"#);
        assert_eq!(refused(&broken), code::PARSE);
    }
    assert_eq!(refused(&"[".repeat(200_000)), code::PARSE);
    assert_eq!(refused(&deep), code::INVALID_REQUEST);
}

#[test]
fn a_failure_without_an_id_answers_null() {
    let error = RpcError::new(code::PARSE, "the request is not JSON");
    let value: Value = serde_json::from_slice(&failure(None, &error)).unwrap();
    assert_eq!(
        value,
        json!({"jsonrpc": "2.0", "id": null, "error": {"code": -32700, "message": "the request is not JSON"}})
    );
}

proptest! {
    #[test]
    fn a_request_comes_back(uid in uid(), target in target(), params in params()) {
        let payload = request(&uid, target.method(), &params);
        let read = Request::parse(&payload).unwrap();
        prop_assert_eq!(read.id, Some(RequestId::from(uid)));
        prop_assert_eq!(read.method, target.method());
        prop_assert_eq!(read.params.get(), params);
    }

    #[test]
    fn any_method_is_written_as_json(uid in uid(), method in any::<String>()) {
        let payload = request(&uid, &method, "[]");
        prop_assert_eq!(Request::parse(&payload).unwrap().method, method);
    }

    #[test]
    fn an_answer_echoes_the_id(id in json(), result in json()) {
        let payload = format!(r#"{{"jsonrpc":"2.0","method":"m","id":{id}}}"#);
        let structured = id.starts_with(['{', '[', 't', 'f']);
        match Request::parse(&payload.into_bytes()) {
            Ok(request) => {
                prop_assert!(!structured);
                let answer = success(&request.id.unwrap(), &result);
                prop_assert_eq!(answer, format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#).into_bytes());
            }
            Err(error) => {
                prop_assert!(structured);
                prop_assert_eq!(error.code, code::INVALID_REQUEST);
            }
        }
    }

    #[test]
    fn a_damaged_request_is_judged_as_its_json_is(
        payload in mutated((uid(), params()).prop_map(|(uid, params)| {
            String::from_utf8(request(&uid, "example.simple", &params)).unwrap()
        })),
    ) {
        let is_json = str::from_utf8(&payload)
            .is_ok_and(|text| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok());
        match Request::parse(&payload) {
            Ok(_) => prop_assert!(is_json),
            Err(error) => prop_assert_eq!(error.code, if is_json { code::INVALID_REQUEST } else { code::PARSE }),
        }
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(payload in any::<Vec<u8>>()) {
        let _ = Request::parse(&payload);
    }
}
