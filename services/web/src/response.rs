//! The response, as it becomes the result of a message.

use std::collections::BTreeMap;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use reqwest::{
    StatusCode,
    header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER, SET_COOKIE},
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, value::RawValue};

use crate::media;

/// The response, as it becomes the result of a message.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Response {
    status: u16,
    /// By names in small letters.
    headers: BTreeMap<String, String>,
    #[serde(flatten)]
    body: Body,
    /// The bytes of headers and body.
    #[serde(skip)]
    size: usize,
}

/// A body in the form in which `jsonb` can hold it.
#[derive(Debug, Serialize, JsonSchema)]
enum Body {
    #[serde(rename = "body")]
    Json(Box<RawValue>),
    #[serde(rename = "body")]
    Text(String),
    #[serde(rename = "body_base64")]
    Bytes(String),
}

impl Response {
    /// A response of this status, with these headers and bytes.
    pub(crate) fn new(status: StatusCode, headers: &HeaderMap, bytes: Vec<u8>) -> Self {
        let size = size_of(headers) + bytes.len();
        Self { status: status.as_u16(), headers: texts(headers), body: Body::of(bytes, headers), size }
    }

    pub(crate) fn status(&self) -> u16 {
        self.status
    }

    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// The header in which a server says when to ask again.
    pub(crate) fn retry_after(&self) -> Option<&str> {
        self.headers.get(RETRY_AFTER.as_str()).map(String::as_str)
    }
}

impl Body {
    fn of(bytes: Vec<u8>, headers: &HeaderMap) -> Self {
        let content_type = headers.get(CONTENT_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes()));
        let is_json = content_type.is_some_and(|content_type| media::is_json(&content_type));
        match String::from_utf8(bytes) {
            Ok(text) if text.is_empty() => Self::Json(RawValue::NULL.to_owned()),
            // `jsonb` holds no text with this character.
            Ok(text) if text.contains('\0') => Self::Bytes(BASE64_STANDARD.encode(text)),
            Ok(text) => match json(&text).filter(|_| is_json) {
                Some(json) => Self::Json(json),
                None => Self::Text(text),
            },
            Err(error) => Self::Bytes(BASE64_STANDARD.encode(error.as_bytes())),
        }
    }
}

/// The text as JSON, with all digits of its numbers. None if the text is not JSON, or if `jsonb`
/// cannot hold it: a lone surrogate, a number beyond all bounds, or `\\u0000`.
fn json(text: &str) -> Option<Box<RawValue>> {
    let text = text.trim_start_matches('\u{feff}').trim();
    let is_held = serde_json::from_str::<Value>(text).is_ok() && !text.contains("\\u0000");
    is_held.then(|| RawValue::from_string(text.to_owned()).ok()).flatten()
}

/// The bytes of all headers.
pub(crate) fn size_of(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
}

/// The headers as texts. Lines of one name are joined by commas, as HTTP has it. Cookies have
/// commas in them, and are joined by line breaks.
fn texts(headers: &HeaderMap) -> BTreeMap<String, String> {
    let mut texts = BTreeMap::<String, String>::new();
    for (name, value) in headers {
        let text = String::from_utf8_lossy(value.as_bytes());
        texts
            .entry(name.as_str().to_owned())
            .and_modify(|before| {
                before.push_str(if name == SET_COOKIE { "\n" } else { ", " });
                before.push_str(&text);
            })
            .or_insert_with(|| text.to_string());
    }
    texts
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderName, HeaderValue};

    use super::*;

    fn body(content_type: &'static str, bytes: &[u8]) -> String {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(content_type))]);
        let response =
            Response { headers: BTreeMap::new(), ..Response::new(StatusCode::OK, &headers, bytes.to_vec()) };
        serde_json::to_string(&response).unwrap().replace(r#"{"status":200,"headers":{},"#, "{")
    }

    #[test]
    fn a_body_has_the_form_that_jsonb_can_hold() {
        let json = "application/json";
        for (content_type, bytes, told) in [
            (
                json,
                &b" {\"a\": 1.50, \"b\": 12345678901234567890.10}\n"[..],
                r#"{"body":{"a": 1.50, "b": 12345678901234567890.10}}"#,
            ),
            ("application/problem+json; charset=utf-8", b"[]", r#"{"body":[]}"#),
            (json, "\u{feff}1".as_bytes(), r#"{"body":1}"#),
            (json, b"", r#"{"body":null}"#),
            (json, b"{", r#"{"body":"{"}"#),
            (json, br#""\ud800""#, r#"{"body":"\"\\ud800\""}"#),
            (json, br#""\u0000""#, r#"{"body":"\"\\u0000\""}"#),
            (json, b"1e400", r#"{"body":"1e400"}"#),
            ("text/plain", b"1", r#"{"body":"1"}"#),
            ("text/html", "<p>ä</p>".as_bytes(), r#"{"body":"<p>ä</p>"}"#),
            ("text/plain", b"a\0", r#"{"body_base64":"YQA="}"#),
            ("image/png", &[0x89, 0xff], r#"{"body_base64":"if8="}"#),
        ] {
            assert_eq!(body(content_type, bytes), told, "{content_type} {bytes:?}");
        }
        let deep = "[".repeat(200) + &"]".repeat(200);
        assert_eq!(body(json, deep.as_bytes()), format!(r#"{{"body":"{deep}"}}"#));
    }

    #[test]
    fn headers_of_one_name_are_joined() {
        let line =
            |name: &'static str, value| (HeaderName::from_static(name), HeaderValue::from_static(value));
        let mut headers = HeaderMap::new();
        for (name, value) in
            [line("vary", "a"), line("vary", "b"), line("set-cookie", "a=1, x"), line("set-cookie", "b=2")]
        {
            headers.append(name, value);
        }
        let texts: Vec<_> = texts(&headers).into_iter().collect();
        assert_eq!(
            texts,
            [("set-cookie".to_owned(), "a=1, x\nb=2".to_owned()), ("vary".to_owned(), "a, b".to_owned()),]
        );
    }
}
