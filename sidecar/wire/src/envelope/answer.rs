//! Answers, written and read.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::object::{Broken, Text, present, read_object};
use super::request_id::{RequestId, quoted_uid};
use crate::error::RpcError;
use crate::uid::{TEXT_LEN, Uid};

/// The parts of an answer as it is written.
const HEAD: &str = r#"{"jsonrpc":"2.0","id":"#;
const RESULT: &str = r#","result":"#;
const ERROR: &str = r#","error":"#;

/// An answer that was read.
#[derive(Debug)]
pub enum Answer {
    /// The method's result, any JSON as it came.
    Result(Box<RawValue>),
    /// The method's error.
    Error(RpcError),
}

/// The reason why a payload is no answer to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// It is no answer at all.
    #[error(transparent)]
    No(#[from] NotAnswer),
    /// It answers another request.
    #[error("the answer has the id of another request")]
    OtherId,
}

/// The kind of a payload that is no answer. Its text is for people and shows nothing of the
/// content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAnswer {
    /// Nothing.
    #[error("the reply is empty, and no JSON")]
    Empty,
    /// Bytes that are no text.
    #[error("the reply is not text in UTF-8")]
    NotUtf8,
    /// Text that is no JSON.
    #[error("the reply is not JSON")]
    NotJson,
    /// JSON of another kind: an array, text, a number, true, false or null.
    #[error("the reply is JSON, but no JSON-RPC 2.0 answer: it is {0}, not an object")]
    Kind(&'static str),
    /// A member is missing, comes twice, or has another type than it must have.
    #[error(
        "the reply is JSON, but no JSON-RPC 2.0 answer: its member jsonrpc is missing or not \"2.0\", or a member comes twice"
    )]
    Members,
    /// The id is missing, or is none.
    #[error("the reply is JSON, but no JSON-RPC 2.0 answer: it has no id")]
    Id,
    /// There is neither a result nor an error.
    #[error("the reply is JSON, but no JSON-RPC 2.0 answer: it has neither a result nor an error")]
    Neither,
    /// There are both.
    #[error("the reply is JSON, but no JSON-RPC 2.0 answer: it has a result and an error")]
    Both,
    /// The error is no object with a whole number `code` and a text `message`.
    #[error(
        "the reply is JSON, but no answer: its error is no object of a whole number code and a text message"
    )]
    Error,
    /// The reply to a batch is JSON of another kind than an array: an object with a result, text, a
    /// number, true, false or null.
    #[error("the reply is JSON, but no JSON-RPC 2.0 answer to a batch: it is {0}, not an array")]
    BatchKind(&'static str),
    /// The reply to a batch has more answers than requests were sent, or fewer.
    #[error("the reply to a batch of {requests} requests has {answers} answers")]
    BatchLength {
        /// The requests of the batch.
        requests: usize,
        /// The answers that came.
        answers: usize,
    },
    /// The reply to a batch has an answer with an id that was not sent.
    #[error("the reply to a batch has an answer with an id that no request of the batch has")]
    BatchId,
    /// The reply to a batch answers this request twice. The number counts from 1.
    #[error("the reply to a batch answers its request {0} twice")]
    BatchTwice(usize),
}

impl NotAnswer {
    /// For a payload that is text and no JSON.
    pub fn not_json(payload: &[u8]) -> Self {
        if payload.is_empty() { Self::Empty } else { Self::NotJson }
    }
}

/// Writes an answer with a result. `result` is JSON text.
pub fn success(id: &RequestId, result: &str) -> Vec<u8> {
    let mut payload = Vec::with_capacity(length(Some(id), RESULT, result));
    push_success(&mut payload, id, result);
    payload
}

/// Writes an answer with an error. Without an id its id is null: the specification asks for it when
/// the id of the request could not be read.
pub fn failure(id: Option<&RequestId>, error: &RpcError) -> Vec<u8> {
    let error = error.to_json();
    let mut payload = Vec::with_capacity(length(id, ERROR, &error));
    push_failure(&mut payload, id, &error);
    payload
}

/// Writes an answer with a result behind what is there.
pub(super) fn push_success(payload: &mut Vec<u8>, id: &RequestId, result: &str) {
    push(payload, Some(id), RESULT, result);
}

/// Writes an answer with an error behind what is there. `error` is JSON text.
pub(super) fn push_failure(payload: &mut Vec<u8>, id: Option<&RequestId>, error: &str) {
    push(payload, id, ERROR, error);
}

/// Reads the answer to the request with this uid.
///
/// An error with a null id is taken. A service answers like this when it could not read the
/// request, and the subject of the reply tells which request that was. A result with a null id is
/// refused. A null error beside a result counts as absent, and so does a null result beside an
/// error: programs write these that learned it from JSON-RPC 1.0.
pub fn answer(uid: &Uid, payload: &[u8]) -> Result<Answer, AnswerError> {
    let text = str::from_utf8(payload).map_err(|_| NotAnswer::NotUtf8)?;
    if let Some(result) = written_result(uid, text) {
        return Ok(Answer::Result(result.to_owned()));
    }
    let members = AnswerMembers::read(text)?;
    let id = members.id()?;
    let ours = names(id, uid)?;
    if !ours && id != "null" {
        return Err(AnswerError::OtherId);
    }
    match members.said()? {
        Said::Result(result) if ours => Ok(Answer::Result(result.to_owned())),
        Said::Result(_) => Err(AnswerError::OtherId),
        Said::Error(error) => Ok(Answer::Error(error)),
    }
}

/// The end of a request, as its answer says it.
pub(super) enum Said<'a> {
    Result(&'a RawValue),
    Error(RpcError),
}

/// The result of an answer whose text is the one that [`success`] writes. Any other answer is read
/// member by member, which takes three times as long.
fn written_result<'a>(uid: &Uid, text: &'a str) -> Option<&'a RawValue> {
    let id = text.strip_prefix(HEAD)?.strip_prefix('"')?;
    let member = id.strip_prefix(uid.encode(&mut [0; TEXT_LEN]))?.strip_prefix('"')?;
    let result = member.strip_prefix(RESULT)?.strip_suffix('}')?;
    // The text of one value has no further member in it.
    serde_json::from_str(result).ok()
}

/// The kind of a JSON text that is no object.
pub(super) fn kind(json: &str) -> Option<&'static str> {
    match json.trim_ascii_start().bytes().next()? {
        b'{' => None,
        b'[' => Some("an array"),
        b'"' => Some("text"),
        b't' | b'f' => Some("true or false"),
        b'n' => Some("null"),
        _ => Some("a number"),
    }
}

#[derive(Deserialize)]
pub(super) struct AnswerMembers<'a> {
    #[serde(borrow)]
    jsonrpc: Text<'a>,
    #[serde(default, borrow, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    #[serde(default, borrow, deserialize_with = "present")]
    result: Option<&'a RawValue>,
    #[serde(default, borrow, deserialize_with = "present")]
    error: Option<&'a RawValue>,
}

impl<'a> AnswerMembers<'a> {
    /// Reads the members of an answer.
    pub(super) fn read(text: &'a str) -> Result<Self, NotAnswer> {
        let members: Self = read_object(text).map_err(|broken| match broken {
            Broken::NotJson => NotAnswer::not_json(text.as_bytes()),
            Broken::OtherShape => kind(text).map_or(NotAnswer::Members, NotAnswer::Kind),
        })?;
        if members.jsonrpc == "2.0" { Ok(members) } else { Err(NotAnswer::Members) }
    }

    /// The JSON text of the id.
    pub(super) fn id(&self) -> Result<&'a str, NotAnswer> {
        self.id.map(RawValue::get).ok_or(NotAnswer::Id)
    }

    /// The result or the error.
    pub(super) fn said(&self) -> Result<Said<'a>, NotAnswer> {
        let is_null = |member: Option<&RawValue>| member.is_none_or(|member| member.get() == "null");
        match (self.result, self.error) {
            (Some(result), error) if is_null(error) => Ok(Said::Result(result)),
            (result, Some(error)) if is_null(result) && !is_null(Some(error)) => {
                // Read by itself, so that an array is told from an object.
                match serde_json::from_str(error.get()) {
                    Ok(read) if error.get().starts_with('{') => Ok(Said::Error(read)),
                    _ => Err(NotAnswer::Error),
                }
            }
            (None, _) => Err(NotAnswer::Neither),
            (Some(_), _) => Err(NotAnswer::Both),
        }
    }
}

/// True if the id of an answer is this uid. `Err` if it is no id at all.
fn names(id: &str, uid: &Uid) -> Result<bool, AnswerError> {
    if quoted_uid(id) == Some(*uid) {
        return Ok(true);
    }
    match id.as_bytes().first() {
        // An id with capital letters or escapes is the same id.
        Some(b'"') => Ok(serde_json::from_str::<Cow<'_, str>>(id).is_ok_and(|text| text.parse() == Ok(*uid))),
        Some(b'0'..=b'9' | b'-' | b'n') => Ok(false),
        _ => Err(NotAnswer::Id.into()),
    }
}

fn length(id: Option<&RequestId>, member: &str, json: &str) -> usize {
    HEAD.len() + id.map_or(4, RequestId::len) + member.len() + json.len() + 1
}

fn push(payload: &mut Vec<u8>, id: Option<&RequestId>, member: &str, json: &str) {
    payload.extend_from_slice(HEAD.as_bytes());
    match id {
        Some(id) => id.push_to(payload),
        None => payload.extend_from_slice(b"null"),
    }
    payload.extend_from_slice(member.as_bytes());
    payload.extend_from_slice(json.as_bytes());
    payload.push(b'}');
}
