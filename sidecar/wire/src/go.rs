//! The question by which a copy of the Go system shows itself.
//!
//! The Go system is the predecessor of tpro, and one of its copies ends at a request of tpro. So
//! nobody sends a request to a service before this question has found no Go copy of it. Copies of
//! tpro do not subscribe to its subject.

use serde::Deserialize;
use serde::de::IgnoredAny;

/// The scheme with which subjects of the Go system begin.
const SCHEME: &str = "jsonrpc://";
/// The entity and the method of the question, which no service has.
const METHOD: &str = ".tpro.probe";

/// The payload of the question: a request of the Go system, with the headers that a copy reads
/// without a check.
pub const QUESTION: &[u8] = br#"{"Headers":{"mq_id":0,"from_service":"tpro"},"Body":{}}"#;

/// The subject of the question to a service, `<space>.<service>`.
pub fn question(service: &str) -> String {
    [SCHEME, service, METHOD].concat()
}

/// The service that a question with this subject goes to, if it is one.
pub fn asked(subject: &str) -> Option<&str> {
    subject.strip_prefix(SCHEME)?.strip_suffix(METHOD)
}

/// True if a Go copy has answered: each of its answers has `meta`, the headers of the request.
pub fn is_answer(payload: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(rename = "meta")]
        _meta: IgnoredAny,
    }
    // Other JSON may be an array, from which a struct can be read, too.
    payload.trim_ascii_start().starts_with(b"{") && serde_json::from_slice::<Answer>(payload).is_ok()
}
