use proptest::prelude::*;
use serde_json::{Value, json};
use tpro_wire::envelope::{Batch, batch, is_batch};
use tpro_wire::error::code;
use tpro_wire::limits::MAX_BATCH;

use crate::support::{mutated, params, target, uid};

const UID: &str = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f";

/// The code and the text with which a payload is refused.
fn refused(payload: &str) -> (i64, String) {
    let error = Batch::parse(payload.as_bytes()).expect_err(payload);
    (error.code, error.message)
}

fn invalid(payload: &str) -> String {
    let (code, message) = refused(payload);
    assert_eq!(code, code::INVALID_REQUEST, "{payload}: {message}");
    message
}

#[test]
fn each_body_of_a_batch_is_a_request_under_the_uid_and_its_index() {
    let uid = UID.parse().unwrap();
    let (payload, requests) = batch(&uid, "example.simple", r#"[{"n": 1.50}, [2], {}]"#).unwrap();
    let each: Vec<String> = [r#"{"n": 1.50}"#, "[2]", "{}"]
        .iter()
        .enumerate()
        .map(|(n, params)| {
            format!(r#"{{"jsonrpc":"2.0","id":"{UID}/{n}","method":"example.simple","params":{params}}}"#)
        })
        .collect();
    assert_eq!((String::from_utf8(payload).unwrap(), requests), (format!("[{}]", each.join(",")), 3));
}

#[test]
fn a_body_that_is_no_batch_is_not_written() {
    let uid = UID.parse().unwrap();
    let many = |count: usize| format!("[{}]", vec!["[]"; count].join(","));
    for body in ["{}", "[]", "7", "[1]", "[[], 1]", "[{}, null]", "", "[{}", &many(MAX_BATCH + 1)] {
        assert_eq!(batch(&uid, "a.b", body), None, "{}", &body[..body.len().min(20)]);
    }
    assert_eq!(batch(&uid, "a.b", &many(MAX_BATCH)).map(|(_, requests)| requests), Some(MAX_BATCH));
    assert!(is_batch(b" \n[") && !is_batch(b"{}") && !is_batch(b""));
}

#[test]
fn a_batch_of_a_stranger_is_read_with_its_ids_as_they_came() {
    let payload = br#" [ {"jsonrpc": "2.0", "method": "m", "params": [1, 2.50], "id": "1"},
        {"id": 7.0, "method": "\u006d", "jsonrpc": "2.0"}, {"jsonrpc":"2.0","method":"m","id":null,"params":{}} ] "#;
    let read = Batch::parse(payload).unwrap();
    let ids: Vec<String> = read.ids.iter().map(ToString::to_string).collect();
    let params: Vec<&str> = read.params.iter().map(|params| params.get()).collect();
    assert_eq!(
        (ids, params),
        (vec!["\"1\"".into(), "7.0".into(), "null".into()], vec!["[1, 2.50]", "{}", "{}"])
    );
    assert_eq!(read.method, "m");
}

#[test]
fn what_is_no_batch_is_refused_by_its_rule() {
    let one = r#"{"jsonrpc":"2.0","id":1,"method":"a.b","params":{}}"#;
    let many = format!("[{}]", vec![one; MAX_BATCH + 1].join(","));
    assert_eq!(invalid("[]"), "a batch has 1 to 1000 requests, not 0");
    assert_eq!(invalid(&many), "a batch has 1 to 1000 requests, not 1001");
    let second = |other: &str| invalid(&format!("[{one},{other}]"));
    for (other, text) in [
        (r#"{"jsonrpc":"2.0","id":2,"method":"a.c"}"#, "all requests of a batch must have the same method"),
        (r#"{"jsonrpc":"2.0","method":"a.b"}"#, "a request of a batch must have an id"),
        (r#"{"jsonrpc":"2.0","id":{},"method":"a.b"}"#, "id must be text, a number or null"),
        (r#"{"jsonrpc":"2.0","id":2,"method":"a.b","params":7}"#, "params must be an object or an array"),
        ("1", "a request is an object of jsonrpc, method (text), params and id, none of them twice"),
    ] {
        assert_eq!(second(other), format!("request 2 of 2: {text}"));
    }
    for payload in ["[", "[}", "", "[1,]"] {
        assert_eq!(refused(payload).0, code::PARSE, "{payload}");
    }
    assert_eq!(Batch::parse(b"[\"\xff\"]").unwrap_err().code, code::PARSE);
}

/// Some bodies of requests.
fn bodies() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(params(), 1..20)
}

proptest! {
    #[test]
    fn a_batch_comes_back_in_its_order(uid in uid(), target in target(), bodies in bodies()) {
        let body = format!("[{}]", bodies.join(" , "));
        let (payload, requests) = batch(&uid, target.method(), &body).unwrap();
        prop_assert!(is_batch(&payload) && requests == bodies.len());
        let read = Batch::parse(&payload).unwrap();
        prop_assert_eq!(read.method, target.method());
        prop_assert_eq!(read.params.iter().map(|params| params.get()).collect::<Vec<_>>(), bodies);
        let ids: Vec<String> = (0..requests).map(|n| format!("\"{uid}/{n}\"")).collect();
        prop_assert_eq!(read.ids.iter().map(ToString::to_string).collect::<Vec<_>>(), ids);
        let value: Value = serde_json::from_slice(&payload).unwrap_or(json!([{}]));
        prop_assert!(value[0].is_object());
    }

    #[test]
    fn a_damaged_batch_is_judged_without_a_panic(
        payload in mutated((uid(), bodies()).prop_map(|(uid, bodies)| {
            String::from_utf8(batch(&uid, "a.b", &format!("[{}]", bodies.join(","))).unwrap().0).unwrap()
        })),
    ) {
        if let Err(error) = Batch::parse(&payload) {
            prop_assert!([code::INVALID_REQUEST, code::PARSE].contains(&error.code));
        }
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(payload in any::<Vec<u8>>()) {
        let _ = Batch::parse(&payload);
    }
}
