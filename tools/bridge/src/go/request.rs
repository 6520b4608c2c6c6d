//! Requests of the Go system.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use tpro_wire::{TraceParent, limits::MAX_HEADERS};

use super::{read_trace_id, write_trace_id};

/// Headers that are the bridge's matter and not the row's.
const ITS_OWN: [&str; 3] = ["mq_id", "from_service", "trace-id"];

/// A request that was read.
pub struct Request<'a> {
    /// The headers as they came. The answer repeats them as `meta`.
    pub meta: &'a RawValue,
    /// The body as it came, an object.
    pub body: &'a str,
    /// The trace that it belongs to.
    pub trace: Option<TraceParent>,
    /// The language that the reply should speak.
    pub language: Option<String>,
    /// The other headers, as JSON text of one line.
    pub headers: Option<String>,
}

/// Reads a request. None if it is no request of the Go system, such as its events, which nobody can
/// read: base64 of a number.
pub fn read_request(payload: &[u8]) -> Option<Request<'_>> {
    #[derive(Deserialize)]
    struct Members<'a> {
        #[serde(borrow, rename = "Headers")]
        headers: &'a RawValue,
        #[serde(borrow, rename = "Body")]
        body: &'a RawValue,
    }
    let text = str::from_utf8(payload).ok()?;
    let members: Members<'_> = serde_json::from_str(text).ok()?;
    let mut headers: BTreeMap<String, Box<RawValue>> = serde_json::from_str(members.headers.get()).ok()?;
    let string = |name: &str| {
        let value = headers.get(name)?;
        serde_json::from_str::<String>(value.get()).ok()
    };
    // A handler of tpro could not read another body. Without one, Go writes null.
    let body = match members.body.get() {
        "null" => "{}",
        object if object.starts_with('{') => object,
        _ => return None,
    };
    let trace = string("trace-id").and_then(|text| read_trace_id(&text));
    let language = string("content-language").filter(|text| tpro_wire::headers::is_language(text));
    ITS_OWN.iter().for_each(|name| drop(headers.remove(*name)));
    // A header of NATS is one line. Text that Go writes has no other line breaks.
    let headers = serde_json::to_string(&headers).ok();
    let fits = |text: &String| text.len() <= MAX_HEADERS && !text.contains(['\r', '\n']);
    Some(Request { meta: members.headers, body, trace, language, headers: headers.filter(fits) })
}

/// The facts of a request that a Go service is told.
pub struct Sender<'a> {
    /// The headers of its row: JSON text, an object. Another text counts as none.
    pub headers: Option<&'a str>,
    /// The service that asks.
    pub service: &'a str,
    /// The number of the message.
    pub mq_id: u32,
    /// The trace.
    pub trace: &'a TraceParent,
}

/// Writes a request. `body` is JSON text.
///
/// Ours stand behind the headers of the row, because Go takes the last of doubled keys.
pub fn write_request(sender: &Sender<'_>, body: &str) -> Vec<u8> {
    let row = sender.headers.filter(|text| {
        // A stranger's header was read by nobody yet.
        text.starts_with('{')
            && serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text).is_ok()
    });
    let inside =
        row.and_then(|text| text.trim_end().strip_prefix('{')?.strip_suffix('}')).unwrap_or("").trim();
    let comma = if inside.is_empty() { "" } else { "," };
    let (service, mq_id, trace) = (sender.service, sender.mq_id, write_trace_id(sender.trace));
    format!(
        r#"{{"Headers":{{{inside}{comma}"from_service":"{service}","mq_id":{mq_id},"trace-id":"{trace}"}},"Body":{body}}}"#
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the Go system writes it.
    const REQUEST: &str = r#"{"Headers":{"content-language":"ru-RU","from_service":"main","mq_id":1,"request":{"type":"single"},"trace-id":"5b1f0c2d3e4f5061:5b1f0c2d3e4f5061:0000000000000000:1"},"Body":{"ip":"172.19.0.8","login":"login342","password":"phnd26w"}}"#;

    #[test]
    fn a_request_of_go_is_read() {
        let request = read_request(REQUEST.as_bytes()).expect("a request");
        assert_eq!(request.body, r#"{"ip":"172.19.0.8","login":"login342","password":"phnd26w"}"#);
        assert_eq!(request.language.as_deref(), Some("ru-RU"));
        let headers = r#"{"content-language":"ru-RU","request":{"type":"single"}}"#;
        assert_eq!(request.headers.as_deref(), Some(headers));
        let trace = request.trace.expect("a trace").to_string();
        assert_eq!(trace, "00-00000000000000005b1f0c2d3e4f5061-5b1f0c2d3e4f5061-01");
        assert!(
            request.meta.get().starts_with(r#"{"content-language":"ru-RU","from_service":"main","mq_id":1,"#)
        );
    }

    #[test]
    fn an_event_and_a_request_of_tpro_are_no_requests_of_go() {
        for payload in [r#""MQ==""#, "", "{", r#"{"jsonrpc":"2.0","id":1,"method":"a.b","params":{}}"#, "[]"]
        {
            assert!(read_request(payload.as_bytes()).is_none(), "{payload}");
        }
        assert!(read_request(br#"{"Headers":{},"Body":[1]}"#).is_none());
        assert_eq!(read_request(br#"{"Headers":{},"Body":null}"#).expect("a request").body, "{}");
    }

    #[test]
    fn a_request_for_go_has_our_headers_last() {
        let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().expect("a traceparent");
        let written = |headers| {
            let sender = Sender { headers, service: "main", mq_id: 7, trace: &trace };
            String::from_utf8(write_request(&sender, r#"{"a": 1}"#)).expect("text")
        };
        let ours = r#""from_service":"main","mq_id":7,"trace-id":"4bf92f3577b34da6a3ce929d0e0e4736:00f067aa0ba902b7:0000000000000000:1""#;
        let row = r#"{"request": {"type": "single"}, "mq_id": "x"}"#;
        assert_eq!(
            written(Some(row)),
            format!(
                r#"{{"Headers":{{"request": {{"type": "single"}}, "mq_id": "x",{ours}}},"Body":{{"a": 1}}}}"#
            )
        );
        for none in [None, Some("{}"), Some("{ }"), Some("[1]"), Some("{broken")] {
            assert_eq!(written(none), format!(r#"{{"Headers":{{{ours}}},"Body":{{"a": 1}}}}"#), "{none:?}");
        }
    }
}
