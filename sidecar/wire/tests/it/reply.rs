use proptest::prelude::*;
use tpro_wire::envelope::{NotAnswer, failure, success};
use tpro_wire::error::{RpcError, code};
use tpro_wire::reply::{Noise, Reply, read, read_ack, responder};
use tpro_wire::{Protocol, Refusal, Uid, headers};

use crate::support::{json, mutated, uid};

const BOTH: [Protocol; 2] = [Protocol::JsonRpc, Protocol::Json];

fn the_uid() -> Uid {
    Uid::v7(1_700_000_000_000, [7; 10])
}

fn said(protocol: Protocol, pairs: &[(&str, &str)], payload: impl AsRef<[u8]>) -> Reply {
    read(&the_uid(), protocol, None, |name| find(pairs, name), payload.as_ref())
}

fn find<'h>(pairs: &[(&str, &'h str)], name: &str) -> Option<&'h str> {
    pairs.iter().find(|(header, _)| *header == name).map(|(_, value)| *value)
}

fn unreadable(reply: Reply) -> NotAnswer {
    match reply {
        Reply::Unreadable(what) => what,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_status_of_the_server_is_no_answer() {
    for protocol in BOTH {
        let of = |status| read(&the_uid(), protocol, Some(status), |_| None, b"");
        assert!(matches!(of(503), Reply::Refused(Refusal::NoResponders)));
        assert!(matches!(of(100), Reply::Noise(Noise::Status)));
    }
}

#[test]
fn states_are_told_from_answers_whatever_the_payload() {
    let payload = success(&the_uid().into(), "1");
    for protocol in BOTH {
        let of = |state| said(protocol, &[(headers::STATE, state), (headers::VERSIONS, "2-3")], &payload);
        assert!(matches!(of("working"), Reply::Working));
        assert!(matches!(of("overloaded"), Reply::Refused(Refusal::Overloaded)));
        assert!(matches!(of("stale"), Reply::Stale));
        assert!(
            matches!(of("unsupported"), Reply::Refused(Refusal::Unsupported(versions)) if versions.to_string() == "2-3")
        );
        assert!(matches!(of("of a later release"), Reply::Noise(Noise::State)));
        let silent = said(protocol, &[(headers::STATE, "unsupported")], &payload);
        assert!(matches!(silent, Reply::Noise(Noise::State)), "which versions it understands must be said");
    }
}

#[test]
fn an_answer_in_json_rpc_is_the_result_or_the_error() {
    let id = the_uid().into();
    let result = said(Protocol::JsonRpc, &[], success(&id, r#"{"n":1.10}"#));
    assert!(matches!(result, Reply::Result(raw) if raw.get() == r#"{"n":1.10}"#));
    let error = said(Protocol::JsonRpc, &[], failure(Some(&id), &RpcError::new(7, "no")));
    assert!(matches!(error, Reply::Error(error) if error.code == 7));
    let other = said(Protocol::JsonRpc, &[], success(&Uid::v7(1, [1; 10]).into(), "1"));
    assert!(matches!(other, Reply::Noise(Noise::OtherId)));
}

#[test]
fn what_answers_a_json_rpc_request_and_is_no_json_rpc_is_told_at_once() {
    let of = |payload: &str| unreadable(said(Protocol::JsonRpc, &[], payload));
    assert_eq!(of(""), NotAnswer::Empty);
    assert_eq!(of("+OK"), NotAnswer::NotJson);
    assert_eq!(of("[1]"), NotAnswer::Kind("an array"));
    assert_eq!(of(r#"{"total":7}"#), NotAnswer::Members);
    assert_eq!(unreadable(said(Protocol::JsonRpc, &[], b"\xff")), NotAnswer::NotUtf8);
    // A service of the micro protocol says why by its headers.
    let failed = [("Nats-Service-Error", "no such order"), ("Nats-Service-Error-Code", "404")];
    for protocol in BOTH {
        let failed = said(protocol, &failed, "");
        assert!(
            matches!(failed, Reply::Error(error) if (error.code, &*error.message) == (404, "no such order"))
        );
    }
}

#[test]
fn the_acknowledgement_of_a_stream_is_nobodys_answer() {
    for ack in [
        r#"{"stream":"ORDERS","seq":1}"#,
        r#" {"stream":"O","domain":"d","seq":9,"duplicate":true}"#,
        r#"{"stream":"O","seq":9,"batch":"b","count":3}"#,
        r#"{"error":{"code":503,"err_code":10077,"description":"maximum messages exceeded"},"stream":"O","seq":0}"#,
    ] {
        for protocol in BOTH {
            assert!(matches!(said(protocol, &[], ack), Reply::Noise(Noise::StreamAck)), "{ack}");
        }
    }
    let alike = said(Protocol::Json, &[], r#"{"stream":"x","seq":1,"more":2}"#);
    assert!(matches!(alike, Reply::Result(_)));
    assert!(matches!(said(Protocol::Json, &[], r#"["x",1]"#), Reply::Result(_)));
}

#[test]
fn an_event_that_a_stream_is_to_keep_is_settled_by_the_word_of_the_stream_and_by_nobody_elses() {
    let kept = r#"{"stream":"ORDERS","seq":17,"duplicate":true}"#;
    assert!(matches!(read_ack(None, kept.as_bytes()), Reply::Result(raw) if raw.get() == kept));
    let full = r#"{"error":{"code":503,"err_code":10077,"description":"maximum messages exceeded"},"stream":"ORDERS","seq":0}"#;
    let Reply::Error(error) = read_ack(None, full.as_bytes()) else { panic!("it is refused") };
    assert_eq!(
        (error.code, error.message.as_str()),
        (code::STREAM, "stream ORDERS does not keep it: maximum messages exceeded")
    );
    assert!(matches!(read_ack(Some(503), b""), Reply::Refused(Refusal::NoResponders)));
    assert!(matches!(read_ack(Some(408), kept.as_bytes()), Reply::Noise(Noise::Status)));
    let answer = success(&the_uid().into(), "1");
    for other in [&answer[..], b"", b"null", b"7", br#"["ORDERS",17]"#, br#"{"stream":"x"}"#, b"\xff"] {
        assert!(matches!(read_ack(None, other), Reply::Noise(Noise::NoAck)), "{other:?}");
    }
}

#[test]
fn with_protocol_json_a_service_of_tpro_says_errors_by_its_status_or_in_json_rpc() {
    let tpro = (headers::RESPONDER, "analytic/1.0/1");
    let status = (headers::STATUS, "error");
    let by_status = said(Protocol::Json, &[tpro, status], r#"{"error":{"code":-32602,"message":"no"}}"#);
    assert!(matches!(by_status, Reply::Error(error) if error.code == code::INVALID_PARAMS));
    assert_eq!(unreadable(said(Protocol::Json, &[tpro, status], r#"{"error":7}"#)), NotAnswer::Error);
    // A copy of an earlier release was asked without the header that says how the body is wrapped.
    let envelope = failure(None, &RpcError::new(code::INVALID_REQUEST, "no request"));
    let in_envelope = said(Protocol::Json, &[tpro], &envelope);
    assert!(matches!(in_envelope, Reply::Error(error) if error.code == code::INVALID_REQUEST));
    // Anybody else may mean what he likes by it.
    assert!(matches!(said(Protocol::Json, &[], &envelope), Reply::Result(_)));
}

#[test]
fn with_protocol_json_what_is_no_json_is_told() {
    let of = |payload: &[u8]| unreadable(said(Protocol::Json, &[], payload));
    assert_eq!(of(b""), NotAnswer::Empty);
    assert_eq!(of(b"oops"), NotAnswer::NotJson);
    assert_eq!(of(b"\"\xff\""), NotAnswer::NotUtf8);
}

#[test]
fn a_responder_that_is_long_or_not_printable_is_none() {
    let of = |text: &'static str| responder(move |name| find(&[(headers::RESPONDER, text)], name));
    assert_eq!(of("co/1.0/2"), Some("co/1.0/2"));
    assert_eq!(of("co\u{7}"), None);
    let long: &'static str = "x".repeat(129).leak();
    assert_eq!(of(long), None);
}

proptest! {
    #[test]
    fn any_json_is_a_result_of_protocol_json_as_it_came(uid in uid(), result in json()) {
        match read(&uid, Protocol::Json, None, |_| None, result.as_bytes()) {
            Reply::Result(raw) => prop_assert_eq!(raw.get(), result),
            Reply::Noise(Noise::StreamAck) => {}
            other => prop_assert!(false, "{:?}", other),
        }
    }

    #[test]
    fn a_reply_to_this_request_ends_it_and_no_other_does(
        uid in uid(), other in uid(), result in json(), payload in any::<Vec<u8>>(),
    ) {
        prop_assume!(uid != other);
        let of = |payload: &[u8]| read(&uid, Protocol::JsonRpc, None, |_| None, payload);
        prop_assert!(matches!(of(&success(&uid.into(), &result)), Reply::Result(_)));
        prop_assert!(matches!(of(&success(&other.into(), &result)), Reply::Noise(Noise::OtherId)));
        prop_assert!(matches!(of(&payload), Reply::Unreadable(_)), "bytes by chance are no answer");
    }

    #[test]
    fn what_is_told_of_an_unreadable_reply_holds_nothing_of_it(
        payload in mutated(json().prop_map(|json| format!(r#"{{"canary":{json}}}"#))),
    ) {
        for protocol in BOTH {
            if let Reply::Unreadable(what) = said(protocol, &[], &payload) {
                prop_assert!(!what.to_string().contains("canary"));
            }
        }
    }
}
