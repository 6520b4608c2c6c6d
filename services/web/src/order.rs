//! A request as it is sent.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use reqwest::{
    Method, Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use serde_json::value::RawValue;
use tpro_sidecar::Fault;

use crate::{
    headers, media,
    refusal::Refusal,
    request::{Request, pairs},
};

/// The header by which a server knows a repeat.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The header that continues the trace.
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// A request as it is sent.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<Vec<u8>>,
}

impl Order {
    /// Makes it of the body of a message. A fault names the member that breaks a rule.
    pub(crate) fn new(method: Method, request: Request) -> Result<Self, Fault> {
        let url = Url::parse(&request.url);
        let mut url = url.map_err(|_| Fault::field("url", format!("url {}", Refusal::NoUrl)))?;
        let query = pairs("query", request.query.unwrap_or_default())?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let headers = headers::read(request.headers.unwrap_or_default())?;
        let mut order = Self { method, url, headers, body: None };
        let body = match (request.body, request.body_base64) {
            (None, None) => return Ok(order),
            (Some(_), Some(_)) => {
                return Err(Fault::field("body_base64", "body and body_base64 exclude each other"));
            }
            (Some(body), None) => order.body_of(&body)?,
            (None, Some(text)) => {
                let rule = "body_base64 must be base64 with its padding";
                BASE64_STANDARD.decode(text).map_err(|_| Fault::field("body_base64", rule))?
            }
        };
        if matches!(order.method, Method::GET | Method::HEAD) {
            return Err(Fault::field("body", format!("body has no meaning with {}", order.method)));
        }
        order.body = Some(body);
        Ok(order)
    }

    /// The bytes of a body, in the form of its type. Without a type it is JSON.
    fn body_of(&mut self, body: &RawValue) -> Result<Vec<u8>, Fault> {
        let Some(content_type) = self.headers.get(CONTENT_TYPE) else {
            self.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            return Ok(body.get().as_bytes().to_vec());
        };
        let content_type = String::from_utf8_lossy(content_type.as_bytes());
        if media::is_json(&content_type) {
            return Ok(body.get().as_bytes().to_vec());
        }
        if let Ok(text) = serde_json::from_str::<String>(body.get()) {
            return Ok(text.into_bytes());
        }
        if !media::is_form(&content_type) {
            return Err(Fault::field("body", "body must be a text where the content-type is not JSON"));
        }
        let Ok(members) = serde_json::from_str(body.get()) else {
            return Err(Fault::field("body", "body of a form must be a text or an object"));
        };
        let mut form = self.url.clone();
        form.query_pairs_mut().clear().extend_pairs(pairs("body", members)?);
        Ok(form.query().unwrap_or_default().as_bytes().to_vec())
    }

    /// Says which request it is, unless its publisher has said that: every repeat has this key.
    pub(crate) fn name(&mut self, uid: &str, span: &str) {
        for (name, value) in [(IDEMPOTENCY_KEY, uid), (TRACEPARENT, span)] {
            if let Ok(value) = HeaderValue::from_str(value) {
                self.headers.entry(name).or_insert(value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn order(method: Method, body: &Value) -> Result<Order, Fault> {
        Order::new(method, serde_json::from_str(&body.to_string()).unwrap())
    }

    fn sent(body: Value) -> Result<String, String> {
        let order = order(Method::POST, &body).map_err(|fault| fault.message().to_owned())?;
        Ok(String::from_utf8(order.body.unwrap_or_default()).unwrap())
    }

    #[test]
    fn a_body_is_json_unless_its_type_is_another() {
        let typed = |content_type: &str, body: Value| {
            sent(json!({"url": "http://a/", "headers": {"Content-Type": content_type}, "body": body}))
        };
        assert_eq!(sent(json!({"url": "http://a/", "body": {"a": 1.50}})), Ok(r#"{"a":1.5}"#.into()));
        assert_eq!(sent(json!({"url": "http://a/", "body": "text"})), Ok(r#""text""#.into()));
        assert_eq!(sent(json!({"url": "http://a/", "body": null})), Ok(String::new()));
        assert_eq!(typed("application/vnd.x+json", json!("text")), Ok(r#""text""#.into()));
        assert_eq!(typed("text/plain", json!("ä\n")), Ok("ä\n".into()));
        let form = "application/x-www-form-urlencoded";
        assert_eq!(
            typed(form, json!({"a b": "ä&", "n": 1.5, "t": true})),
            Ok("a+b=%C3%A4%26&n=1.5&t=true".into())
        );
        assert_eq!(typed(form, json!("a=1")), Ok("a=1".into()));
        let text = "body must be a text where the content-type is not JSON";
        assert_eq!(typed("text/plain", json!({"a": 1})), Err(text.into()));
        assert_eq!(typed(form, json!([1])), Err("body of a form must be a text or an object".into()));
        let text = "body must be an object of texts, numbers, true and false";
        assert_eq!(typed(form, json!({"a": [1]})), Err(text.into()));
    }

    #[test]
    fn the_digits_of_a_number_are_sent_as_they_are() {
        let body = r#"{"url": "http://a/", "body": 12345678901234567890.10}"#;
        let order = Order::new(Method::POST, serde_json::from_str(body).unwrap()).unwrap();
        assert_eq!(order.body.unwrap(), b"12345678901234567890.10");
        assert_eq!(order.headers[CONTENT_TYPE], "application/json");
    }

    #[test]
    fn a_body_that_is_no_text_is_base64() {
        let body = json!({"url": "http://a/", "body_base64": "AP8="});
        assert_eq!(order(Method::PUT, &body).unwrap().body.unwrap(), [0, 255]);
        for (member, text) in [
            (json!({"body_base64": "canary!"}), "body_base64 must be base64 with its padding"),
            (json!({"body_base64": "AP8=", "body": 1}), "body and body_base64 exclude each other"),
        ] {
            let mut body = member;
            body["url"] = json!("http://a/");
            assert_eq!(sent(body), Err(text.into()));
        }
        let get = order(Method::GET, &json!({"url": "http://a/", "body": 1})).unwrap_err();
        assert_eq!(get.message(), "body has no meaning with GET");
    }

    #[test]
    fn a_query_is_added_to_that_of_the_url() {
        let url = |url: &str, query: Value| {
            let order = order(Method::GET, &json!({"url": url, "query": query}));
            order.map(|order| order.url.to_string()).map_err(|fault| fault.message().to_owned())
        };
        assert_eq!(url("http://a/b?c=1", json!({"d": "e f", "n": 2})), Ok("http://a/b?c=1&d=e+f&n=2".into()));
        assert_eq!(url("http://a/b", json!({})), Ok("http://a/b".into()));
        let text = "query must be an object of texts, numbers, true and false";
        assert_eq!(url("http://a/b", json!({"d": null})), Err(text.into()));
        let text = "url must be an http or https URL with a host";
        assert_eq!(url("canary", json!({})), Err(text.into()));
    }

    #[test]
    fn a_request_is_named_unless_it_has_a_name() {
        let mut order =
            order(Method::GET, &json!({"url": "http://a/", "headers": {"Idempotency-Key": "mine"}})).unwrap();
        order.name("uid", "span");
        assert_eq!(
            (&order.headers[IDEMPOTENCY_KEY], &order.headers[TRACEPARENT]),
            (&HeaderValue::from_static("mine"), &HeaderValue::from_static("span"))
        );
    }
}
