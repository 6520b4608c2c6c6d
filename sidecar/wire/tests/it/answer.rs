use proptest::prelude::*;
use tpro_wire::Uid;
use tpro_wire::envelope::{Answer, AnswerError, NotAnswer, RequestId, answer, failure, success};
use tpro_wire::error::{RpcError, code};

use crate::support::{json, mutated, uid};

const UID: &str = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f";

fn the_uid() -> Uid {
    UID.parse().unwrap()
}

fn read(payload: &str) -> Result<Answer, AnswerError> {
    answer(&the_uid(), payload.as_bytes())
}

#[test]
fn a_result_is_passed_through_as_it_came() {
    for result in
        ["null", "7", "1.50", "1e400", r#"{"b": 1, "a" : 2}"#, r#"["\u0000", "\ud800"]"#, "\"text\""]
    {
        let payload = format!(r#" {{"result": {result} , "id":"{UID}","jsonrpc":"2.0"}} "#);
        match read(&payload) {
            Ok(Answer::Result(raw)) => assert_eq!(raw.get(), result),
            other => panic!("{other:?}"),
        }
    }
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let payload = format!(r#"{{"jsonrpc":"2.0","id":"{UID}","result":{deep}}}"#);
    assert!(matches!(read(&payload), Ok(Answer::Result(raw)) if raw.get() == deep));
}

#[test]
fn what_follows_a_result_is_read_too() {
    let answers = |rest: &str| read(&format!(r#"{{"jsonrpc":"2.0","id":"{UID}","result":{rest}"#));
    for rest in ["1}", " 1 } ", r#"1,"more":2}"#, r#"1,"error":null}"#] {
        assert!(matches!(answers(rest), Ok(Answer::Result(raw)) if raw.get() == "1"), "{rest}");
    }
    let error = r#"null,"error":{"code":1,"message":"no"}}"#;
    assert!(matches!(answers(error), Ok(Answer::Error(error)) if error.code == 1));
    for rest in [
        "1,\"result\":2}",
        "1,\"id\":2}",
        "1,\"error\":{\"code\":1,\"message\":\"no\"}}",
        "1}}",
        "1",
        "}",
        "1 2}",
    ] {
        assert!(matches!(answers(rest), Err(AnswerError::No(_))), "{rest}");
    }
}

#[test]
fn an_error_is_read_with_its_data() {
    let payload = format!(
        r#"{{"jsonrpc":"2.0","id":"{UID}","error":{{"code":-32601,"message":"Method not found","data":{{"method": 1.0}},"more":1}}}}"#
    );
    match read(&payload) {
        Ok(Answer::Error(error)) => {
            assert_eq!(error.code, code::METHOD_NOT_FOUND);
            assert_eq!(error.message, "Method not found");
            assert_eq!(error.data.unwrap().get(), r#"{"method": 1.0}"#);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_id_is_the_same_however_it_is_written() {
    for id in [UID.to_uppercase(), UID.replacen('0', "\\u0030", 1)] {
        assert!(matches!(
            read(&format!(r#"{{"jsonrpc":"2.0","id":"{id}","result":1}}"#)),
            Ok(Answer::Result(_))
        ));
    }
}

#[test]
fn an_answer_to_another_request_is_told() {
    let other = UID.replace('f', "e");
    for id in [
        format!("\"{other}\""),
        "\"\"".into(),
        "\"a\"".into(),
        "1".into(),
        "-1.5".into(),
        format!("\"{UID} \""),
    ] {
        for member in [r#""result":1"#, r#""error":{"code":1,"message":"no"}"#] {
            let payload = format!(r#"{{"jsonrpc":"2.0","id":{id},{member}}}"#);
            assert_eq!(read(&payload).unwrap_err(), AnswerError::OtherId, "{payload}");
        }
    }
}

#[test]
fn a_null_id_is_taken_with_an_error_only() {
    let error = read(r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}}"#);
    assert!(matches!(error, Ok(Answer::Error(RpcError { code: code::PARSE, .. }))));
    assert_eq!(read(r#"{"jsonrpc":"2.0","id":null,"result":1}"#).unwrap_err(), AnswerError::OtherId);
}

#[test]
fn a_null_error_is_as_good_as_none_and_so_is_a_null_result_beside_an_error() {
    let of = |members: &str| read(&format!(r#"{{"jsonrpc":"2.0","id":"{UID}",{members}}}"#));
    for (members, result) in [
        (r#""result":1,"error":null"#, "1"),
        (r#""error":null,"result":{"a":[]}"#, r#"{"a":[]}"#),
        (r#""result":null,"error":null"#, "null"),
    ] {
        assert!(matches!(of(members), Ok(Answer::Result(raw)) if raw.get() == result), "{members}");
    }
    for members in
        [r#""result":null,"error":{"code":1,"message":"no"}"#, r#""error":{"code":1,"message":"no"}"#]
    {
        assert!(matches!(of(members), Ok(Answer::Error(error)) if error.code == 1), "{members}");
    }
}

#[test]
fn json_that_is_no_answer_is_told_by_what_it_lacks() {
    for (what, all) in [
        (NotAnswer::Neither, vec![r#""jsonrpc":"2.0","id":ID"#, r#""jsonrpc":"2.0","id":ID,"error":null"#]),
        (NotAnswer::Both, vec![r#""jsonrpc":"2.0","id":ID,"result":1,"error":{"code":1,"message":"no"}"#]),
        (
            NotAnswer::Error,
            vec![
                r#""jsonrpc":"2.0","id":ID,"error":"no""#,
                r#""jsonrpc":"2.0","id":ID,"error":[1,"no"]"#,
                r#""jsonrpc":"2.0","id":ID,"error":{}"#,
                r#""jsonrpc":"2.0","id":ID,"error":{"code":1}"#,
                r#""jsonrpc":"2.0","id":ID,"error":{"message":"no"}"#,
                r#""jsonrpc":"2.0","id":ID,"error":{"code":"1","message":"no"}"#,
                r#""jsonrpc":"2.0","id":ID,"error":{"code":1.5,"message":"no"}"#,
                r#""jsonrpc":"2.0","id":ID,"error":{"code":99999999999999999999,"message":"no"}"#,
                r#""jsonrpc":"2.0","id":ID,"error":{"code":1,"code":1,"message":"no"}"#,
            ],
        ),
        (
            NotAnswer::Id,
            vec![
                r#""jsonrpc":"2.0","result":1"#,
                r#""jsonrpc":"2.0","id":{},"result":1"#,
                r#""jsonrpc":"2.0","id":[ID],"result":1"#,
                r#""jsonrpc":"2.0","id":true,"result":1"#,
            ],
        ),
        (
            NotAnswer::Members,
            vec![
                r#""id":ID,"result":1"#,
                r#""jsonrpc":"1.0","id":ID,"result":1"#,
                r#""jsonrpc":2,"id":ID,"result":1"#,
                r#""jsonrpc":"2.0","id":ID,"result":1,"result":2"#,
                r#""jsonrpc":"2.0","id":ID,"id":ID,"result":1"#,
                // A JetStream PubAck.
                r#""stream":"S","seq":1"#,
            ],
        ),
    ] {
        for members in all {
            let payload = format!("{{{}}}", members.replace("ID", &format!("\"{UID}\"")));
            assert_eq!(read(&payload).unwrap_err(), AnswerError::No(what), "{payload}");
        }
    }
    let array = format!(r#"["2.0","{UID}",1]"#);
    for (kind, payload) in
        [("null", "null"), ("a number", "1"), ("an array", " []"), ("text", "\"x\""), ("an array", &array)]
    {
        assert_eq!(read(payload).unwrap_err(), AnswerError::No(NotAnswer::Kind(kind)), "{payload}");
    }
}

#[test]
fn what_is_not_json_is_told() {
    assert_eq!(read("").unwrap_err(), AnswerError::No(NotAnswer::Empty));
    for payload in ["+OK", "{", "{}}", "<html>", "{\"jsonrpc\":\"2.0\"", "{\"jsonrpc\":1,"] {
        assert_eq!(read(payload).unwrap_err(), AnswerError::No(NotAnswer::NotJson), "{payload}");
    }
    let not_utf8 = [br#"{"jsonrpc":"2.0","id":null,"result":""#.as_slice(), b"\xc3\"}"].concat();
    assert_eq!(answer(&the_uid(), &not_utf8).unwrap_err(), AnswerError::No(NotAnswer::NotUtf8));
}

proptest! {
    #[test]
    fn a_result_comes_back(uid in uid(), result in json()) {
        match answer(&uid, &success(&RequestId::from(uid), &result)) {
            Ok(Answer::Result(raw)) => prop_assert_eq!(raw.get(), result),
            other => prop_assert!(false, "{:?}", other),
        }
    }

    #[test]
    fn an_error_comes_back(
        uid in uid(), code in any::<i64>(), message in any::<String>(), data in proptest::option::of(json()), known in any::<bool>(),
    ) {
        // A null that is there is as good as none.
        let data = data.filter(|json| json != "null");
        let error = RpcError { code, message, data: data.map(|json| serde_json::from_str(&json).unwrap()) };
        let id = RequestId::from(uid);
        match answer(&uid, &failure(known.then_some(&id), &error)) {
            Ok(Answer::Error(read)) => prop_assert_eq!(read, error),
            other => prop_assert!(false, "{:?}", other),
        }
    }

    #[test]
    fn nobody_elses_answer_is_taken(uid in uid(), other in uid(), result in json()) {
        prop_assume!(uid != other);
        prop_assert_eq!(answer(&uid, &success(&other.into(), &result)).unwrap_err(), AnswerError::OtherId);
    }

    #[test]
    fn a_damaged_answer_is_judged_as_its_json_is(
        payload in mutated(json().prop_map(|json| {
            String::from_utf8(success(&the_uid().into(), &json)).unwrap()
        })),
    ) {
        let is_json = str::from_utf8(&payload)
            .is_ok_and(|text| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok());
        let read = answer(&the_uid(), &payload);
        let no_json = [NotAnswer::Empty, NotAnswer::NotUtf8, NotAnswer::NotJson].map(AnswerError::No);
        prop_assert_eq!(read.is_err_and(|error| no_json.contains(&error)), !is_json);
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(uid in uid(), payload in any::<Vec<u8>>()) {
        let _ = answer(&uid, &payload);
    }
}
