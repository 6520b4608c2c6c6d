//! What came back on a reply subject.

use serde::Deserialize;
use serde::de::IgnoredAny;
use tpro_wire::{
    envelope::{self, Answer, AnswerError},
    error::{RpcError, code},
    headers,
    protocol::Protocol,
    reply_state::ReplyState,
    uid::Uid,
};

use super::{message::Refusal, outcome::Outcome};
use crate::handler::header_map::header;

/// A reply, understood.
#[derive(Debug)]
pub(super) enum Reply {
    /// The end.
    Answer(Outcome),
    /// Nobody took the attempt.
    Refused(Refusal),
    /// The target has it and works on it.
    Working,
    /// The target cannot tell it from a repeat.
    Stale,
    /// Nothing that settles a message: dropped and counted, under this word.
    Noise(&'static str),
}

/// Understands a reply to the message with this uid.
///
/// With protocol `jsonrpc` what is no JSON-RPC answer to this very request is dropped, whatever it is, since it may come
/// from something that listens on the target without being asked (a JetStream stream acknowledges, a monitor echoes);
/// the service's answer may still follow. With `json` the first thing that comes is the answer, so that one that is not
/// JSON ends the message; only the acknowledgement of a stream is passed over.
pub(super) fn read(uid: &Uid, protocol: Protocol, message: &async_nats::Message) -> Reply {
    if message.status == Some(async_nats::StatusCode::NO_RESPONDERS) {
        return Reply::Refused(Refusal::NoResponders);
    }
    if message.status.is_some() {
        return Reply::Noise("status");
    }
    let header = |name: &str| header(message, name);
    if let Some(state) = header(headers::STATE) {
        return match state.parse() {
            Ok(ReplyState::Unsupported) => {
                let versions = header(headers::VERSIONS).and_then(|text| text.parse().ok());
                versions.map_or(Reply::Noise("state"), |theirs| Reply::Refused(Refusal::Unsupported(theirs)))
            }
            Ok(ReplyState::Overloaded) => Reply::Refused(Refusal::Overloaded { repeat: false }),
            Ok(ReplyState::Working) => Reply::Working,
            Ok(ReplyState::Stale) => Reply::Stale,
            Err(_) => Reply::Noise("state"),
        };
    }
    let responder = || header(headers::RESPONDER).filter(|text| is_printable(text)).map(str::to_owned);
    match protocol {
        Protocol::JsonRpc => match envelope::answer(uid, &message.payload) {
            Ok(Answer::Result(result)) => {
                Reply::Answer(Outcome::ok(Box::<str>::from(result).into(), responder()))
            }
            Ok(Answer::Error(error)) => Reply::Answer(Outcome::error(&error, responder())),
            Err(AnswerError::NotJson) => Reply::Noise("not_json"),
            Err(AnswerError::NotJsonRpc) => Reply::Noise("not_jsonrpc"),
            Err(AnswerError::OtherId) => Reply::Noise("other_id"),
        },
        Protocol::Json => json(message, header, responder()),
    }
}

/// Any JSON is an answer.
fn json<'h>(
    message: &async_nats::Message,
    header: impl Fn(&str) -> Option<&'h str>,
    responder: Option<String>,
) -> Reply {
    // How a service of the NATS micro protocol (ADR-32) says that it failed.
    if let Some(text) = header("Nats-Service-Error") {
        let number = header("Nats-Service-Error-Code").and_then(|text| text.parse().ok());
        let error = RpcError::new(number.unwrap_or(code::INTERNAL), text);
        return Reply::Answer(Outcome::error(&error, responder));
    }
    let Ok(text) = str::from_utf8(&message.payload) else {
        return Reply::Answer(Outcome::bad_reply("the reply is not text in UTF-8", responder));
    };
    if serde_json::from_str::<IgnoredAny>(text).is_err() {
        return Reply::Answer(Outcome::bad_reply("the reply is not JSON", responder));
    }
    if is_stream_acknowledgement(text) {
        return Reply::Noise("puback");
    }
    Reply::Answer(Outcome::ok(text.to_owned(), responder))
}

/// Whether this is how JetStream acknowledges a publish: an object with a text `stream`, a number `seq`, and nothing but
/// what JetStream adds to them.
fn is_stream_acknowledgement(text: &str) -> bool {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct PubAck {
        #[serde(rename = "stream")]
        _stream: String,
        #[serde(rename = "seq")]
        _seq: u64,
        #[serde(default, rename = "domain")]
        _domain: Option<String>,
        #[serde(default, rename = "duplicate")]
        _duplicate: Option<bool>,
        #[serde(default, rename = "val")]
        _val: Option<String>,
    }
    text.trim_start().starts_with('{') && serde_json::from_str::<PubAck>(text).is_ok()
}

/// What a stranger calls itself is stored as text: printable, and short.
fn is_printable(text: &str) -> bool {
    text.len() <= 128 && text.bytes().all(|b| (b' '..=b'~').contains(&b))
}

#[cfg(test)]
mod tests {
    use async_nats::{HeaderMap, StatusCode};
    use tpro_wire::status::Status;

    use super::*;

    fn uid() -> Uid {
        Uid::v7(1_700_000_000_000, [7; 10])
    }

    fn message(payload: impl Into<String>, headers: &[(&str, &str)]) -> async_nats::Message {
        let mut map = HeaderMap::new();
        headers.iter().for_each(|(name, value)| map.insert(*name, *value));
        async_nats::Message {
            subject: "s".into(),
            reply: None,
            payload: payload.into().into(),
            headers: Some(map),
            status: None,
            description: None,
            length: 0,
        }
    }

    fn outcome(reply: Reply) -> Outcome {
        match reply {
            Reply::Answer(outcome) => outcome,
            other => panic!("{other:?} is no answer"),
        }
    }

    #[test]
    fn a_result_keeps_its_digits_and_its_responder() {
        let payload = format!(r#"{{"jsonrpc":"2.0","id":"{}","result":{{"n":1.10}}}}"#, uid());
        let outcome =
            outcome(read(&uid(), Protocol::JsonRpc, &message(payload, &[(headers::RESPONDER, "co/1.0/2")])));
        assert_eq!(outcome.status, Status::Ok);
        assert_eq!(outcome.result.as_deref(), Some(r#"{"n":1.10}"#));
        assert_eq!(outcome.responder.as_deref(), Some("co/1.0/2"));
    }

    #[test]
    fn what_is_no_json_rpc_answer_settles_nothing() {
        let other = Uid::v7(1, [1; 10]);
        for (payload, word) in [
            (r#"{"stream":"ORDERS","seq":1}"#.to_owned(), "not_jsonrpc"),
            ("hello".to_owned(), "not_json"),
            (String::new(), "not_json"),
            (format!(r#"{{"jsonrpc":"2.0","id":"{other}","result":1}}"#), "other_id"),
        ] {
            match read(&uid(), Protocol::JsonRpc, &message(payload, &[])) {
                Reply::Noise(found) => assert_eq!(found, word),
                other => panic!("{other:?} instead of {word}"),
            }
        }
    }

    #[test]
    fn states_and_missing_responders_are_told_from_answers() {
        let state = read(&uid(), Protocol::JsonRpc, &message("", &[(headers::STATE, "working")]));
        assert!(matches!(state, Reply::Working));
        let refused = [(headers::STATE, "unsupported"), (headers::VERSIONS, "2-3")];
        let refused = read(&uid(), Protocol::JsonRpc, &message("", &refused));
        assert!(
            matches!(refused, Reply::Refused(Refusal::Unsupported(versions)) if versions.to_string() == "2-3")
        );
        let silent = read(&uid(), Protocol::JsonRpc, &message("", &[(headers::STATE, "unsupported")]));
        assert!(matches!(silent, Reply::Noise("state")), "which versions it understands must be said");
        let mut nobody = message("", &[]);
        nobody.status = Some(StatusCode::NO_RESPONDERS);
        assert!(matches!(read(&uid(), Protocol::Json, &nobody), Reply::Refused(Refusal::NoResponders)));
    }

    #[test]
    fn protocol_json_takes_any_json_but_the_acknowledgement_of_a_stream() {
        let ok = outcome(read(&uid(), Protocol::Json, &message("[1, 2]", &[])));
        assert_eq!(ok.result.as_deref(), Some("[1, 2]"));
        for ack in
            [r#"{"stream":"ORDERS","seq":1}"#, r#" {"stream":"O","domain":"d","seq":9,"duplicate":true}"#]
        {
            assert!(matches!(read(&uid(), Protocol::Json, &message(ack, &[])), Reply::Noise("puback")));
        }
        let alike =
            outcome(read(&uid(), Protocol::Json, &message(r#"{"stream":"x","seq":1,"more":2}"#, &[])));
        assert_eq!(alike.status, Status::Ok);
    }

    #[test]
    fn protocol_json_ends_with_an_error_when_the_reply_is_none() {
        let bad = outcome(read(&uid(), Protocol::Json, &message("oops", &[])));
        assert_eq!(bad.status, Status::Error);
        let headers = [("Nats-Service-Error", "no such order"), ("Nats-Service-Error-Code", "404")];
        let failed = outcome(read(&uid(), Protocol::Json, &message("", &headers)));
        assert_eq!(failed.error.as_deref(), Some(r#"{"code":404,"message":"no such order"}"#));
    }
}
