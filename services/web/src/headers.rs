//! The headers of a request, which its publisher gives.

use std::collections::BTreeMap;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tpro_sidecar::Fault;

/// Headers that the connection decides about. A request with another length or another host than it
/// has would be read as two requests, or past the rules about hosts.
const OF_CONNECTION: [&str; 13] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
/// The longest name that an error repeats, in bytes.
const MAX_NAME: usize = 100;

/// Reads the headers. An error names the header, and never shows its value.
pub(crate) fn read(given: BTreeMap<String, String>) -> Result<HeaderMap, Fault> {
    let mut headers = HeaderMap::with_capacity(given.len() + 4);
    for (name, value) in given {
        let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else {
            return Err(Fault::field("headers", "headers has a name that HTTP does not allow"));
        };
        let fault = |rule: &str| {
            let field = match name.as_str() {
                short if short.len() <= MAX_NAME => format!("headers.{short}"),
                _ => "headers".to_owned(),
            };
            Fault::field(&field, format!("{field} {rule}"))
        };
        if OF_CONNECTION.contains(&name.as_str()) {
            return Err(fault("is set by the service and cannot be given"));
        }
        let Ok(mut value) = HeaderValue::from_bytes(value.as_bytes()) else {
            return Err(fault("must be a text in one line, without control characters"));
        };
        value.set_sensitive(true);
        if headers.contains_key(&name) {
            return Err(fault("comes twice"));
        }
        headers.insert(name, value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_one(name: &str, value: &str) -> Result<HeaderMap, Fault> {
        read([(name.to_owned(), value.to_owned())].into())
    }

    #[test]
    fn headers_of_the_connection_are_refused_by_their_name() {
        for name in OF_CONNECTION.iter().copied().chain(["Host", "Content-Length", "TE"]) {
            let fault = read_one(name, "canary").unwrap_err();
            let field = format!("headers.{}", name.to_lowercase());
            assert_eq!(fault.code(), -32602, "{name}");
            assert_eq!(fault.message(), format!("{field} is set by the service and cannot be given"));
        }
    }

    #[test]
    fn what_http_does_not_allow_is_refused_without_its_value() {
        for (name, value, text) in [
            (
                "x-a",
                "canary\r\nhost: b",
                "headers.x-a must be a text in one line, without control characters",
            ),
            ("x-a", "canary\0", "headers.x-a must be a text in one line, without control characters"),
            ("canary: x", "1", "headers has a name that HTTP does not allow"),
            ("", "1", "headers has a name that HTTP does not allow"),
        ] {
            assert_eq!(read_one(name, value).unwrap_err().message(), text);
        }
        let twice = read([("A".to_owned(), String::new()), ("a".to_owned(), String::new())].into());
        assert_eq!(twice.unwrap_err().message(), "headers.a comes twice");
    }

    #[test]
    fn other_headers_are_taken_and_their_values_are_not_shown() {
        let headers = read_one("Authorization", "Bearer canary ü").unwrap();
        assert_eq!(headers["authorization"].as_bytes(), "Bearer canary ü".as_bytes());
        assert!(!format!("{headers:?}").contains("canary"));
    }
}
