//! The examples of `docs/wire/vectors.json`, which programs in other languages can test themselves by.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};
use tpro_wire::envelope::{batch, request};
use tpro_wire::reply::{Reply, read, read_batch};
use tpro_wire::{Protocol, Refusal, ReplyPrefix, RequestHeaders, Target, Uid};

#[derive(Deserialize)]
struct Vectors {
    uid: String,
    requests: Vec<RequestVector>,
    replies: Vec<ReplyVector>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestVector {
    name: String,
    target: String,
    protocol: String,
    #[serde(default)]
    batch: bool,
    body: String,
    headers: BTreeMap<String, String>,
    reply: String,
    payload: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReplyVector {
    name: String,
    protocol: String,
    /// The number of requests, if it replies to a batch.
    requests: Option<usize>,
    status: Option<u16>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    payload: String,
    means: Value,
}

fn vectors() -> (Uid, Vectors) {
    let vectors: Vectors = serde_json::from_str(include_str!("../../../../docs/wire/vectors.json")).unwrap();
    (vectors.uid.parse().unwrap(), vectors)
}

#[test]
fn a_request_is_written_and_read_as_the_examples_have_it() {
    let (uid, vectors) = vectors();
    assert!(vectors.requests.len() >= 3);
    for RequestVector { name, target, protocol, batch: is_batch, body, headers, reply, payload } in
        vectors.requests
    {
        let target = Target::parse(&target).unwrap();
        let read =
            RequestHeaders::read(headers.iter().map(|(header, value)| (header.as_str(), value.as_str())));
        let written: BTreeMap<String, String> =
            read.pairs().map(|(header, value)| (header.to_owned(), value)).collect();
        assert_eq!(written, headers, "{name}");
        assert_eq!((read.uid, read.protocol.as_str()), (Some(uid), protocol.as_str()), "{name}");
        let source = read.source.expect("it names who asks");
        let prefix = ReplyPrefix::new(&source.service, &source.instance);
        let asked = target.subject().split('.').nth(1).unwrap();
        assert_eq!(prefix.subject(asked, &uid, read.attempt), reply, "{name}");
        let ours = match read.protocol {
            Protocol::JsonRpc if is_batch => batch(&uid, target.method(), &body).expect("is a batch").0,
            Protocol::JsonRpc => request(&uid, target.method(), &body),
            Protocol::Json => body.into_bytes(),
        };
        assert_eq!(str::from_utf8(&ours), Ok(payload.as_str()), "{name}");
    }
}

#[test]
fn a_reply_means_what_the_examples_say() {
    let (uid, vectors) = vectors();
    assert!(vectors.replies.len() >= 15);
    for ReplyVector { name, protocol, requests, status, headers, payload, means } in vectors.replies {
        let protocol = protocol.parse().unwrap();
        let header = |name: &str| headers.get(name).map(String::as_str);
        let payload = payload.as_bytes();
        let reply = match requests {
            Some(requests) => read_batch(&uid, requests, status, header, payload),
            None => read(&uid, protocol, status, header, payload),
        };
        let seen = match reply {
            Reply::Result(result) => json!({"result": result.get()}),
            Reply::Error(error) if means["message"].is_string() => {
                json!({"error": error.code, "message": error.message})
            }
            Reply::Error(error) => json!({"error": error.code}),
            Reply::Unreadable(_) => json!("unreadable"),
            Reply::Refused(Refusal::NoResponders | Refusal::Overloaded | Refusal::Unsupported(_)) => {
                json!("nobody took it")
            }
            Reply::Refused(other) => panic!("{other:?}: no reply says so"),
            Reply::Working => json!("wait"),
            Reply::Stale => json!("stale"),
            Reply::Later { after, error } => {
                json!({"later": error.code, "after_ms": after.as_millis() as u64})
            }
            Reply::Noise(_) => json!("dropped"),
        };
        assert_eq!(seen, means, "{name}");
    }
}
