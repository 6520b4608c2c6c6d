use proptest::prelude::*;
use serde_json::{Value, json};
use tpro_wire::envelope::{
    Answer, AnswerError, Batch, NotAnswer, RequestId, answers, batch, failures, room, successes,
};
use tpro_wire::error::{RpcError, code};
use tpro_wire::limits::MAX_BODY;
use tpro_wire::reply::{Noise, Reply, read_batch};
use tpro_wire::{Language, Place, Uid, headers};

use crate::support::{json, mutated, uid};

const UID: &str = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f";

fn the_uid() -> Uid {
    UID.parse().unwrap()
}

/// The ids of a batch of so many requests.
fn ids(uid: &Uid, requests: usize) -> Vec<RequestId> {
    let (payload, _) = batch(uid, "a.b", &format!("[{}]", vec!["{}"; requests].join(","))).unwrap();
    Batch::parse(&payload).unwrap().ids
}

fn result(n: usize, result: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":"{UID}/{n}","result":{result}}}"#)
}

fn error(n: usize, error: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":"{UID}/{n}","error":{error}}}"#)
}

/// The reading of an array of these answers to a batch of so many requests.
fn read(requests: usize, each: &[String]) -> Result<Answer, AnswerError> {
    answers(&the_uid(), requests, false, format!(" [{}]", each.join(" ,")).as_bytes())
}

fn failed(answer: Result<Answer, AnswerError>) -> RpcError {
    match answer {
        Ok(Answer::Error(error)) => error,
        other => panic!("{other:?}"),
    }
}

fn unreadable(answer: Result<Answer, AnswerError>) -> NotAnswer {
    match answer {
        Err(AnswerError::No(what)) => what,
        other => panic!("{other:?}"),
    }
}

#[test]
fn results_are_read_in_the_order_of_the_requests_and_written_so() {
    let each = [result(2, "null"), result(0, "1.50"), result(1, r#"{"a" : [1]}"#)];
    let all = r#"[1.50,{"a" : [1]},null]"#;
    assert!(matches!(read(3, &each), Ok(Answer::Result(raw)) if raw.get() == all));
    let payload = successes(&ids(&the_uid(), 3), all).unwrap();
    let in_order = format!("[{},{},{}]", each[1], each[2], each[0]);
    assert_eq!(String::from_utf8(payload).unwrap(), in_order);
    for other in ["[1,2]", "[]", "1", "{}", "[1,2,3,4]", ""] {
        assert_eq!(successes(&ids(&the_uid(), 3), other), None, "{other}");
    }
}

#[test]
fn the_first_error_in_order_is_that_of_the_batch_and_no_answer_is_lost() {
    let second = r#"{"code":7,"message":"no more seats","data":[1.50]}"#;
    let third = r#"{"code":8,"message":"no bed"}"#;
    let said = failed(read(3, &[error(2, third), result(0, "{\"free\":1}"), error(1, second)]));
    assert_eq!((said.code, said.message.as_str()), (7, "request 2 of 3: no more seats"));
    let data: Value = serde_json::from_str(said.data.unwrap().get()).unwrap();
    let all = json!([
        {"result": {"free": 1}},
        {"error": {"code": 7, "message": "no more seats", "data": [1.50]}},
        {"error": {"code": 8, "message": "no bed"}},
    ]);
    assert_eq!(data, json!({"index": 1, "count": 3, "data": [1.50], "answers": all}));
    let long = format!("\"{}\"", "x".repeat(MAX_BODY));
    let said = failed(read(2, &[result(0, &long), error(1, third)]));
    assert_eq!(said.data.unwrap().get(), r#"{"index":1,"count":2}"#, "they do not fit");
}

#[test]
fn a_batch_that_has_failed_as_one_answers_each_request_and_is_read_as_its_cause() {
    let (uid, ids) = (the_uid(), ids(&the_uid(), 3));
    let cause = Place { index: 1, count: 3 }.error(&RpcError::new(7, "no more seats"));
    let payload = failures(&ids, &cause, Language::English);
    let other = r#"{"code":-32013,"message":"request 2 of 3 failed, and its whole batch with it"}"#;
    let written = format!("[{},{},{}]", error(0, other), error(1, &cause.to_json()), error(2, other));
    assert_eq!(str::from_utf8(&payload), Ok(written.as_str()));
    assert_eq!(failed(answers(&uid, 3, true, &payload)), cause);

    let late = RpcError::new(code::TIMEOUT, "the handler was stopped: its time was over");
    let payload = failures(&ids, &late, Language::English);
    assert_eq!(payload.iter().filter(|byte| **byte == b'[').count(), 1);
    assert_eq!(failed(answers(&uid, 3, true, &payload)), late);
    // Without the word of the service it is the error of the first request.
    let first = failed(answers(&uid, 3, false, &payload));
    assert_eq!(first.message, format!("request 1 of 3: {}", late.message));
    // The word alone makes no failure.
    let mixed = format!("[{},{}]", result(0, "1"), error(1, &late.to_json()));
    assert!(failed(answers(&uid, 2, true, mixed.as_bytes())).message.starts_with("request 2 of 2: "));

    let russian = failures(&ids, &cause, Language::Russian);
    let texts = ["запрос 2 из 3: no more seats", "запрос 2 из 3 не выполнен, а с ним и весь пакет"];
    let russian = String::from_utf8(russian).unwrap();
    assert_eq!(texts.map(|text| russian.matches(text).count()), [1, 2]);
}

#[test]
fn the_answers_need_no_more_room_than_is_kept_for_them() {
    let ids = ids(&the_uid(), 1_000);
    let cause = Place { index: 999, count: 1_000 }.error(&RpcError::new(7, "x"));
    for language in [Language::English, Language::Russian] {
        let payload = failures(&ids, &cause, language);
        assert!(payload.len() < cause.to_json().len() + room(&ids), "{}", payload.len());
    }
    let results = format!("[{}]", vec!["1"; 1_000].join(","));
    assert!(successes(&ids, &results).unwrap().len() < results.len() + room(&ids));
}

#[test]
fn an_error_by_itself_ends_the_batch() {
    let of = |payload: &str| answers(&the_uid(), 2, false, payload.as_bytes());
    for id in ["null", &format!("\"{UID}\"")] {
        let payload = format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":7,"message":"no"}}}}"#);
        assert_eq!(failed(of(&payload)), RpcError::new(7, "no"));
    }
    let unread = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"no"}}"#.to_owned();
    assert_eq!(failed(read(2, std::slice::from_ref(&unread))), RpcError::new(-32600, "no"));
    assert_eq!(failed(read(2, &[result(0, "1"), unread])), RpcError::new(-32600, "no"));
    let other = r#"{"jsonrpc":"2.0","id":"other","error":{"code":7,"message":"no"}}"#;
    assert_eq!(of(other).unwrap_err(), AnswerError::OtherId);
}

#[test]
fn what_does_not_answer_each_request_once_is_told() {
    let of = |payload: &str| unreadable(answers(&the_uid(), 2, false, payload.as_bytes()));
    for (payload, what) in [
        ("", NotAnswer::Empty),
        ("hello", NotAnswer::NotJson),
        ("[1,", NotAnswer::NotJson),
        ("7", NotAnswer::BatchKind("a number")),
        ("\"x\"", NotAnswer::BatchKind("text")),
        ("null", NotAnswer::BatchKind("null")),
        ("{}", NotAnswer::Members),
        ("[]", NotAnswer::BatchLength { requests: 2, answers: 0 }),
        ("[1, 2]", NotAnswer::Kind("a number")),
    ] {
        assert_eq!(of(payload), what, "{payload}");
    }
    let whole = format!(r#"{{"jsonrpc":"2.0","id":"{UID}","result":[1,2]}}"#);
    assert_eq!(of(&whole), NotAnswer::BatchKind("an object"));
    assert_eq!(unreadable(answers(&the_uid(), 1, false, b"[\"\xff\"]")), NotAnswer::NotUtf8);
    let one = result(0, "1");
    let with_id = |id: &str| format!(r#"{{"jsonrpc":"2.0","id":{id},"result":1}}"#);
    for (second, what) in [
        (None, NotAnswer::BatchLength { requests: 2, answers: 1 }),
        (Some(one.clone()), NotAnswer::BatchTwice(1)),
        (Some(result(2, "1")), NotAnswer::BatchId),
        (Some(with_id("1")), NotAnswer::BatchId),
        (Some(with_id("null")), NotAnswer::BatchId),
        (Some(with_id("{}")), NotAnswer::Id),
        (Some(with_id(&format!("\"{UID}\""))), NotAnswer::BatchId),
        (Some(with_id(&format!("\"{UID}/01\""))), NotAnswer::BatchId),
        (Some(with_id(&format!("\"{UID}/+1\""))), NotAnswer::BatchId),
        (Some(with_id(&format!("\"{UID}/1/\""))), NotAnswer::BatchId),
        (Some(with_id(&format!("\"{}/1\"", UID.replace('f', "e")))), NotAnswer::BatchId),
        (Some(r#"{"jsonrpc":"2.0","result":1}"#.to_owned()), NotAnswer::Id),
        (Some(format!(r#"{{"jsonrpc":"2.0","id":"{UID}/1"}}"#)), NotAnswer::Neither),
        (Some(error(1, "7")), NotAnswer::Error),
    ] {
        let each: Vec<String> = [Some(one.clone()), second].into_iter().flatten().collect();
        assert_eq!(unreadable(read(2, &each)), what, "{each:?}");
    }
    // More answers than requests.
    let three = [result(0, "1"), result(1, "1"), result(1, "1")];
    assert_eq!(unreadable(read(2, &three)), NotAnswer::BatchTwice(2));
    // An id with capital letters or escapes is the same id.
    let escaped = with_id(&format!("\"{}\\u002f1\"", UID.to_uppercase()));
    assert!(matches!(read(2, &[one, escaped]), Ok(Answer::Result(raw)) if raw.get() == "[1,1]"));
}

#[test]
fn a_reply_to_a_batch_has_the_states_of_every_reply() {
    let uid = the_uid();
    let reply = |status, pairs: &[(&str, &'static str)], payload: &[u8]| {
        let find = |name: &str| pairs.iter().find(|(header, _)| *header == name).map(|(_, value)| *value);
        read_batch(&uid, 2, status, find, payload)
    };
    assert!(matches!(reply(Some(503), &[], b""), Reply::Refused(_)));
    assert!(matches!(reply(None, &[(headers::STATE, "working")], b""), Reply::Working));
    assert!(matches!(reply(None, &[], br#"{"stream":"S","seq":1}"#), Reply::Noise(Noise::StreamAck)));
    assert!(matches!(reply(None, &[], b"[]"), Reply::Unreadable(NotAnswer::BatchLength { .. })));
    let later = Place { index: 0, count: 2 }.error(&RpcError::new(code::LATER, "not now"));
    let payload = failures(&ids(&uid, 2), &later, Language::English);
    let pairs = [(headers::STATE, "later"), (headers::RETRY_AFTER_MS, "30000"), (headers::STATUS, "error")];
    let put_off = reply(None, &pairs, &payload);
    assert!(matches!(put_off, Reply::Later { after, error } if after.as_secs() == 30 && error == later));
    let service = [("Nats-Service-Error", "no"), ("Nats-Service-Error-Code", "404")];
    assert!(matches!(reply(None, &service, b""), Reply::Error(error) if error.code == 404));
}

proptest! {
    #[test]
    fn results_come_back_in_order_whatever_the_order_of_the_answers(
        uid in uid(),
        each in prop::collection::vec(json(), 1..20).prop_flat_map(|each| {
            let order: Vec<usize> = (0..each.len()).collect();
            (Just(each), Just(order).prop_shuffle())
        }),
    ) {
        let (results, order) = each;
        let written: Vec<String> = order
            .iter()
            .map(|n| format!(r#"{{"jsonrpc":"2.0","id":"{uid}/{n}","result":{}}}"#, results[*n]))
            .collect();
        let payload = format!("[{}]", written.join(","));
        let all = format!("[{}]", results.join(","));
        match answers(&uid, results.len(), false, payload.as_bytes()) {
            Ok(Answer::Result(raw)) => prop_assert_eq!(raw.get(), &all),
            other => prop_assert!(false, "{:?}", other),
        }
        // And those that tpro writes itself.
        let payload = successes(&ids(&uid, results.len()), &all).unwrap();
        let read = answers(&uid, results.len(), false, &payload);
        prop_assert!(matches!(read, Ok(Answer::Result(raw)) if raw.get() == all));
    }

    #[test]
    fn damaged_answers_are_read_without_a_panic(
        payload in mutated((1usize..5).prop_map(|requests| {
            let all = format!("[{}]", vec!["1"; requests].join(","));
            String::from_utf8(successes(&ids(&the_uid(), requests), &all).unwrap()).unwrap()
        })),
        requests in 1usize..5,
        failed in any::<bool>(),
    ) {
        let _ = answers(&the_uid(), requests, failed, &payload);
    }
}
