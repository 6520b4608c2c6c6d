//! A message, read: its question, and the way of its answer.

use std::{borrow::Cow, sync::Arc};

use serde_json::value::RawValue;
use tpro_runtime::nats::{Block, Message};
use tpro_wire::{
    Batch, Language, Protocol, Request, RequestHeaders, RequestId, RpcError, Target, envelope, error::code,
};

use crate::handler::batch::Bodies;

/// `<entity>.<method_name>`, two tokens of 100 letters.
const LONGEST_METHOD: usize = 201;

/// The answer to another question under a uid that is known.
pub(super) const MISMATCH: &str =
    "another request was taken under this uid: its target, its sender, its key or its params differ";

/// The subject and the form of an answer.
#[derive(Clone)]
pub(super) struct Back {
    /// The message whose sender is answered. None: an event, or a sender who does not want to know.
    to: Option<Message>,
    pub(super) form: Form,
    /// The language of its texts.
    pub(super) language: Language,
}

impl Back {
    /// The way back to the sender of a message.
    pub(super) fn to(message: &Message, form: Form) -> Self {
        Self { to: Some(message.clone()), form, language: Language::default() }
    }

    /// This way back without the message: a repeat that waits keeps no body.
    pub(super) fn alone(&self) -> Self {
        let to = self.subject().map(|reply| Message::new("", Some(reply), &Block::default(), b""));
        Self { to, form: self.form.clone(), language: self.language }
    }

    /// The subject to answer on.
    pub(super) fn subject(&self) -> Option<&str> {
        self.to.as_ref()?.reply()
    }
}

/// The form of an answer.
#[derive(Clone)]
pub(super) enum Form {
    /// JSON-RPC, under this id. Without an id it could not be read, and null is answered.
    JsonRpc(Option<RequestId>),
    /// JSON-RPC, an answer for each request of a batch under its id.
    Batch(Arc<[RequestId]>),
    /// The result as it is; an error as `{"error":...}` with a header that says so.
    Json,
}

impl Form {
    /// Bytes that the answers to a batch need beside their results.
    pub(super) fn room(&self) -> usize {
        match self {
            Self::Batch(ids) => envelope::room(ids),
            Self::JsonRpc(_) | Self::Json => 0,
        }
    }
}

/// The question of a message.
pub(super) struct Asked<'m> {
    /// The method that was asked for; `None` if no method can have that name.
    pub(super) method: &'m str,
    /// The body, or those of a batch.
    pub(super) params: Bodies<'m>,
}

/// The methods that a message may ask for.
pub(super) trait Methods {
    /// True if there is a handler for it.
    fn knows(&self, method: &str) -> bool;

    /// The method whose name is nearest to this one, if one is near.
    fn nearest(&self, method: &str) -> Option<String>;
}

/// Reads the question of a message. The error is for the caller; the form is right in both cases.
pub(super) fn read<'m>(
    message: &'m Message,
    target: Option<&'m Target>,
    headers: &RequestHeaders,
    service: &str,
    methods: &impl Methods,
) -> (Back, Result<Asked<'m>, RpcError>) {
    let unknown = |method: &str| RpcError::new(code::METHOD_NOT_FOUND, unknown(method, service, methods));
    let of_subject = target.map(Target::method);
    let language = Language::of(headers.language.as_deref());
    let back_to = |form| Back { language, ..Back::to(message, form) };
    if headers.protocol == Protocol::Json {
        let back = back_to(Form::Json);
        let Some(method) = of_subject.filter(|method| methods.knows(method)) else {
            return (back, Err(unknown(of_subject.unwrap_or("?"))));
        };
        let asked = match serde_json::from_slice::<&RawValue>(message.payload()) {
            Ok(params) => Ok(Asked { method, params: Bodies::One(params.get()) }),
            Err(_) => Err(RpcError::new(code::PARSE, "the request is not JSON")),
        };
        return (back, asked);
    }
    let enveloped = match envelope::is_batch(message.payload()) {
        true => Enveloped::of_batch(message.payload()),
        false => Enveloped::of_request(message.payload()),
    };
    let Enveloped { form, method, params } = match enveloped {
        Ok(enveloped) => enveloped,
        Err(error) => return (back_to(Form::JsonRpc(None)), Err(error)),
    };
    // A request without an id is a notification, and never answered.
    let to = (!matches!(form, Form::JsonRpc(None))).then(|| message.clone());
    let back = Back { to, form, language };
    if !methods.knows(&method) {
        return (back, Err(unknown(&method)));
    }
    // Permissions are given for subjects, so the subject decides; the envelope must agree.
    match of_subject {
        Some(of_subject) if of_subject == method => (back, Ok(Asked { method: of_subject, params })),
        _ => (back, Err(RpcError::new(code::INVALID_REQUEST, "the method is not the one of the subject"))),
    }
}

/// The question in an envelope of JSON-RPC.
struct Enveloped<'m> {
    form: Form,
    method: Cow<'m, str>,
    params: Bodies<'m>,
}

impl<'m> Enveloped<'m> {
    fn of_request(payload: &'m [u8]) -> Result<Self, RpcError> {
        let Request { id, method, params } = Request::parse(payload)?;
        Ok(Self { form: Form::JsonRpc(id), method, params: Bodies::One(params.get()) })
    }

    fn of_batch(payload: &'m [u8]) -> Result<Self, RpcError> {
        let Batch { ids, method, params } = Batch::parse(payload)?;
        Ok(Self { form: Form::Batch(ids.into()), method, params: Bodies::Batch(params) })
    }
}

/// The text for a method without a handler. A name that no method can have is anybody's text, and
/// not repeated.
fn unknown(method: &str, service: &str, methods: &impl Methods) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    if method.len() > LONGEST_METHOD || !method.bytes().all(plain) {
        return format!("method of that name is unknown to service {service}");
    }
    match methods.nearest(method) {
        Some(near) => format!("method {method} is unknown to service {service}, did you mean {near}?"),
        None => format!("method {method} is unknown to service {service}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct One;

    impl Methods for One {
        fn knows(&self, method: &str) -> bool {
            method.starts_with("example.")
        }

        fn nearest(&self, method: &str) -> Option<String> {
            (method == "exmaple.simple").then(|| "example.simple".to_owned())
        }
    }

    fn message(subject: &str, payload: &str) -> Message {
        Message::new(subject, Some("back"), &Block::default(), payload.as_bytes())
    }

    fn code_of(subject: &str, payload: &str, protocol: Protocol) -> Result<String, (i64, String)> {
        let message = message(subject, payload);
        let target = Target::parse(subject).ok();
        let headers = RequestHeaders { protocol, ..RequestHeaders::default() };
        let (_, asked) = read(&message, target.as_ref(), &headers, "analytic", &One);
        asked.map(|asked| asked.params.text().into_owned()).map_err(|error| (error.code, error.message))
    }

    #[test]
    fn strangers_are_told_what_is_wrong() {
        let ask = |subject: &str, payload: &str| code_of(subject, payload, Protocol::JsonRpc);
        let good = "tpro.analytic.example.simple";
        assert_eq!(ask(good, r#"{"jsonrpc":"2.0","id":1,"method":"example.simple"}"#), Ok("{}".into()));
        assert_eq!(ask(good, "{").unwrap_err().0, code::PARSE);
        assert_eq!(ask(good, r#"{"ip":"x"}"#).unwrap_err().0, code::INVALID_REQUEST);
        let other = ask(good, r#"{"jsonrpc":"2.0","id":1,"method":"example.other"}"#);
        assert_eq!(other.unwrap_err().0, code::INVALID_REQUEST);
        let unknown = ask("tpro.analytic.nope.simple", r#"{"jsonrpc":"2.0","id":1,"method":"nope.simple"}"#);
        let text = "method nope.simple is unknown to service analytic".to_owned();
        assert_eq!(unknown.unwrap_err(), (code::METHOD_NOT_FOUND, text));
        let misspelt =
            ask("tpro.analytic.exmaple.simple", r#"{"jsonrpc":"2.0","id":1,"method":"exmaple.simple"}"#);
        let text =
            "method exmaple.simple is unknown to service analytic, did you mean example.simple?".to_owned();
        assert_eq!(misspelt.unwrap_err(), (code::METHOD_NOT_FOUND, text));
        let odd = ask(good, r#"{"jsonrpc":"2.0","id":1,"method":"nope <script>"}"#).unwrap_err();
        assert_eq!(odd.1, "method of that name is unknown to service analytic");
        assert_eq!(
            ask("tpro.analytic.short", r#"{"jsonrpc":"2.0","id":1,"method":"short"}"#).unwrap_err().0,
            code::METHOD_NOT_FOUND
        );
    }

    #[test]
    fn a_batch_asks_for_the_method_of_its_subject_and_has_an_answer_for_each_id() {
        let good = "tpro.analytic.example.simple";
        let one = |id: &str, method: &str, params: &str| {
            format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#)
        };
        let batch = |requests: &[String]| format!(" [{}] ", requests.join(" ,"));
        let two =
            batch(&[one("1", "example.simple", r#"{"a": 1.50}"#), one("\"x\"", "example.simple", "[2]")]);
        assert_eq!(code_of(good, &two, Protocol::JsonRpc), Ok(r#"[{"a": 1.50},[2]]"#.to_owned()));
        let message = message(good, &two);
        let (back, _) = read(&message, None, &RequestHeaders::default(), "analytic", &One);
        let Form::Batch(ids) = &back.form else { panic!("is a batch") };
        assert_eq!(ids.iter().map(ToString::to_string).collect::<Vec<_>>(), ["1", "\"x\""]);
        assert!(back.subject() == Some("back") && back.form.room() > 400);
        // Without its header it would be a body.
        assert_eq!(code_of(good, &two, Protocol::Json), Ok(two.trim().to_owned()));

        let ask = |requests: &[String]| code_of(good, &batch(requests), Protocol::JsonRpc).unwrap_err();
        let simple = one("1", "example.simple", "{}");
        let text = "request 2 of 2: all requests of a batch must have the same method";
        let mixed = ask(&[simple.clone(), one("2", "example.other", "{}")]);
        assert_eq!(mixed, (code::INVALID_REQUEST, text.to_owned()));
        let other = ask(&[one("1", "example.other", "{}")]);
        assert_eq!(other, (code::INVALID_REQUEST, "the method is not the one of the subject".to_owned()));
        assert_eq!(ask(&[one("1", "nope.simple", "{}")]).0, code::METHOD_NOT_FOUND);
        let text = "a batch has 1 to 1000 requests, not 0";
        assert_eq!(ask(&[]), (code::INVALID_REQUEST, text.to_owned()));
        let silent = r#"{"jsonrpc":"2.0","method":"example.simple"}"#.to_owned();
        let text = "request 2 of 2: a request of a batch must have an id";
        assert_eq!(ask(&[simple, silent]), (code::INVALID_REQUEST, text.to_owned()));
    }

    #[test]
    fn a_json_request_is_named_by_its_subject() {
        let ask = |subject: &str, payload: &str| code_of(subject, payload, Protocol::Json);
        assert_eq!(ask("tpro.analytic.example.simple", " 7 "), Ok("7".into()));
        assert_eq!(ask("tpro.analytic.example.simple", "").unwrap_err().0, code::PARSE);
        assert_eq!(ask("tpro.analytic.nope.simple", "7").unwrap_err().0, code::METHOD_NOT_FOUND);
    }
}
