//! JSON-RPC 2.0 requests and answers.
//!
//! Bodies pass through as the text they came as: nothing is read into values and written again, so that numbers
//! keep their digits, and a message costs one pass. One request or answer per payload; a batch is refused as an
//! invalid request.

use std::borrow::Cow;
use std::fmt;
use std::sync::LazyLock;

use serde::de::{Deserializer, IgnoredAny};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::error::{RpcError, code};
use crate::uid::{TEXT_LEN, Uid};

/// A request that was read: `{"jsonrpc":"2.0","id":...,"method":"example.simple","params":{...}}`.
#[derive(Debug)]
pub struct Request<'a> {
    /// What to answer under; `None` for a notification, which is not answered.
    pub id: Option<RequestId>,
    /// The method, any text: whether the service has it is for the service to say.
    pub method: Cow<'a, str>,
    /// The body, an object or an array as it came; `{}` where the request has none.
    pub params: &'a RawValue,
}

/// The id of a request, to be echoed as it came: a string, a number or null.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RequestId(Id);

#[derive(Clone, PartialEq, Eq, Hash)]
enum Id {
    /// A uid in the form we write it ourselves, without an allocation.
    Uid(Uid),
    /// Any other, as JSON text.
    Json(Box<str>),
}

/// An answer that was read.
#[derive(Debug)]
pub enum Answer {
    /// The method's result, any JSON as it came.
    Result(Box<RawValue>),
    /// The method's error.
    Error(RpcError),
}

/// Why a payload is no answer to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// It is not JSON.
    #[error("the answer is not JSON")]
    NotJson,
    /// It is JSON, but no JSON-RPC 2.0 answer: another version, neither or both of result and error, a broken error
    /// object, a member that comes twice.
    #[error("the answer is JSON but no JSON-RPC 2.0 answer")]
    NotJsonRpc,
    /// It answers another request.
    #[error("the answer has the id of another request")]
    OtherId,
}

/// Writes a request. `params` is JSON text, an object or an array; when it is empty the member is left out.
pub fn request(uid: &Uid, method: &str, params: &str) -> Vec<u8> {
    const HEAD: &[u8] = br#"{"jsonrpc":"2.0","id":""#;
    const METHOD: &[u8] = br#"","method":"#;
    const PARAMS: &[u8] = br#","params":"#;
    let length = HEAD.len() + TEXT_LEN + METHOD.len() + method.len() + 2 + PARAMS.len() + params.len() + 1;
    let mut payload = Vec::with_capacity(length);
    payload.extend_from_slice(HEAD);
    payload.extend_from_slice(uid.encode(&mut [0; TEXT_LEN]).as_bytes());
    payload.extend_from_slice(METHOD);
    push_string(&mut payload, method);
    if !params.is_empty() {
        payload.extend_from_slice(PARAMS);
        payload.extend_from_slice(params.as_bytes());
    }
    payload.push(b'}');
    payload
}

/// Writes an answer with a result. `result` is JSON text.
pub fn success(id: &RequestId, result: &str) -> Vec<u8> {
    let mut payload = answer_head(Some(id), br#","result":"#, result.len());
    payload.extend_from_slice(result.as_bytes());
    payload.push(b'}');
    payload
}

/// Writes an answer with an error. Without an id it answers null, as the specification asks for a request whose id
/// could not be read.
pub fn failure(id: Option<&RequestId>, error: &RpcError) -> Vec<u8> {
    let error = error.to_json();
    let mut payload = answer_head(id, br#","error":"#, error.len());
    payload.extend_from_slice(error.as_bytes());
    payload.push(b'}');
    payload
}

/// Reads the answer to the request with this uid.
///
/// An error with a null id is taken: it is how a service says that it could not read the request, and the subject
/// it came on has told which request that was. A result with a null id is not.
pub fn answer(uid: &Uid, payload: &[u8]) -> Result<Answer, AnswerError> {
    let text = str::from_utf8(payload).map_err(|_| AnswerError::NotJson)?;
    let members: AnswerMembers<'_> = read_object(text).map_err(|broken| match broken {
        Broken::NotJson => AnswerError::NotJson,
        Broken::OtherShape => AnswerError::NotJsonRpc,
    })?;
    if members.jsonrpc != "2.0" {
        return Err(AnswerError::NotJsonRpc);
    }
    let id = members.id.ok_or(AnswerError::NotJsonRpc)?.get();
    match (members.result, members.error) {
        (Some(result), None) if names(id, uid)? => Ok(Answer::Result(result.to_owned())),
        (None, Some(error)) if id == "null" || names(id, uid)? => {
            // Its data is raw JSON that borrows nothing, so that it must be read from the text of its own.
            serde_json::from_str(error.get())
                .ok()
                .filter(|_| error.get().starts_with('{'))
                .map(Answer::Error)
                .ok_or(AnswerError::NotJsonRpc)
        }
        (Some(_), None) | (None, Some(_)) => Err(AnswerError::OtherId),
        (None, None) | (Some(_), Some(_)) => Err(AnswerError::NotJsonRpc),
    }
}

impl<'a> Request<'a> {
    /// Reads a request.
    ///
    /// The error is what to answer, with a null id: [`code::PARSE`] where the payload is not JSON,
    /// [`code::INVALID_REQUEST`] where it is, but is no request.
    pub fn parse(payload: &'a [u8]) -> Result<Self, RpcError> {
        let not_json = || RpcError::new(code::PARSE, "the request is not JSON");
        let text = str::from_utf8(payload).map_err(|_| not_json())?;
        let members: RequestMembers<'a> = read_object(text).map_err(|broken| match broken {
            Broken::NotJson => not_json(),
            Broken::OtherShape => {
                invalid("a request is an object of jsonrpc, method (text), params and id, none of them twice")
            }
        })?;
        if members.jsonrpc != "2.0" {
            return Err(invalid("jsonrpc must be \"2.0\""));
        }
        let params = members.params.unwrap_or(*NO_PARAMS);
        if !params.get().starts_with(['{', '[']) {
            return Err(invalid("params must be an object or an array"));
        }
        let id = match members.id {
            Some(raw) => {
                Some(RequestId::read(raw).ok_or_else(|| invalid("id must be text, a number or null"))?)
            }
            None => None,
        };
        Ok(Self { id, method: members.method.0, params })
    }
}

impl RequestId {
    fn read(raw: &RawValue) -> Option<Self> {
        let text = raw.get();
        match text.as_bytes().first()? {
            b'"' => Some(Self(match quoted_uid(text) {
                Some(uid) => Id::Uid(uid),
                None => Id::Json(text.into()),
            })),
            b'0'..=b'9' | b'-' | b'n' => Some(Self(Id::Json(text.into()))),
            _ => None,
        }
    }

    /// The uid, if the id is one in the form we write it: a text of 36 characters, small letters.
    pub fn uid(&self) -> Option<Uid> {
        match self.0 {
            Id::Uid(uid) => Some(uid),
            Id::Json(_) => None,
        }
    }

    /// Whether the id is null. Such a request is answered, unlike a notification.
    pub fn is_null(&self) -> bool {
        matches!(&self.0, Id::Json(text) if &**text == "null")
    }

    fn push_to(&self, payload: &mut Vec<u8>) {
        match &self.0 {
            Id::Uid(uid) => {
                payload.push(b'"');
                payload.extend_from_slice(uid.encode(&mut [0; TEXT_LEN]).as_bytes());
                payload.push(b'"');
            }
            Id::Json(text) => payload.extend_from_slice(text.as_bytes()),
        }
    }

    fn len(&self) -> usize {
        match &self.0 {
            Id::Uid(_) => TEXT_LEN + 2,
            Id::Json(text) => text.len(),
        }
    }
}

impl From<Uid> for RequestId {
    fn from(uid: Uid) -> Self {
        Self(Id::Uid(uid))
    }
}

/// The JSON text of the id.
impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Id::Uid(uid) => write!(f, "\"{uid}\""),
            Id::Json(text) => f.write_str(text),
        }
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestId({self})")
    }
}

/// The body of a request that has none: what the column `body` has by default.
static NO_PARAMS: LazyLock<&'static RawValue> =
    LazyLock::new(|| serde_json::from_str("{}").unwrap_or(RawValue::NULL));

// Members that are not known are ignored, known ones that come twice are refused. An absent member is not the same
// as a null one, hence `present`.
#[derive(Deserialize)]
struct RequestMembers<'a> {
    #[serde(borrow)]
    jsonrpc: Text<'a>,
    #[serde(default, borrow, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    method: Text<'a>,
    #[serde(default, borrow, deserialize_with = "present")]
    params: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct AnswerMembers<'a> {
    #[serde(borrow)]
    jsonrpc: Text<'a>,
    #[serde(default, borrow, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    #[serde(default, borrow, deserialize_with = "present")]
    result: Option<&'a RawValue>,
    #[serde(default, borrow, deserialize_with = "present")]
    error: Option<&'a RawValue>,
}

/// Text, borrowed unless it has escapes. (`Cow` alone would always be copied.)
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl PartialEq<&str> for Text<'_> {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

enum Broken {
    NotJson,
    OtherShape,
}

/// Reads the members of an object. The text is known to be UTF-8, which the parser would not look at inside what it
/// skips.
fn read_object<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Broken> {
    // Serde would read the members from an array too, in order.
    let object = text.trim_start_matches([' ', '\t', '\n', '\r']).starts_with('{');
    if object && let Ok(members) = serde_json::from_str(text) {
        return Ok(members);
    }
    // A wrong member may have been met before a syntax error further on; which of the two it is decides the code.
    match serde_json::from_str::<IgnoredAny>(text) {
        Ok(_) => Err(Broken::OtherShape),
        Err(_) => Err(Broken::NotJson),
    }
}

/// Whether an answer's id is this uid; `Err` where it is no id at all.
fn names(id: &str, uid: &Uid) -> Result<bool, AnswerError> {
    if quoted_uid(id) == Some(*uid) {
        return Ok(true);
    }
    match id.as_bytes().first() {
        // Written differently, with capital letters or escapes, it is the same id still.
        Some(b'"') => Ok(serde_json::from_str::<Cow<'_, str>>(id).is_ok_and(|text| text.parse() == Ok(*uid))),
        Some(b'0'..=b'9' | b'-' | b'n') => Ok(false),
        _ => Err(AnswerError::NotJsonRpc),
    }
}

/// The uid in a JSON string, if it is written as we write it.
fn quoted_uid(json: &str) -> Option<Uid> {
    let text = json.strip_prefix('"')?.strip_suffix('"')?;
    let uid: Uid = text.parse().ok()?;
    (uid.encode(&mut [0; TEXT_LEN]) == text).then_some(uid)
}

fn invalid(what: &str) -> RpcError {
    RpcError::new(code::INVALID_REQUEST, what)
}

fn answer_head(id: Option<&RequestId>, member: &[u8], body: usize) -> Vec<u8> {
    const HEAD: &[u8] = br#"{"jsonrpc":"2.0","id":"#;
    let id_len = id.map_or(4, RequestId::len);
    let mut payload = Vec::with_capacity(HEAD.len() + id_len + member.len() + body + 1);
    payload.extend_from_slice(HEAD);
    match id {
        Some(id) => id.push_to(&mut payload),
        None => payload.extend_from_slice(b"null"),
    }
    payload.extend_from_slice(member);
    payload
}

fn push_string(payload: &mut Vec<u8>, text: &str) {
    // Methods of a `Target` never need escapes; others may come from anywhere.
    if text.bytes().all(|b| b >= b' ' && b != b'"' && b != b'\\') {
        payload.push(b'"');
        payload.extend_from_slice(text.as_bytes());
        payload.push(b'"');
    } else {
        // Into memory: this cannot fail.
        let _ = text.serialize(&mut serde_json::Serializer::new(payload));
    }
}
